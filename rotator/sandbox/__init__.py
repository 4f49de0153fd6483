"""Strict stand-ins for Northflank and the clouds, for the demo, the tests and dry trials."""
