"""Servers over one index: for programs over HTTP, and for language models by the Model Context Protocol."""
