"""The baseline is measured as written, and confidence is what the two make of a cosine."""

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
from minisearch.manifest import ScoreBaseline
from minisearch.minilm import SentenceTransformer
from minisearch.search import confidence
from minisearch.search.confidence import (
    CONFIDENT_FROM,
    CONSTANT,
    SLOPE,
    generic_queries,
    heights,
    is_confident,
    measure_baseline,
    relevance,
    score_baseline,
)
from minisearch.stores.local import LocalStore
from minisearch.types import Encoder
from tests.fakes import HashingEncoder

cosines = st.floats(-1, 1, width=32)
nulls = st.builds(
    score_baseline, st.lists(cosines, min_size=1, max_size=30), st.lists(cosines, min_size=1, max_size=30)
)


def a_null(generic: tuple[float, float], cross: tuple[float, float]) -> ScoreBaseline:
    """A null with these medians and 95th percentiles, evenly spread."""

    def percentiles(median: float, high: float) -> tuple[float, ...]:
        return tuple(median + (high - median) * (i - 10) / 9 for i in range(21))

    return ScoreBaseline(percentiles(*generic), percentiles(*cross))


@given(nulls, cosines, cosines, st.floats(0, 1), st.floats(0, 1))
def test_more_in_meaning_or_in_words_is_never_less_relevant(
    baseline: ScoreBaseline, one: float, other: float, few: float, many: float
) -> None:
    (low, high), (few, many) = sorted([one, other]), sorted([few, many])
    assert 0 <= relevance(low, baseline, words=few) <= relevance(high, baseline, words=many) <= 1


@given(nulls, cosines)
def test_a_clearly_higher_cosine_is_more_relevant_until_it_is_certain(
    baseline: ScoreBaseline, cosine: float
) -> None:
    low, high = relevance(cosine, baseline), relevance(cosine + 0.1, baseline)
    assert low < high or low > 1 - 1e-9 or high < 1e-9


def test_heights_are_counted_from_the_median_in_steps_to_the_95th_percentile() -> None:
    baseline = a_null(generic=(0.2, 0.4), cross=(0.5, 0.7))
    assert heights(0.4, baseline) == pytest.approx((1.0, -0.5))
    assert heights(0.2, baseline) == pytest.approx((0.0, -1.5))


def test_relevance_is_the_logistic_of_both_heights_together() -> None:
    baseline = a_null(generic=(0.2, 0.4), cross=(0.5, 0.7))
    # 0.6 stands 2 above the generic median and 0.5 above the other.
    assert relevance(0.6, baseline) == pytest.approx(1 / (1 + math.exp(-(2.5 * SLOPE + CONSTANT))))


def test_the_same_cosine_says_less_where_chance_scores_higher() -> None:
    quiet, loud = a_null((0.2, 0.4), (0.3, 0.5)), a_null((0.3, 0.5), (0.5, 0.7))
    assert relevance(0.45, loud) < relevance(0.45, quiet) - 0.2


@pytest.mark.parametrize(("words", "expected"), [(0.39, None), (0.4, 0.5), (0.7, 0.75), (1.0, 1.0)])
def test_a_passage_with_all_the_words_is_relevant_where_it_is_not_far_in_meaning(words, expected) -> None:
    baseline = a_null(generic=(0.2, 0.4), cross=(0.5, 0.7))
    by_meaning = relevance(0.3, baseline)
    assert 0.1 < by_meaning < 0.5
    assert relevance(0.3, baseline, words=words) == pytest.approx(
        by_meaning if expected is None else expected
    )
    assert relevance(0.05, baseline, words=words) == relevance(0.05, baseline) < 0.1
    assert relevance(0.9, baseline, words=0.4) == relevance(0.9, baseline) > 0.5


def test_scores_that_are_all_the_same_still_give_a_number() -> None:
    baseline = score_baseline([0.3] * 5, [0.3])
    assert relevance(-1.0, baseline) < 0.01
    assert relevance(1.0, baseline) > 0.99


def test_percentiles_are_those_of_the_scores_in_any_order() -> None:
    scores = [i / 100 for i in range(101)]
    baseline = score_baseline(scores, scores[::-1])
    assert baseline.generic == baseline.cross == tuple(i / 20 for i in range(21))


def test_a_page_is_confident_when_any_result_is() -> None:
    assert is_confident([CONFIDENT_FROM - 0.01, None, CONFIDENT_FROM]) is True
    assert is_confident([CONFIDENT_FROM - 0.01, 0.0]) is False


def test_a_page_without_estimates_says_nothing() -> None:
    assert is_confident([]) is None
    assert is_confident([None, None]) is None


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


def test_fewer_than_twenty_documents_tell_nothing(tmp_path: Path, encoder: HashingEncoder) -> None:
    with index_of(tmp_path / "19", sentences_of_words(19), encoder) as store:
        assert measured(store, encoder) is None
    with index_of(tmp_path / "20", sentences_of_words(20), encoder) as store:
        assert measured(store, encoder) is not None


def test_the_null_is_that_of_brute_force(tmp_path: Path, encoder: HashingEncoder) -> None:
    texts = sentences_of_words(30)
    with index_of(tmp_path, texts, encoder) as store:
        baseline = measured(store, encoder)
    vectors = encoder.encode(list(texts.values()))  # (30, d)
    generic = (encoder.encode(generic_queries()) @ vectors.T).max(axis=1)
    others = vectors @ vectors.T - 9 * np.eye(len(vectors))  # a sentence is not asked of its own document
    assert baseline is not None
    assert baseline.generic == pytest.approx(np.percentile(generic, range(0, 101, 5)), abs=1e-4)
    assert baseline.cross == pytest.approx(np.percentile(others.max(axis=1), range(0, 101, 5)), abs=1e-4)


def test_copies_of_documents_do_not_pass_for_chance(tmp_path: Path, encoder: HashingEncoder) -> None:
    texts = sentences_of_words(30)
    copies = {f"copy-{name}": f"{text}\nfrom the archive" for name, text in texts.items()}
    nulls = []
    for name, files in (("once", texts), ("twice", texts | copies)):
        with index_of(tmp_path / name, files, encoder) as store:
            nulls.append(measured(store, encoder))
    once, twice = nulls
    assert once and twice
    assert max(twice.cross) < 0.95
    assert twice.cross[10] == pytest.approx(once.cross[10], abs=0.1)


def test_the_same_index_gives_the_same_null(tmp_path: Path, encoder: HashingEncoder) -> None:
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
        [relevance(cosine, baseline) for cosine in (minilm.encode(texts) @ vectors.T).max(axis=1).tolist()]
        for texts in (own, far)
    ]
    assert min(estimates[0]) >= CONFIDENT_FROM > max(estimates[1])


# --- scripts/confidence.py ------------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return import_module("confidence")


def test_auroc_counts_ties_half(script: ModuleType) -> None:
    # Of the six pairs 3 beats both, each 2 beats 1 and ties with 2: 2 + 1.5 + 1.5.
    assert script.auroc([3, 2, 2], [2, 1]) == pytest.approx(5 / 6)
    assert script.auroc([1, 2], [3, 4]) == 0
    assert script.auroc([1, 1], [1, 1, 1]) == 0.5


def samples(script: ModuleType) -> list[object]:
    """Two indexes in which answerable questions score higher than near ones, and far ones lowest."""
    random_ = np.random.default_rng(0)
    found = []
    for name, middle in (("one", 0.5), ("other", 0.6)):
        answered, near, far = (
            random_.normal(mean, 0.1, 40).astype(np.float32) for mean in (middle, middle - 0.1, 0.2)
        )
        baseline = score_baseline(
            random_.normal(0.2, 0.1, 50).tolist(), random_.normal(middle, 0.1, 50).tolist()
        )
        found.append(
            script.Sample(name, baseline, *(best(script, cosines) for cosines in (answered, near, far)))
        )
    return found


def best(script: ModuleType, cosines: np.ndarray) -> object:
    """So near in meaning, no word shared."""
    return script.Best(cosines, np.zeros(len(cosines), np.float32))


def test_the_fit_is_where_the_weighted_loss_is_least(script: ModuleType) -> None:
    from scipy.optimize import minimize

    found = samples(script)
    x, labels, weights = script.design(found, script.both)

    def loss(beta: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-x @ beta))
        return float(
            -(weights * np.log(np.where(labels == 1, p, 1 - p))).sum() + script.RIDGE / 2 * beta @ beta
        )

    assert weights.sum() == pytest.approx(1)
    assert script.fit(found) == pytest.approx(minimize(loss, np.zeros(2), tol=1e-12).x, abs=1e-3)


def test_the_fit_weighs_every_index_alike_however_many_its_queries(script: ModuleType) -> None:
    one, other = samples(script)
    thrice = script.Sample(
        "one", one.baseline, *(best(script, np.tile(x.cosines, 3)) for x in (one.answered, one.near, one.far))
    )
    assert script.fit([thrice, other]) == pytest.approx(script.fit([one, other]))


def test_the_table_counts_right_decisions_at_the_threshold(script: ModuleType) -> None:
    baseline = samples(script)[0].baseline
    sure, unsure = np.float32([0.9]), np.float32([-0.5])
    assert relevance(0.9, baseline) > CONFIDENT_FROM > relevance(-0.5, baseline), heights(0.9, baseline)
    kinds = (np.r_[sure, sure, unsure], np.r_[sure, unsure], np.r_[unsure])
    row = script.Sample("mine", baseline, *(best(script, cosines) for cosines in kinds))
    assert script.table([row]).splitlines()[-1] == (
        "| mine | 2 of 3 (67%) | 1 of 1 (100%) | 0.833 | 1 of 2 (50%) | 0.583 |"
    )


def test_the_script_says_how_to_call_it_and_what_it_lacks(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        (["--help"], "python scripts/confidence.py COLLECTION"),
        (["data"], "two folders"),
    ):
        with pytest.raises(SystemExit):
            script.main(arguments)
        printed = capsys.readouterr()
        assert said in printed.out + printed.err


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
        assert engine.query("number")[0].relevance is None
        engine.index(tmp_path)
        assert engine.query("number")[0].relevance is not None


def test_an_index_too_small_to_measure_is_not_measured_again_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("one")
    encoder = HashingEncoder()
    with MiniSearch.open(tmp_path, encoder=encoder) as engine:
        engine.index(tmp_path)
        n_encoded = encoder.n_encoded
        engine.index(tmp_path)
    assert encoder.n_encoded == n_encoded
