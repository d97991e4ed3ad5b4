"""What counts and who does what: commits, the journal of starts and deaths, heartbeats, the lock, completeness."""
