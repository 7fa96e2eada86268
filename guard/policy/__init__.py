"""Policies as code: model, load, decide, evaluate."""
