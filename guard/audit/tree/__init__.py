"""The RFC 6962 tree: hashes, tiles, and proofs from them."""
