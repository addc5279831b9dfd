"""Making a BEIR folder for a test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

Record = Mapping[str, object]


def make_collection(folder: Path, corpus: Iterable[Record], queries: Iterable[Record], qrels: str) -> Path:
    """A folder with these documents and queries, and ``qrels`` (below a header) as its split "test"."""
    (folder / "qrels").mkdir(parents=True)
    for name, records in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{qrels}")
    return folder
