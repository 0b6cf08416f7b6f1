"""What every server does at the edges of a conversation, measured: see `generate`."""
