"""Azure: the client secrets of an app registration."""
