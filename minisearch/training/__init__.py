"""Train models: distil a smaller or static student, finetune an embedder, make a reranker or a classifier.

A recipe is a function from a batch to named losses; `trainer` runs any of them.
"""
