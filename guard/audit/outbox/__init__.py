"""Messages to others about what was recorded."""
