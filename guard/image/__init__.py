"""Decoding with limits, encoding, perceptual fingerprints."""
