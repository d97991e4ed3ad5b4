"""Exact and near duplicates: signatures, clusters, and known text that a model may have copied."""
