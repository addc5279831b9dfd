"""What is shown of an index besides results: documents to read beside them, and counts of what there is."""
