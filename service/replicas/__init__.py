"""This server among the servers of one database: what it says of itself there, and whether it is cut off."""
