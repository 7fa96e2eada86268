"""Scripts that build the lexicons which ship under policies/lexicons."""
