"""What an index holds as a whole: clusters, copies, comparisons, alerts, and documents to read."""
