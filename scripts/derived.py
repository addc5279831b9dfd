"""Collections derived from others or from code: queries by title, by claim, by docstring.

The text that a query is made from is removed from the document that answers it, so that it cannot be found by
its own words.
"""

from __future__ import annotations

import ast
import random
import re
import sysconfig
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from minisearch.evaluation.collection import Collection, CollectionDocument

N = 400  # queries of each collection
N_FUNCTIONS = 1_500
LEFT_OUT = {"test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3", "turtledemo"}

_SENTENCE_END = re.compile(r"\s*\.\s+|\s*\.$")


def titles(collection: Collection) -> Collection:
    """Titles of at least four words as queries; the texts are without them."""
    corpus, pairs = {}, []
    for entry in collection.corpus.values():
        title = entry.title.strip(" .")
        text = entry.text.removeprefix(title).strip(" .") if title else entry.text
        if len(text.split()) > 20:
            corpus[entry.id] = replace(entry, title="", text=text)
            if len(title.split()) >= 4:
                pairs.append((title, entry.id))
    return _made(f"{collection.name}, titles", corpus, pairs)


def claims(collection: Collection) -> Collection:
    """The last sentences of abstracts, of 8 to 22 words, as queries; the abstracts are without them."""
    corpus, pairs = {}, []
    for entry in collection.corpus.values():
        sentences = [part for part in _SENTENCE_END.split(entry.text) if part.strip()]
        if len(sentences) >= 3 and 8 <= len(sentences[-1].split()) <= 22:
            corpus[entry.id] = replace(entry, text=" . ".join(sentences[:-1]) + " .")
            pairs.append((sentences[-1], entry.id))
        elif entry.text.strip():
            corpus[entry.id] = entry
    return _made(f"{collection.name}, claims", corpus, pairs)


def functions() -> Collection:
    """Functions of Python's standard library; the first lines of their docstrings are the queries."""
    found = dict(_functions(Path(sysconfig.get_paths()["stdlib"])))
    kept = random.Random(0).sample(sorted(found), min(N_FUNCTIONS, len(found)))  # noqa: S311 - the same each time
    pairs = [(found[id_][0], id_) for id_ in kept if 5 <= len(found[id_][0].split()) <= 20]
    return _made("functions", {id_: CollectionDocument(id_, "", found[id_][1]) for id_ in kept}, pairs)


def _functions(library: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each function's name, the first line of its docstring, and its code without that."""
    for path in sorted(library.rglob("*.py")):
        name = path.relative_to(library).with_suffix("").parts
        if LEFT_OUT.isdisjoint(name):
            source = path.read_text(encoding="utf-8", errors="replace")
            lines = source.splitlines()
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef) and (docstring := ast.get_docstring(node)):
                    said = node.body[0]
                    code = lines[node.lineno - 1 : said.lineno - 1] + lines[said.end_lineno : node.end_lineno]
                    if len(node.body) > 1 and len(code) >= 5:
                        first = docstring.split("\n\n")[0].replace("\n", " ").split(". ")[0].strip(" .")
                        yield (
                            ".".join([*name, node.name, str(node.lineno)]),
                            (first, textwrap.dedent("\n".join(code))),
                        )


def _made(
    name: str, corpus: Mapping[str, CollectionDocument], pairs: Iterable[tuple[str, str]]
) -> Collection:
    """A collection with at most N of these queries, each with one relevant document."""
    pairs = list(pairs)
    times = Counter(text for text, _ in pairs)
    once = [(text, id_) for text, id_ in pairs if times[text] == 1]
    random.Random(0).shuffle(once)  # noqa: S311 - the same each time
    queries = {str(n): text for n, (text, _) in enumerate(once[:N])}
    judgements = {str(n): {id_: 1} for n, (_, id_) in enumerate(once[:N])}
    return Collection(name, "test", corpus, queries, judgements)
