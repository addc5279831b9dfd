"""How good a ranking is: a collection with judgements and rankings in; measures, comparisons, a plot out.

Nothing here searches.  A collection is a folder as BEIR has them, a ranking comes from
`minisearch.evaluation.benchmark` or from a TREC run file, and the measures are ir-measures'.
"""
