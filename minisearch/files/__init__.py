"""Which files there are to read: the walk, ignore rules, the user's choices, and secrets."""
