"""Training of the semantic tier: data, features, heads, calibration."""
