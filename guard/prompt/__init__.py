"""Prompt screening: normalise, match, explain."""
