"""C2PA manifests: keys, signing, reading, trust."""
