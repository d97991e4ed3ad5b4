"""What is asked of a model, and how its answer is validated: infill, docstring, generate, annotate."""
