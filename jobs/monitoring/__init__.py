"""What schedulers and monitors read of a run: its events, metrics, lineage, and a summary after a failure too."""
