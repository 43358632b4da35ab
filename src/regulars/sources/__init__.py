"""Real data in: The Complete Journey, or any retailer's tables, as one and the same panel."""
