"""Kubernetes: the tokens of a service account in a cluster of the operator's."""
