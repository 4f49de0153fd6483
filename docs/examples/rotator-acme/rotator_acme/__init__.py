"""A provider for rotator by somebody else: the API keys of Acme's robots. See docs/plugins.md of rotator."""
