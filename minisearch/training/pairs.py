"""Pairs of a query and a passage that answers it, made from documents without labels or read from a file.

From documents: the title, headings and first sentences are queries, and the passage is what follows them,
mostly without the query's words, so that the answer is no copy (the inverse cloze task: Lee et al. 2019,
arXiv 1906.00300).  From a file: one JSON object a line.  `mine` finds negatives, passages that resemble the
answer and are none.  `examples_of` splits what a job gives into pairs to train on and a test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minisearch.errors import InputError
from minisearch.evaluation.collection import lines_of
from minisearch.evaluation.known_items import (
    ChunkedDocument,
    ChunkText,
    KnownItem,
    candidates,
    found_elsewhere,
    masked,
)
from minisearch.minilm.models import SentenceTransformer
from minisearch.text import count
from minisearch.training.data import check_enough
from minisearch.training.job import Job, load_embedder, read_corpus
from minisearch.training.report import (
    DOCUMENTS_A_QUERY,
    MIN_QUERIES,
    N_QUERIES,
    KnownItemTest,
    known_item_test,
)
from minisearch.types import Encoder

PAIRS = "pairs of query and passage"  # in messages
KEYS = ("query", "passage", "negatives")
N_MINED = 20  # negatives of a pair
# A passage that scores more than this share of the answer's score may be an answer itself (NV-Retriever:
# Moreira et al. 2024, arXiv 2407.15831, who chose it among six such rules).
MOST_OF_ANSWER = 0.95
QUERIES_A_BLOCK = 512
TEST_SHARE = 0.2  # of the documents, or of the sources in a file

HOW_DOCUMENTS_MEASURED = (
    "Recall and MRR are of queries made from headings, titles and sentences of some documents of the corpus, "
    "whose words are removed from their document. No pair of these documents was trained on."
)
HOW_PAIRS_MEASURED = (
    "Recall and MRR are of some pairs of the file that were not trained on, nor were others with the same "
    "query or passage."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage that answers it; ``whole`` is the passage with the words of the query in it.

    Passages of pairs with the same ``source`` are not negatives of each other's queries: the source is a
    document, or all pairs of a file that share a query or a passage.  ``negatives`` are passages that do not
    answer the query.
    """

    query: str
    passage: str
    whole: str
    source: int
    negatives: tuple[str, ...] = ()


# --- from documents -----------------------------------------------------------------------------------


def pairs_of(
    documents: Sequence[ChunkedDocument],
    *,
    left_out: Collection[int] = (),
    masked_share: float = 1.0,
    has_titles: bool = True,
    seed: int = 0,
) -> list[Pair]:
    """The pairs of all documents except those with the ids ``left_out``.

    A query whose words are in several documents gives none.  ``masked_share`` of the passages lose the
    words of their query; with ``has_titles``, they begin with the title of their document, as in an index.
    """
    made = [
        (item, part)
        for document in documents
        if document.id not in left_out
        for part in _parts(document)
        for item in candidates(part, seed=seed)
        if item.kind != "title" or part.chunks[0] is document.chunks[0]
    ]
    ambiguous = found_elsewhere((item for item, _ in made), documents)
    generator = np.random.default_rng(seed)
    pairs: dict[tuple[str, str], Pair] = {}
    for item, part in made:
        is_masked = generator.random() < masked_share
        if item not in ambiguous:
            pair = _pair(item, part, is_masked=is_masked, has_title=has_titles)
            pairs.setdefault((pair.query, pair.passage), pair)
    return [*pairs.values()]


def _parts(document: ChunkedDocument) -> Iterator[ChunkedDocument]:
    """Each chunk as a document of its own, with the title of the whole."""
    for chunk in document.chunks:
        yield replace(document, chunks=(chunk,))


def _pair(item: KnownItem, part: ChunkedDocument, *, is_masked: bool, has_title: bool) -> Pair:
    (chunk,) = part.chunks
    title, (left,) = masked(part, item)
    assert left is not None, "a candidate leaves words in its chunk"
    whole = _embedded(part.title, chunk, has_title)
    passage = _embedded(title, left, has_title) if is_masked else whole
    return Pair(item.text, passage, whole, part.id)


def _embedded(title: str, chunk: ChunkText, has_title: bool) -> str:
    return f"{title} {chunk.text}".strip() if has_title else chunk.text.strip()


# --- from a file --------------------------------------------------------------------------------------


def read_pairs(path: Path) -> list[Pair]:
    """The pairs in a file, one object with "query", "passage" and perhaps "negatives" a line.

    InputError with the number of the line for anything else.
    """
    rows = [_row(f"{path}, line {number}", line) for number, line in lines_of(path)]
    if not rows:
        raise InputError(f"{path} is empty: expected a JSON object per line, {_EXPECTED}")
    sources = _sources([(query, passage) for query, passage, _ in rows])
    return [
        Pair(query, passage, passage, source, negatives)
        for (query, passage, negatives), source in zip(rows, sources, strict=True)
    ]


_EXPECTED = '{"query": TEXT, "passage": TEXT} and perhaps "negatives": [TEXT, ...]'


def _row(place: str, line: str) -> tuple[str, str, tuple[str, ...]]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: expected a JSON object, {_EXPECTED}: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{place}: expected a JSON object, {_EXPECTED}, got {line[:40]}")
    if unknown := [key for key in values if key not in KEYS]:
        raise InputError(f"{place}: unknown key {unknown[0][:40]!r}: expected {_EXPECTED}")
    query, passage = (_text(place, values, key) for key in KEYS[:2])
    negatives = values.get("negatives", [])
    if not isinstance(negatives, list) or not all(isinstance(one, str) and one.strip() for one in negatives):
        raise InputError(
            f'{place}: expected a list of texts as "negatives", got {json.dumps(negatives)[:40]}'
        )
    if passage in negatives:
        raise InputError(f'{place}: the passage is also one of the "negatives": expected only wrong passages')
    return query, passage, tuple(negatives)


def _text(place: str, values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value.strip():
        came = f"got {json.dumps(value)[:40]}" if key in values else "it has none"
        raise InputError(f'{place}: expected a text that is not empty as "{key}", {came}')
    return value


def _sources(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """A number for each pair, the same for pairs that share a query or a passage, directly or by others."""
    parents = list(range(len(pairs)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    firsts: dict[tuple[str, str], int] = {}
    for number, texts in enumerate(pairs):
        for kind_and_text in zip(KEYS[:2], texts, strict=True):
            parents[root(number)] = root(firsts.setdefault(kind_and_text, number))
    return [root(number) for number in range(len(pairs))]


# --- negatives ----------------------------------------------------------------------------------------


def sources_of(pairs: Sequence[Pair]) -> dict[str, set[int]]:
    """The sources of each passage, whole or not; copies have several."""
    sources: dict[str, set[int]] = {}
    for pair in pairs:
        for text in (pair.passage, pair.whole):
            sources.setdefault(text, set()).add(pair.source)
    return sources


def mine(pairs: Sequence[Pair], encoder: Encoder, *, n: int = N_MINED, seed: int = 0) -> list[Pair]:
    """The pairs with ``n`` negatives each where they have none: the nearest passages of other sources.

    Whole passages are compared.  One that scores above `MOST_OF_ANSWER` of the cosine of the answer is no
    negative: it may be a copy, or an answer too.  If nothing is left, passages of other sources at random.
    What is used of a passage is as in its own pair: if only right passages lacked words, a model could learn
    to recognise the gaps.  InputError if a pair has no passage of another source.
    """
    used: dict[str, str] = {}
    for pair in pairs:
        used.setdefault(pair.whole, pair.passage)
    wholes = [*used]
    places = {whole: place for place, whole in enumerate(wholes)}
    sources, of_source = sources_of(pairs), dict[int, list[int]]()
    for whole, place in places.items():
        for source in sources[whole]:
            of_source.setdefault(source, []).append(place)
    vectors = encoder.encode_document(wholes)  # (P, D)
    generator = np.random.default_rng(seed)
    mined: list[Pair] = []
    for start in range(0, len(pairs), QUERIES_A_BLOCK):
        block = pairs[start : start + QUERIES_A_BLOCK]
        cosines = encoder.encode_query([pair.query for pair in block]) @ vectors.T  # (B, P)
        for pair, of_pair in zip(block, cosines, strict=True):
            if pair.negatives:
                mined.append(pair)
                continue
            answer = of_pair[places[pair.whole]]
            of_pair[of_source[pair.source]] = -np.inf
            others = np.flatnonzero(of_pair > -np.inf)
            if not len(others):
                raise InputError(
                    f"all passages are of one document, or share a query or a passage, so none is wrong for "
                    f"the query {pair.query[:40]!r}: expected pairs of at least two documents"
                )
            of_pair[of_pair > answer - (1 - MOST_OF_ANSWER) * abs(answer)] = -np.inf
            found = _nearest(of_pair, n)
            if not len(found):
                found = generator.permutation(others)[:n]
            mined.append(replace(pair, negatives=tuple(used[wholes[place]] for place in found.tolist())))
    return mined


def _nearest(cosines: np.ndarray, n: int) -> np.ndarray:
    """The places of the ``n`` highest of cosines (P,), in order, without those that do not count."""
    places = np.argpartition(-cosines, n - 1)[:n] if n < len(cosines) else np.arange(len(cosines))
    places = places[np.lexsort((places, -cosines[places]))]
    return places[cosines[places] > -np.inf]


# --- for a job ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsJob(Job):
    """The options of the commands that train on pairs: made from the corpus, or in a file."""

    model: str
    pairs: Path | None = None

    def base(self) -> SentenceTransformer:
        """The embedder to begin with."""
        return load_embedder(self.model, offline=self.is_offline)


@dataclass(frozen=True, slots=True)
class Examples:
    """Pairs to train on, a test on others (None if there are too few), and where they are from."""

    pairs: tuple[Pair, ...]
    test: KnownItemTest | None
    origin: str
    n_documents: int
    skipped: tuple[tuple[str, str], ...]
    how_tested: str


def examples_of(
    job: PairsJob,
    encoder: SentenceTransformer,
    *,
    batch_size: int,
    masked_share: float = 1.0,
    has_titles: bool = True,
    on_step: Callable[[str], object] = lambda _: None,
) -> Examples:
    """The pairs of a job with negatives, without those of the test: a fifth of the documents, at most 100.

    InputError unless exactly one of corpus and file is given, and for fewer pairs than a step takes.
    """
    if bool(job.corpus) == (job.pairs is not None):
        raise InputError("give either a corpus or a file of pairs")
    on_step("making pairs")
    documents: tuple[ChunkedDocument, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    if job.pairs is not None:
        given = read_pairs(job.pairs)
        pairs, test = _split(given, seed=job.seed)
        n_documents, how_tested = len(given), HOW_PAIRS_MEASURED
        origin = f"{len(pairs):,} pairs of {job.pairs.name}"
    else:
        corpus = read_corpus(job.corpus, encoder)
        documents, skipped = corpus.documents, corpus.skipped
        n_documents, how_tested = len(documents), HOW_DOCUMENTS_MEASURED
        n = min(N_QUERIES, int(TEST_SHARE * n_documents))
        test = known_item_test(documents, n=n, has_titles=has_titles, seed=job.seed)
        left_out = set(test.answers) if test else ()
        pairs = pairs_of(
            documents, left_out=left_out, masked_share=masked_share, has_titles=has_titles, seed=job.seed
        )
        origin = f"{len(pairs):,} pairs made from {n_documents:,} documents"
    check_enough(PAIRS, len(pairs), batch_size)
    on_step(f"looking for negatives of {count(len(pairs), 'pair')}")
    mined = tuple(mine(pairs, encoder, seed=job.seed))
    return Examples(mined, test, origin, n_documents, skipped, how_tested)


def _split(pairs: Sequence[Pair], *, seed: int) -> tuple[list[Pair], KnownItemTest | None]:
    """The pairs to train on, and a test with one query of each of some other sources."""
    sources = sorted({pair.source for pair in pairs})
    n = min(N_QUERIES, int(TEST_SHARE * len(sources)))
    if n < MIN_QUERIES:
        return list(pairs), None
    order = np.random.default_rng(seed).permutation(sources).tolist()
    tested, shown = set(order[:n]), set(order[: DOCUMENTS_A_QUERY * n])
    queries = {pair.source: pair.query for pair in pairs if pair.source in tested}
    passages = {pair.passage: pair.source for pair in pairs if pair.source in shown}
    test = KnownItemTest(
        tuple(queries.values()), tuple(queries), tuple(passages), np.array([*passages.values()], np.int64)
    )
    rest = [pair for pair in pairs if pair.source not in tested]
    hidden = {pair.passage for pair in pairs if pair.source in tested}
    negatives = (tuple(text for text in pair.negatives if text not in hidden) for pair in rest)
    return [replace(pair, negatives=some) for pair, some in zip(rest, negatives, strict=True)], test
