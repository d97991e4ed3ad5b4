"""Datasets that grow: which rows of a corpus are in a dataset already, and which are new."""
