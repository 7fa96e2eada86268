"""Scripts that build what the package ships: lexicons and the demo model."""
