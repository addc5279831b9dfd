"""Search: a query and an index come in, ranked results go out.  Begin with `pipeline`."""
