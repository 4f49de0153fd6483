"""What rotator serves over HTTP. Nothing here is imported unless the config turns it on."""
