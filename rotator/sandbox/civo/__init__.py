"""The stand-in for Civo."""
