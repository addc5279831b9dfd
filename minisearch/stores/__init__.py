"""Where documents, chunks and vectors are kept."""
