"""Northflank: the HTTP client, and what rotator does with an integration."""
