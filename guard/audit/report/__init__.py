"""Counts over the log, and the transparency report."""
