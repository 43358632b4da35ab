"""The private face: how simulated consumers need, notice, judge, remember and share. No retailer looks in."""
