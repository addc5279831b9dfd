"""A second look reorders the candidates that it saw, and sees as many as its time allows."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch.errors import InputError, ModelError, short
from minisearch.search.rerank import N_TIMED, SAMPLE_TEXTS, BiReranker, Pace, parse_duration, rerank
from minisearch.types import FloatArray, IntArray
from tests.fakes import HashingEncoder


class Given:
    """A reranker that gives what it was told to, and remembers what it was asked."""

    name = "given"

    def __init__(self, *scores: float) -> None:
        self.scores = np.array(scores, np.float32)
        self.asked: list[tuple[str, list[str]]] = []

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        self.asked.append((query, list(texts)))
        return self.scores


def test_no_candidates_are_not_put_before_the_reranker() -> None:
    reranker = Given()
    reranked = rerank("q", [], reranker, depth=3)
    assert (reranked.order.shape, reranked.scores.shape, reranked.n_seen) == ((0,), (0,), 0)
    assert reranker.asked == []


def test_one_candidate_gets_its_score() -> None:
    reranked = rerank("q", ["a"], Given(-3.5), depth=30)
    assert (reranked.order.tolist(), reranked.scores.tolist(), reranked.n_seen) == ([0], [-3.5], 1)


def test_the_candidates_beyond_the_depth_stay_behind_as_they_were_and_have_no_score() -> None:
    reranker = Given(0.1, -0.2, 0.3)
    reranked = rerank("q", list("abcde"), reranker, depth=3)
    assert reranker.asked == [("q", ["a", "b", "c"])]
    assert reranked.order.tolist() == [2, 0, 1, 3, 4]
    assert reranked.scores.tolist() == pytest.approx([0.3, 0.1, -0.2])
    assert reranked.n_seen == 3


def test_fewer_candidates_than_the_depth_are_all_seen() -> None:
    assert rerank("q", ["a", "b"], Given(1, 2), depth=30).order.tolist() == [1, 0]


def test_equal_scores_keep_their_old_order() -> None:
    scores = [0.0, 1, -0.0, 1, 0, 1] * 10
    reranked = rerank("q", ["same"] * 60, Given(*scores), depth=60)
    ones, zeros = [n for n in range(60) if scores[n]], [n for n in range(60) if not scores[n]]
    assert reranked.order.tolist() == ones + zeros


@given(st.lists(st.floats(-8, 8, width=32)), st.integers(1, 12))
def test_every_candidate_keeps_exactly_one_place(scores: list[float], depth: int) -> None:
    reranked = rerank("q", ["text"] * len(scores), Given(*scores[:depth]), depth=depth)
    slow = sorted(range(min(depth, len(scores))), key=lambda n: (-scores[n], n))
    assert reranked.order.tolist() == slow + list(range(depth, len(scores)))
    assert reranked.scores.tolist() == [scores[n] for n in slow]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_refused(odd: float) -> None:
    with pytest.raises(ModelError, match=r"given gave 1 of 3 passages a score that is no finite number"):
        rerank("q", list("abc"), Given(0, odd, 1), depth=3)


def test_a_reranker_that_loses_a_text_is_refused() -> None:
    with pytest.raises(ModelError, match=r"given gave scores of shape \(2,\), expected \(3,\)"):
        rerank("q", list("abc"), Given(0, 1), depth=3)


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_of_none_is_refused(depth: int) -> None:
    with pytest.raises(InputError, match=f"rerank depth is {depth}: expected at least 1"):
        rerank("q", ["a"], Given(1), depth=depth)


class Marking(HashingEncoder):
    """Reads a question otherwise than a document, as some encoders are told to."""

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        return self.encode([text + " asked" for text in texts])

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        return self.encode([text + " found" for text in texts])


def test_the_bi_reranker_scores_by_the_cosine_of_query_and_document() -> None:
    encoder, texts = Marking("deep"), ["run the task", "bread", "a failed task"]
    scores = BiReranker(encoder).score("a failed task", texts)
    query = encoder.encode(["a failed task asked"])[0].astype(float)
    expected = [np.dot(encoder.encode([text + " found"])[0], query) for text in texts]
    assert (scores.dtype, scores.shape) == (np.float32, (3,))
    assert scores == pytest.approx(expected, abs=1e-6)
    assert np.ptp(expected) > 0.1
    assert BiReranker(encoder).name == "deep"


def test_the_bi_reranker_encodes_nothing_for_no_texts() -> None:
    encoder = HashingEncoder()
    assert BiReranker(encoder).score("a question", []).shape == (0,)
    assert encoder.n_encoded == 0


class Slow:
    """Takes 10 ms a word by a clock of its own, times what ``slowness`` says of each run in turn."""

    name = "slow"

    def __init__(self, *slowness: float) -> None:
        self.now_s = 100.0
        self.n_runs = 0
        self._slowness = slowness

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        factor = self._slowness[self.n_runs] if self.n_runs < len(self._slowness) else 1.0
        self.now_s += 0.01 * factor * int(words(query, texts).sum())
        self.n_runs += 1
        return np.zeros(len(texts), np.float32)


def words(query: str, texts: Sequence[str]) -> IntArray:
    return np.array([len(query.split()) + len(text.split()) for text in texts], np.int64)


def paced(*slowness: float) -> tuple[Slow, Pace]:
    reranker = Slow(*slowness)
    return reranker, Pace(reranker, words, clock=lambda: reranker.now_s)


def test_the_depth_is_what_the_budget_allows() -> None:
    _, pace = paced()
    assert pace.tokens_per_s == pytest.approx(100)
    # Of 5, 5, 11 and 3 words with a question of 2: 70, 140, 270 and 320 ms.
    texts = ["a b c d e", "a b c d e", "a " * 11, "a b c"]
    depths = {ms: pace.depth("two words", texts, ms / 1_000) for ms in (1, 69, 71, 139, 141, 269, 271, 5_000)}
    assert depths == {1: 1, 69: 1, 71: 1, 139: 1, 141: 2, 269: 2, 271: 3, 5_000: 4}


def test_a_budget_too_small_for_one_candidate_still_sees_one() -> None:
    reranker, pace = paced()
    depth = pace.depth("q", ["a " * 500, "b"], 0.000_001)
    assert rerank("q", ["a " * 500, "b"], reranker, depth=depth).n_seen == 1


def test_the_speed_is_measured_once_whatever_is_asked_then() -> None:
    reranker, pace = paced()
    for n in range(5):
        pace.depth("q", ["a"] * n, 1.0)
    assert reranker.n_runs == 1 + N_TIMED


def test_neither_a_slow_first_run_nor_an_odd_one_sways_the_speed() -> None:
    assert paced(50)[1].tokens_per_s == pytest.approx(100)
    assert paced(1, 50)[1].tokens_per_s == pytest.approx(100)
    assert paced(1, 1, 0.01)[1].tokens_per_s == pytest.approx(100)
    assert paced(*[2] * 9)[1].tokens_per_s == pytest.approx(50)


def test_the_sample_is_as_long_as_passages_are(minilm) -> None:
    n_tokens = [len(spans) for spans in minilm.tokenizer.spans(SAMPLE_TEXTS)]
    assert min(n_tokens) >= 100
    assert max(n_tokens) <= 160


@pytest.mark.parametrize("budget_s", [0.0, -1.0, float("nan")])
def test_a_budget_of_no_time_is_refused(budget_s: float) -> None:
    with pytest.raises(InputError, match=f"rerank budget is {budget_s} s: expected more than 0"):
        paced()[1].depth("q", ["a"], budget_s)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300ms", 0.3), ("0.5s", 0.5), ("2 s", 2), (" 1.5 S ", 1.5), (".25s", 0.25), ("90MS", 0.09), ("1.s", 1)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "300", "ms", "0ms", "0s", "-1s", "+1s", "1e3s", "nans", "infs", "1m", "1500us", "0x3s"),
        *("0,5s", "3 0ms", "1s 1ms", "١s", "３s", "300ms\n!", "9" * 400 + "s"),
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    told = re.escape(f"'{short(text)}' is no duration")
    with pytest.raises(InputError, match=f"{told}.* like 300ms or 0.5s"):
        parse_duration(text)
