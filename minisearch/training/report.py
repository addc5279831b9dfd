"""Measure a trained model, quality on the user's own documents and speed, and write its model card.

Quality is measured with known-item queries: made from headings, titles and sentences of the corpus, whose
words are then removed from their document.  The documents are also training texts, without any labels.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minisearch.evaluation.known_items import (
    ChunkedDocument,
    candidates,
    choose,
    found_elsewhere,
    masked,
    sample,
)
from minisearch.evaluation.measures import Estimate, rank_measures
from minisearch.minilm.catalog import find
from minisearch.minilm.hub import locate
from minisearch.minilm.models import CrossEncoder, SentenceTransformer
from minisearch.minilm.settings import n_parameters
from minisearch.minilm.static import StaticEncoder
from minisearch.training.trainer import Trained
from minisearch.types import Encoder, FloatArray, Reranker

Embedder = SentenceTransformer | StaticEncoder

N_QUERIES = 100
MIN_QUERIES = 20  # with fewer the intervals are so wide that they say nothing
DOCUMENTS_A_QUERY = 3
RERANKED = 30  # passages of a query that a reranker puts in order
N_SPEED_TEXTS = 600
N_ROUNDS = 3
NOT_MEASURED = "Quality was not measured: too few queries could be left out of the training."
HOW_MEASURED = (
    "Recall and MRR are of dense search, with queries made from headings, titles and sentences of the "
    "corpus, whose words are removed from their document. The model was trained on the same documents, "
    "without labels."
)


@dataclass(frozen=True, slots=True)
class KnownItemTest:
    """Queries, the passages (P) among which they are searched, and the document of each passage and query."""

    queries: tuple[str, ...]
    answers: tuple[int, ...]
    passages: tuple[str, ...]
    documents: np.ndarray  # (P,)

    def measured(self, model: Encoder) -> dict[str, Estimate]:
        """Recall at 1, 5 and 10 and MRR@10 of exact dense search, a document by its best passage."""
        return self._of(self._cosines(model))

    def reranked(
        self, model: SentenceTransformer, reranker: Reranker, *, depth: int = RERANKED
    ) -> dict[str, Estimate]:
        """The same after the ``depth`` best passages of each query were put in the reranker's order."""
        scores = self._cosines(model)  # (Q, P)
        for query, of_query in zip(self.queries, scores, strict=True):
            best = np.argsort(-of_query, kind="stable")[:depth]
            order = np.argsort(reranker.score(query, [self.passages[place] for place in best.tolist()]))
            of_query[best[order]] = 2 + np.arange(len(best))  # above every cosine
        return self._of(scores)

    def _cosines(self, model: Encoder) -> FloatArray:  # (Q, P)
        passages = model.encode_document(self.passages)  # (P, D)
        cosines: FloatArray = model.encode_query(self.queries) @ passages.T
        return cosines

    def _of(self, scores: FloatArray) -> dict[str, Estimate]:
        """The measures of scores (Q, P)."""
        ids, places = np.unique(self.documents, return_inverse=True)
        best = np.full((len(self.queries), len(ids)), -np.inf, np.float32)
        for place, of_passage in zip(places.tolist(), scores.T, strict=True):
            np.maximum(best[:, place], of_passage, out=best[:, place])
        own = best[np.arange(len(best)), np.searchsorted(ids, self.answers)]
        # A document that scores as much counts as better, and so does all beside NaN.
        return rank_measures((~(best < own[:, None])).sum(1).tolist())


def known_item_test(
    documents: Sequence[ChunkedDocument], *, n: int = N_QUERIES, has_titles: bool = True, seed: int = 0
) -> KnownItemTest | None:
    """A test on at most ``n`` queries, each with a document of its own, among three times as many documents.

    With ``has_titles``, passages begin with the title of their document.  None if the documents give fewer
    than `MIN_QUERIES` queries.
    """
    by_path = {document.path: document for document in documents}
    sampled = [by_path[path] for path in sample(list(by_path), DOCUMENTS_A_QUERY * n, seed=seed)]
    items = [item for document in sampled for item in candidates(document, seed=seed)]
    ambiguous = found_elsewhere(items, documents)
    chosen = choose([item for item in items if item not in ambiguous], n, seed=seed)
    if len(chosen) < MIN_QUERIES:
        return None
    item_of = {item.document_id: item for item in chosen}
    passages, owners = list[str](), list[int]()
    for document in sampled:
        title, chunks = document.title, tuple(document.chunks)
        if document.id in item_of:
            title, left = masked(document, item_of[document.id])
            chunks = tuple(chunk for chunk in left if chunk is not None)
        passages += [f"{title * has_titles} {chunk.text}".strip() for chunk in chunks]
        owners += [document.id] * len(chunks)
    return KnownItemTest(
        tuple(item.text for item in chosen),
        tuple(item.document_id for item in chosen),
        tuple(passages),
        np.array(owners, np.int64),
    )


def tokens_per_s(models: Sequence[Embedder], texts: Sequence[str]) -> list[float]:
    """How many tokens a second each model encodes: the medians of some rounds, in which they take turns.

    Each round has texts of its own, because a static model keeps the ids of words that it has met.
    """
    speeds: list[list[float]] = [[] for _ in models]
    for number in range(1 + N_ROUNDS):
        some = texts[number :: 1 + N_ROUNDS] or texts
        for model, of_model in zip(models, speeds, strict=True):
            n_tokens = sum(min(len(spans), model.max_tokens) for spans in model.tokenizer.spans(some))
            started_s = time.perf_counter()
            model.encode(some)
            if number:  # the first round packs the weights
                of_model.append(n_tokens / (time.perf_counter() - started_s))
    return [float(np.median(of_model)) for of_model in speeds]


@dataclass(frozen=True, slots=True)
class Measured:
    """One model of a comparison; ``quality`` is empty if the corpus gives too few queries."""

    name: str
    n_layers: int
    width: int
    n_parameters: int
    tokens_per_s: float | None
    quality: Mapping[str, float]


def evaluation_of(
    who: str,
    test: KnownItemTest | None,
    measure: Callable[[KnownItemTest], Mapping[str, Estimate]],
    on_step: Callable[[str], object],
) -> Callable[[], dict[str, float]] | None:
    """What `train` calls to evaluate the model that messages call ``who``; None without a test."""
    if test is None:
        return None

    def evaluate() -> dict[str, float]:
        on_step(f"measuring the quality of the {who}")
        return {name: estimate.value for name, estimate in measure(test).items()}

    return evaluate


def compare(
    teacher: SentenceTransformer,
    student: Embedder,
    trained: Trained,
    test: KnownItemTest | None,
    texts: Sequence[str],
    *,
    on_step: Callable[[str], object] = lambda _: None,
) -> list[Measured]:
    """Teacher, student before and student: their speed in one paired run, and their quality."""
    on_step("measuring speed")
    of_teacher, of_student = tokens_per_s([teacher, student], texts[:N_SPEED_TEXTS])
    evaluate = evaluation_of("teacher", test, lambda test: test.measured(teacher), on_step)
    return [
        measured("teacher", teacher, evaluate() if evaluate else {}, tokens_per_s=of_teacher),
        measured("student before", student, trained.before, tokens_per_s=of_student),
        measured("student", student, trained.after, tokens_per_s=of_student),
    ]


def measured(
    name: str,
    model: Embedder | CrossEncoder,
    quality: Mapping[str, float],
    *,
    tokens_per_s: float | None = None,
) -> Measured:
    """The row of a model."""
    if isinstance(model, StaticEncoder):
        return Measured(name, 0, model.dimension, model.table.size, tokens_per_s, quality)
    config = model.model.config
    n_labels = model.n_labels if isinstance(model, CrossEncoder) else None
    return Measured(
        name,
        config.num_hidden_layers,
        config.hidden_size,
        n_parameters(config, n_labels=n_labels),
        tokens_per_s,
        quality,
    )


def table(rows: Sequence[Measured]) -> list[list[str]]:
    """The comparison as rows of cells, the header first; speed only if it was measured."""
    measures = list(rows[0].quality)
    speed = ["tokens/s"] if any(row.tokens_per_s for row in rows) else []
    cells = [["", "layers", "width", "parameters", *speed, *measures]]
    for row in rows:
        quality = [f"{row.quality[name]:.3f}" for name in measures]
        size = [str(row.n_layers), str(row.width), f"{row.n_parameters / 1e6:.1f}M"]
        of_speed = "" if row.tokens_per_s is None else f"{row.tokens_per_s:,.0f}"
        cells.append([row.name, *size, *([of_speed] if speed else []), *quality])
    return cells


# --- the model card -------------------------------------------------------------------------------------


def license_of(teacher: str) -> str:
    """The licence of a checkpoint: of the catalog, else of its own model card, else "unknown"."""
    if checkpoint := find(teacher):
        return checkpoint.license
    card = locate(teacher).folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.exists() else ""
    found = re.search(r"\A---\n(?:(?!---).*\n)*?license:[ \t]*(\S+)", text)
    return found[1] if found else "unknown"


def source_of(base: str) -> str:
    """The repository of a checkpoint of the catalog, else the name of its folder."""
    checkpoint = find(base)
    return checkpoint.repository if checkpoint else Path(base).name


def model_card(
    name: str,
    what: str,
    base: str,
    rows: Sequence[Measured],
    facts: Mapping[str, str],
    *,
    use: str,
    has_plot: bool,
    how_measured: str,
) -> str:
    """README.md of a model: ``what`` it is and how it was made from a ``base``, and what was measured.

    ``use`` is code that uses it, in which FOLDER stands for its name.
    """
    header, *others = table(rows)
    lines = [
        "---",
        "library_name: sentence-transformers",
        f"license: {license_of(base)}",
        *([f"base_model: {source_of(base)}"] if find(base) else []),
        "---",
        f"# {name}",
        "",
        what,
        "",
        "```",
        use.replace("FOLDER", name),
        "```",
        "",
        f"| {' | '.join(header)} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(cells)} |" for cells in others),
        "",
        how_measured if rows[0].quality else NOT_MEASURED,
        "",
        *(f"- {label}: {value}" for label, value in facts.items()),
        f"- licence of {source_of(base)}: {license_of(base)}",
        *(["", "![Losses, and quality during and after training](loss.png)"] if has_plot else []),
    ]
    return "\n".join(lines) + "\n"
