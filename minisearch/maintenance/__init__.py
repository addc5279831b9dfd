"""Care of an index: what it covers and how files are cut, whether it is right, and the way back."""
