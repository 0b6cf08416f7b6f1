"""What `RateLimit` costs, what it keeps to, and how a fleet of processes shares one store."""
