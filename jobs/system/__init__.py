"""Processes that this program starts, and the signals that end it."""
