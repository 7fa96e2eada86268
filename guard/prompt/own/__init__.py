"""Own lists of a platform: what to deny, what to allow, which artists opted in."""
