"""Adapters for frameworks: `langchain`, `llama_index` and `haystack`, one module each, none imported here.

Each has a store of documents, a retriever of passages and the embeddings of the index's model.  What the
stores have in common is in `documents`.
"""
