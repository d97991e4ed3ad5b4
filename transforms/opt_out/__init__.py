"""Repositories whose owners don't want them in a dataset: lists of them (`lists`), rows that they are in (`work`)."""
