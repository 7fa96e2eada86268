"""Detectors that look at pictures."""
