"""The least rights that rotator needs, as text to paste: a module for each provider, without any SDK."""
