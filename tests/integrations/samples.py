"""Metadata to keep, and metadata to filter by."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import strategies as st

AUTHORS = ["Ada", "ada", "Ann Lee", "", "ß", "x' or 1=1 --"]
YEARS = [2020, 2021.5, -1, 0]
OWN: list[dict[str, Any]] = [
    {"author": author, "year": year}
    | ({} if n % 3 == 0 else {"draft": n % 3 == 1})
    | ({} if n % 4 == 0 else {"tags": [["x"], ["x", "Y"], []][n % 3], "place": {"name": "Rome"}})
    for n, (author, year) in enumerate(product([*AUTHORS, None], [*YEARS, None]))
]

texts = st.text(min_size=1, max_size=60).filter(str.strip)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
metadata = st.dictionaries(st.text(max_size=8), json_values, max_size=4)
