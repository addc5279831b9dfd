"""Documents to chunks that the encoder sees whole."""
