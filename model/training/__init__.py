"""The training step, and initial weights that copy from their context."""
