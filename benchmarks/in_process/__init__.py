"""In one process, with a server in memory: what an application costs over raw ASGI."""
