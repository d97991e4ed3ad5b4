"""The host in each worker process of a Beam runner: the supervisor of its machine, and what it checks and shares."""
