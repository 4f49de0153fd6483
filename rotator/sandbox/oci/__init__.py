"""The stand-in for Oracle Cloud."""
