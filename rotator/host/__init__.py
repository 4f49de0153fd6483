"""Between this process and its operating system: systemd, journald, core dumps, logs."""
