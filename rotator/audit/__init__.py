"""The audit log: a fixed vocabulary, a hash chain, sinks, and the check of both."""
