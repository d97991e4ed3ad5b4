"""Infilled middles: what their prompts show of the repository, and the judges of what the model wrote."""
