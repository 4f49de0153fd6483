"""Oracle Cloud: the API signing keys of a user."""
