"""Train models: distil a smaller or faster student from a teacher, on unlabelled texts.

A recipe is a function from a batch to named losses; `trainer` runs any of them.
"""
