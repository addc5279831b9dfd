"""An index put to the test: on collections with judgements, and on its own content."""
