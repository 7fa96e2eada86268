"""Signed checkpoints: published outside the database, and what they prove."""
