"""What runs units: the supervisor and its child, the pipeline, workers, reading, and one attempt at a unit."""
