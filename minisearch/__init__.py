"""Search your own files by meaning."""
