"""How well a ranking answers queries: measures, significance, benchmarks on collections, and the self-test.

A collection is a folder in BEIR's format.  Rankings come from `benchmark`, or from a TREC run file (`runs`).
"""
