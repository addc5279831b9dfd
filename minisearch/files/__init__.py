"""Find the files to read: the walk, ignore rules, the user's choices, and secrets."""
