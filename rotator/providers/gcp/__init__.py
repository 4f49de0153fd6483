"""Google Cloud: the keys of a service account."""
