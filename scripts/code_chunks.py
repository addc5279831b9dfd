"""Compare ways to chunk source code, by whether a function is found by its docstring.

    python scripts/code_chunks.py --small 0 --small 32 --small 64 FOLDER...

Every docstring of the folders' Python files is taken out.  The first sentence of a function's is then a
question, and the chunk that the function begins in is the answer; the ranking is by cosine alone.  Printed
are MRR@10 of that chunk and of its file, where source is cut at lines, and for each size below which
neighbours share a chunk.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measuring import option_parser

from minisearch import SentenceTransformer, Settings
from minisearch.chunking import sections
from minisearch.chunking.chunker import chunk
from minisearch.parsers import parse
from minisearch.types import Document, FloatArray

MODEL = "all-MiniLM-L6-v2"
MIN_WORDS = 5  # of a query
SENTENCE_END = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True)
class Asked:
    """A query, with the file and the line where the function it describes begins."""

    text: str
    file: int
    line: int


def without_docstrings(source: str) -> tuple[str, list[tuple[int, str]]]:
    """The source without its docstrings, same line numbers; the line and the query of each function."""
    lines = source.split("\n")
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or not (text := ast.get_docstring(node)):
            continue
        docstring = node.body[0]
        for row in range(docstring.lineno - 1, docstring.end_lineno or docstring.lineno):
            lines[row] = ""
        query = SENTENCE_END.split(" ".join(text.split()))[0]
        is_plain = isinstance(node, ast.FunctionDef) and len(node.body) > 1
        if is_plain and len(query.split()) >= MIN_WORDS:
            found.append((node.lineno, query))
    return "\n".join(lines), found


class Vectors:
    """Texts to vectors; a text that several chunkings share is encoded once."""

    def __init__(self) -> None:
        self.encoder = SentenceTransformer.from_pretrained(MODEL, offline=True)
        self._known: dict[str, FloatArray] = {}

    def of(self, texts: Sequence[str]) -> FloatArray:
        """One vector a text (n, d)."""
        unknown = [text for text in dict.fromkeys(texts) if text not in self._known]
        if unknown:
            self._known.update(zip(unknown, self.encoder.encode_document(unknown), strict=True))
        return np.stack([self._known[text] for text in texts])


def compare(
    documents: Sequence[Document], asked: Sequence[Asked], vectors: Vectors
) -> tuple[int, float, float]:
    """How many chunks there are, and MRR@10 of the chunk and of the file asked for."""
    encoder = vectors.encoder
    overlap = Settings().overlap_tokens
    places: list[tuple[int, int, int]] = []
    texts: list[str] = []
    for file, document in enumerate(documents):
        pieces = chunk(document, encoder.tokenizer, max_tokens=encoder.max_tokens, overlap_tokens=overlap)
        places += [(file, piece.line, piece.end_line) for piece in pieces]
        texts += [piece.text for piece in pieces]
    scores = encoder.encode_query([one.text for one in asked]) @ vectors.of(texts).T
    where = np.array(places)
    of_chunk, of_file = [], []
    for one, row in zip(asked, scores, strict=True):
        ranked = where[np.argsort(-row, kind="stable")]
        is_right = (ranked[:, 0] == one.file) & (ranked[:, 1] <= one.line) & (one.line <= ranked[:, 2])
        of_chunk.append(reciprocal(is_right))
        files = dict.fromkeys(ranked[:, 0].tolist())
        of_file.append(reciprocal(file == one.file for file in files))
    return len(texts), float(np.mean(of_chunk)), float(np.mean(of_file))


def reciprocal(is_right: Iterable[bool] | npt.NDArray[np.bool_]) -> float:
    """The reciprocal rank of the first right one, 0 below the tenth."""
    return next((1 / place for place, right in zip(range(1, 11), is_right, strict=False) if right), 0.0)


def rows(folders: Sequence[Path], sizes: Sequence[int], n: int) -> Iterator[str]:
    """The table, row by row."""
    documents: list[Document] = []
    asked: list[Asked] = []
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        source, found = without_docstrings(path.read_text(encoding="utf-8"))
        asked += [Asked(query, len(documents), line) for line, query in found]
        documents.append(parse(str(path), source.encode()))
    chosen = np.random.default_rng(0).permutation(len(asked))[:n]
    asked = [asked[i] for i in chosen]
    vectors = Vectors()
    yield f"| {len(asked)} functions of {len(documents)} files | chunks | MRR@10, chunk | MRR@10, file |"
    yield "|---|---|---|---|"
    at_lines = [replace(document, headings=()) for document in documents]
    yield row("at lines", *compare(at_lines, asked, vectors))
    for size in sizes:
        sections.SMALL_TOKENS = size
        yield row(f"at functions, together below {size} tokens", *compare(documents, asked, vectors))


def row(name: str, n_chunks: int, of_chunk: float, of_file: float) -> str:
    """One row of the table."""
    return f"| {name} | {n_chunks:,} | {of_chunk:.3f} | {of_file:.3f} |"


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = option_parser(__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--small", action="append", type=int, metavar="TOKENS", help="repeatable")
    parser.add_argument("-n", type=int, default=400, help="questions at most (default: %(default)s)")
    options = parser.parse_args(arguments)
    for line in rows(options.folders, options.small or [sections.SMALL_TOKENS], options.n):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
