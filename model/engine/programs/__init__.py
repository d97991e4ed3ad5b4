"""What the engine compiles: prefill, decode, attention, caches, sampling; and the list of compiled programs."""
