"""The stand-in for a Kubernetes API server."""
