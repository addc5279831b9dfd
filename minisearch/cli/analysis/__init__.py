"""``minisearch cluster``, ``dups``, ``compare``, ``similar`` and ``alert``: what a collection holds."""
