"""Datasets that grow: a further edition of an output has what is new in its input, and keeps what was made before."""
