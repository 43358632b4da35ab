"""The public face: what one retailer knows of its customers, decides, explains and learns; live or not."""
