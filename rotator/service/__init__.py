"""The life of the process: the config wired, the daemon, one pass of it, its health."""
