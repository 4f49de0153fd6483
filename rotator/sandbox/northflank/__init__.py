"""The stand-in for Northflank."""
