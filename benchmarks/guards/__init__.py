"""Guards: what they cost per message, while idle, and with a client that does not read."""
