"""The baseline is measured as written; relevance is a logistic function of the signals."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch import MiniSearch
from minisearch.manifest import Manifest, ScoreBaseline
from minisearch.minilm import SentenceTransformer
from minisearch.results import MODES, Mode, Trace
from minisearch.search import confidence
from minisearch.search.confidence import (
    CONFIDENT_FROM,
    WEIGHTS,
    generic_queries,
    heights,
    measure_baseline,
    relevances,
    with_rarer_words,
)
from minisearch.search.ranking import Best, Ranking
from minisearch.stores.base import FileStamp, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.types import Chunk, Encoder
from tests.fakes import HashingEncoder
from tests.stores.memory_store import MemoryStore

BASELINE = ScoreBaseline(generic=(0.2, 0.4), own=(0.5, 0.7))

cosines = st.floats(-1, 1, width=32)
shares = st.floats(0, 1, width=32)
pairs = st.tuples(cosines, cosines).map(sorted).map(tuple)
baselines = st.builds(ScoreBaseline, pairs, pairs)


def ranking(*scores: float, cosine: float = 0.3, share: float = 0.0, exact: float = 0.0) -> Ranking:
    """A hybrid ranking with these scores, whose best candidate has these signals."""
    traces = tuple(Trace(cosine=cosine, words=share, fused=score, exact=exact) for score in scores)
    found = np.array(scores, np.float32)
    return Ranking(np.arange(len(scores)), found, traces, is_complete=True, best=Best(cosine, share))


@given(baselines, cosines, cosines, shares, shares, st.sampled_from(MODES))
def test_more_in_meaning_or_in_words_is_never_less_relevant(
    baseline: ScoreBaseline, one: float, other: float, few: float, many: float, mode: Mode
) -> None:
    (low, high), (few, many) = sorted([one, other]), sorted([few, many])
    (worse,) = relevances(ranking(1.0, cosine=low, share=few), baseline, mode)
    (better,) = relevances(ranking(1.0, cosine=high, share=many, exact=1.0), baseline, mode)
    assert 0 <= worse <= better <= 1


@given(baselines, cosines, st.lists(shares, max_size=9), st.sampled_from(MODES))
def test_no_relevance_is_above_the_one_before_it(
    baseline: ScoreBaseline, cosine: float, scores: list[float], mode: Mode
) -> None:
    found = relevances(ranking(*sorted(scores, reverse=True), cosine=cosine), baseline, mode)
    assert found == sorted(found, reverse=True) and len(found) == len(scores)


def test_heights_are_counted_from_the_median_in_steps_to_the_95th_percentile() -> None:
    assert heights(0.4, BASELINE) == pytest.approx((1.0, -0.5))
    assert heights(0.2, BASELINE) == pytest.approx((0.0, -1.5))


def test_heights_have_bounds_and_near_copies_set_no_scale() -> None:
    assert heights(1.0, BASELINE) == (2.0, 1.0)
    assert heights(-1.0, BASELINE) == (-1.0, -1.5)
    copies = ScoreBaseline(generic=(0.11, 0.12), own=(0.9, 0.91))
    assert heights(0.16, copies) == pytest.approx((0.5, -1.5))  # spreads of .1 and .15 at least
    assert heights(0.65, copies) == pytest.approx((2.0, 0.0))  # a median of .65 at most


def test_relevance_is_the_logistic_of_the_weighted_signals() -> None:
    meaning, words, exact, below_best, constant = WEIGHTS["hybrid"]
    first = meaning * (1 - 0.5) + words * 0.25 + exact * 0.5 + constant
    found = relevances(ranking(0.7, 0.6, cosine=0.4, share=0.25, exact=0.5), BASELINE, "hybrid")
    assert found == pytest.approx([1 / (1 + math.exp(-first)), 1 / (1 + math.exp(-first - 0.1 * below_best))])


def test_a_name_or_exact_token_lifts_only_the_candidate_that_has_it() -> None:
    plain = relevances(ranking(0.5, 0.4), BASELINE, "hybrid")
    traces = (Trace(cosine=0.3, fused=0.3, exact=1.0), Trace(cosine=0.3, fused=0.5, exact=0.0))
    named = Ranking(np.arange(2), np.array([0.9, 0.25], np.float32), traces, True, Best(0.3))
    first, second = relevances(named, BASELINE, "hybrid")
    assert first > plain[0] and second == pytest.approx(min(first, plain[0]))


def test_the_same_cosine_says_less_where_unrelated_queries_score_higher() -> None:
    loud = ScoreBaseline(generic=(0.3, 0.5), own=(0.6, 0.8))
    (quiet,), (noisy,) = (relevances(ranking(1, cosine=0.45), one, "dense") for one in (BASELINE, loud))
    assert noisy < quiet - 0.1


def test_a_word_that_most_passages_have_brings_no_passage_nearer(encoder: HashingEncoder) -> None:
    texts = [f"celery {word}" for word in ("proxies", "cookies", "logs")] * 20
    store = MemoryStore()
    vectors = encoder.encode_document(texts)
    for n, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        row = StoredDocument(f"{n}.md", "markdown", "", FileStamp(0, 0, 0, 0), b"", "")
        store.put(row, [Chunk(0, len(text), text, 0, len(text), 1, 1, "", 2)], vector[None])
    ids = store.sample_ids(60)

    def best(text: str, cosine: float) -> float | None:
        before = Ranking(ids, np.ones(60, np.float32), (Trace(),) * 60, True, Best(cosine))
        return with_rarer_words(before, text, store, encoder).best.cosine

    expected = float((vectors @ encoder.encode_query(["on a console"])[0]).max())
    assert best("celery on a console", 0.9) == pytest.approx(expected, abs=1e-6)
    assert expected < 0.9
    assert best("celery logs", 0.1) == 0.1  # never higher
    assert best("on a console", 0.9) == 0.9
    assert best("celery", 0.9) == 0.9


def test_without_a_baseline_only_words_count() -> None:
    low, high = (relevances(ranking(1, cosine=one), None, "hybrid") for one in (-1.0, 1.0))
    assert low == high and high[0] < 0.1


def test_nothing_found_gives_nothing() -> None:
    for mode in MODES:
        assert relevances(ranking(), BASELINE, mode) == []


ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"


@contextmanager
def index_of(folder: Path, texts: dict[str, str], encoder: Encoder) -> Iterator[LocalStore]:
    """An index of files with these texts, its store open for writing."""
    (folder / "docs").mkdir(parents=True)
    for name, text in texts.items():
        (folder / "docs" / name).write_text(text, encoding="utf-8")
    with MiniSearch.open(folder / "index", encoder=encoder) as engine:
        engine.index(folder / "docs", backend="flat")
    with LocalStore(folder / "index" / ".minisearch" / "minisearch.db", writable=True) as store:
        yield store


def measured(store: LocalStore, encoder: Encoder) -> ScoreBaseline | None:
    with store.snapshot():
        return measure_baseline(store, encoder)


def sentences_of_words(n: int, seed: int = 0) -> dict[str, str]:
    """Files of one made-up sentence each, the same for the same seed."""
    random_ = random.Random(seed)
    words = [f"word{i}" for i in range(60)]
    return {f"{i}.txt": " ".join(random_.choices(words, k=9)).capitalize() + "." for i in range(n)}


def test_the_baseline_is_that_of_brute_force(tmp_path: Path, encoder: HashingEncoder) -> None:
    texts = sentences_of_words(30)
    with index_of(tmp_path, texts, encoder) as store:
        baseline = measured(store, encoder)
    sentences = encoder.encode(list(texts.values()))  # (30, d)
    vectors = encoder.encode([f"{name.removesuffix('.txt')} {text}" for name, text in texts.items()])
    generic = (encoder.encode(generic_queries()) @ vectors.T).max(axis=1)
    # A sentence is not searched for in its own document.
    others = sentences @ vectors.T - 9 * np.eye(len(vectors))
    assert baseline is not None and baseline.n_documents == 30
    assert baseline.generic == pytest.approx(np.percentile(generic, [50, 95]), abs=1e-4)
    assert baseline.own == pytest.approx(np.percentile(others.max(axis=1), [50, 95]), abs=1e-4)


def test_a_small_index_is_measured_with_a_quarter_of_the_everyday_queries(
    tmp_path: Path, encoder: HashingEncoder
) -> None:
    texts = sentences_of_words(3)
    with index_of(tmp_path, texts, encoder) as store:
        before = encoder.n_encoded
        baseline = measured(store, encoder)
    assert encoder.n_encoded - before == len(generic_queries()[::4])
    vectors = encoder.encode([f"{name.removesuffix('.txt')} {text}" for name, text in texts.items()])
    generic = (encoder.encode(generic_queries()[::4]) @ vectors.T).max(axis=1)
    assert baseline is not None
    assert baseline.generic == pytest.approx(np.percentile(generic, [50, 95]), abs=1e-4)
    assert baseline.own[0] == pytest.approx(baseline.generic[0] + 0.47 * (1 - baseline.generic[0]))


def test_an_index_that_has_grown_twofold_is_measured_again(tmp_path: Path, encoder: HashingEncoder) -> None:
    def n_measured() -> int:
        with LocalStore(tmp_path / ".minisearch" / "minisearch.db") as store:
            baseline = Manifest.read(store, tmp_path / ".minisearch").baseline
        assert baseline is not None
        return baseline.n_documents

    seen = []
    with MiniSearch.open(tmp_path, encoder=encoder) as engine:
        for name, text in sentences_of_words(5).items():
            (tmp_path / name).write_text(text)
            engine.index(tmp_path)
            seen.append(n_measured())
    assert seen == [1, 2, 2, 4, 4]


def test_copies_of_documents_do_not_raise_the_baseline(tmp_path: Path, encoder: HashingEncoder) -> None:
    texts = sentences_of_words(30)
    copies = {f"copy-{name}": f"{text}\nfrom the archive" for name, text in texts.items()}
    found = []
    for name, files in (("once", texts), ("twice", texts | copies)):
        with index_of(tmp_path / name, files, encoder) as store:
            found.append(measured(store, encoder))
    once, twice = found
    assert once and twice
    assert max(twice.own) < 0.95
    assert twice.own[0] == pytest.approx(once.own[0], abs=0.1)


class NarrowEncoder(HashingEncoder):
    """Any two texts have a cosine of at least .9, as with some models."""

    def encode(self, texts):
        vectors = super().encode(texts) + 4 * np.eye(self.dimension, dtype=np.float32)[0]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_small_index_of_a_model_whose_texts_are_all_alike_opens_again(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The roof leaks.")
    with MiniSearch.open(tmp_path, encoder=NarrowEncoder()) as ms:
        ms.index(tmp_path / "a.md")
        assert ms.query("the roof")


def test_the_same_index_gives_the_same_baseline(tmp_path: Path, encoder: HashingEncoder) -> None:
    with index_of(tmp_path, sentences_of_words(150), encoder) as store:
        assert measured(store, encoder) == measured(store, encoder)


def test_it_encodes_a_few_hundred_short_texts_however_large_the_index(
    tmp_path: Path, encoder: HashingEncoder
) -> None:
    with index_of(tmp_path, sentences_of_words(400), encoder) as store:
        before = encoder.n_encoded
        measured(store, encoder)
    assert encoder.n_encoded - before <= 250


def test_the_generic_queries_are_many_and_all_different() -> None:
    queries = generic_queries()
    assert len({query.casefold() for query in queries}) == len(queries) >= 150
    assert all(3 <= len(query.split()) <= 15 for query in queries)


def test_real_queries_of_the_collection_rise_above_chance_and_others_do_not(
    tmp_path: Path, minilm: SentenceTransformer
) -> None:
    files = {
        str(path.relative_to(DATA / "docs")).replace("/", "-"): path.read_text(encoding="utf-8")[:400]
        for path in sorted((DATA / "docs").rglob("*"))
        if path.is_file()
    }
    far = [
        "what similarity laws must be obeyed when constructing aeroelastic models of heated aircraft",
        "boundary layer transition on a blunt body in hypersonic flow",
        "papal elections in the fifteenth century",
        "price of a one-way ferry ticket to Gotland",
    ]
    own = [
        "bread that needs no kneading",
        "why is the sky blue",
        "fees of index funds",
        "pruning apple trees",
    ]
    with index_of(tmp_path, files, minilm) as store:
        baseline = measured(store, minilm)
        assert baseline
        vectors = store.all_vectors(minilm.dimension)[1]
    estimates = [
        [
            relevances(ranking(cosine, cosine=cosine), baseline, "dense")[0]
            for cosine in (minilm.encode(texts) @ vectors.T).max(axis=1).tolist()
        ]
        for texts in (own, far)
    ]
    assert min(estimates[0]) >= CONFIDENT_FROM > max(estimates[1])


# --- scripts/confidence.py ------------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return import_module("confidence")


def sample(script: ModuleType, seed: int = 0, n: int = 200) -> object:
    """Results whose labels follow their signals with some noise."""
    random_ = np.random.default_rng(seed)
    x = np.column_stack([random_.normal(0, 1, (n, 3)), random_.uniform(0, 0.3, n), np.ones(n)])
    p = 1 / (1 + np.exp(-x @ np.array([1.0, 0.5, 1.5, -6.0, -0.5])))
    label = (random_.uniform(0, 1, n) < p).astype(float)
    source = script.Source("mine", "mine", None, BASELINE, np.arange(0), np.arange(0), {})
    kind = np.where(np.arange(n) % 3 == 0, "far", "answered")
    least, rank = np.zeros(n), np.zeros(n, np.int64)
    return script.Sample(source, x, least, rank, kind, label, random_.uniform(0, 1, n))


def test_the_fit_is_where_the_weighted_loss_is_least(script: ModuleType) -> None:
    from scipy.optimize import minimize

    one = sample(script)
    weight = one.weight / one.weight.sum()

    def loss(beta: np.ndarray) -> float:
        p = script.estimates(one, beta)
        log_likelihood = (weight * np.log(np.where(one.label == 1, p, 1 - p))).sum()
        return float(script.RIDGE / 2 * beta @ beta - log_likelihood)

    assert script.fit([one]) == pytest.approx(minimize(loss, np.zeros(5), tol=1e-12).x, abs=1e-3)


def test_the_tables_count_refusals_and_right_results(script: ModuleType) -> None:
    x = np.array([[3, 0, 0, 0, 1], [-3, 0, 0, 0, 1], [3, 0, 0, 0, 1], [-3, 0, 0, 0, 1]], float)
    kind = np.array(["answered", "answered", "near", "far"])
    one = script.Sample(
        script.Source("mine", "mine", None, BASELINE, np.arange(0), np.arange(0), {}),
        *(x, np.zeros(4), np.zeros(4, np.int64), kind, np.array([1.0, 1.0, 0.0, 0.0]), np.ones(4)),
    )
    weights = [[1.0, 0.0, 0.0, 0.0, 0.0]]
    assert list(script.refusals([one], weights))[2] == "| mine | 0.500 | 0.500 | 1.000 | 0.000 | 0.455 |"
    assert list(script.reliability([one], weights))[2:] == [
        "| 0.0 to 0.1 | 2 | 0.05 | 0.50 |",
        "| 0.9 to 1.0 | 2 | 0.95 | 0.50 |",
    ]


def test_the_script_says_how_to_call_it_and_what_it_lacks(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        (["--help"], "python scripts/confidence.py COLLECTION"),
        (["data"], "two collections"),
    ):
        with pytest.raises(SystemExit):
            script.main(arguments)
        printed = capsys.readouterr()
        assert said in printed.out + printed.err


def stored_baseline(folder: Path) -> ScoreBaseline | None:
    with LocalStore(folder / ".minisearch" / "minisearch.db") as store:
        return Manifest.read(store, folder).baseline


def test_a_measuring_that_was_interrupted_is_done_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for n in range(30):
        (tmp_path / f"{n}.txt").write_text(f"The number {n} is no other number than {n}.")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as engine:
        with monkeypatch.context() as patched:
            patched.setattr(confidence, "measure_baseline", interrupted)
            with pytest.raises(KeyboardInterrupt):
                engine.index(tmp_path)
        assert stored_baseline(tmp_path) is None
        assert engine.query("number")[0].relevance is not None, "by the baseline of a usual index"
        engine.index(tmp_path)
        assert stored_baseline(tmp_path) is not None


def test_an_unchanged_index_is_not_measured_again(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("one")
    encoder = HashingEncoder()
    with MiniSearch.open(tmp_path, encoder=encoder) as engine:
        engine.index(tmp_path)
        n_encoded = encoder.n_encoded
        engine.index(tmp_path)
    assert encoder.n_encoded == n_encoded
