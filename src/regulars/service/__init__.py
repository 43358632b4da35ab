"""The live engine: the policy that was rehearsed, for customers who are there, over HTTP or in bulk."""
