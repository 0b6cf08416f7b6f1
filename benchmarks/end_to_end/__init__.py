"""Over loopback, with real servers and a client that is faster than they are."""
