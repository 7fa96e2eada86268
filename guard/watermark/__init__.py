"""Invisible marks that carry a payload, and detectors that know when there is none."""
