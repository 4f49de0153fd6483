"""What every stand-in is served by: sockets, TLS, HTTP/2, and the fault plan."""
