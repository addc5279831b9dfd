"""Rerankers order the candidates that they score, as many as the time allows, like sentence-transformers."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sentence_transformers
from transformers import BertForSequenceClassification, BertModel

from minisearch import minilm as room
from minisearch.errors import InputError, ModelError, WeightsNotFound
from minisearch.search.rerank import (
    DEFAULT_DEPTH,
    MAX_DEPTH,
    MODELS,
    N_TIMED,
    SAMPLE_TEXTS,
    BiReranker,
    Rerankers,
    TimedReranker,
    rerank_scores,
)
from minisearch.types import FloatArray, IntArray
from tests.fakes import HashingEncoder
from tests.minilm import checkpoints
from tests.minilm.texts import SCRIPTS


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
    scores = rerank_scores("q", [], reranker)
    assert (scores.shape, scores.dtype) == ((0,), np.float32)
    assert reranker.asked == []


def test_scores_are_in_the_order_of_the_texts() -> None:
    reranker = Given(0.1, -0.2, 0.3)
    assert rerank_scores("q", ["a", "b", "c"], reranker).tolist() == pytest.approx([0.1, -0.2, 0.3])
    assert reranker.asked == [("q", ["a", "b", "c"])]


def test_only_the_texts_within_the_depth_are_scored() -> None:
    reranker = Given(0.1, -0.2, 0.3)
    scores = Rerankers(offline=True).scores(reranker, "q", list("abcde"), depth=3)
    assert scores.tolist() == pytest.approx([0.1, -0.2, 0.3])
    assert reranker.asked == [("q", ["a", "b", "c"])]
    assert Rerankers(offline=True).scores(Given(1, 2), "q", ["a", "b"], depth=30).tolist() == [1, 2]


def test_each_distinct_text_is_scored_once_and_equal_texts_score_the_same() -> None:
    reranker = Given(0.5, 0.25)
    assert rerank_scores("q", ["b", "a", "b", "a"], reranker).tolist() == [0.5, 0.25, 0.5, 0.25]
    assert reranker.asked == [("q", ["b", "a"])]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_refused(odd: float) -> None:
    with pytest.raises(ModelError, match=r"given gave 1 of 3 passages a score that is no finite number"):
        rerank_scores("q", list("abc"), Given(0, odd, 1))


def test_a_reranker_that_loses_a_text_is_refused() -> None:
    with pytest.raises(ModelError, match=r"given gave scores of shape \(2,\), expected \(3,\)"):
        rerank_scores("q", list("abc"), Given(0, 1))


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_of_none_is_refused(depth: int) -> None:
    with pytest.raises(InputError, match=f"rerank depth is {depth}: expected at least 1"):
        Rerankers(offline=True).scores(Given(1), "q", ["a"], depth=depth)


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


def paced(*slowness: float) -> tuple[Slow, TimedReranker]:
    reranker = Slow(*slowness)
    return reranker, TimedReranker(reranker, words, clock=lambda: reranker.now_s)


def test_the_depth_is_what_the_budget_allows() -> None:
    _, pace = paced()
    assert pace.tokens_per_s == pytest.approx(100)
    # Of 5, 5, 11 and 3 words with a question of 2: 70, 140, 270 and 320 ms.
    texts = ["a b c d e", "a b c d e", "a " * 11, "a b c"]
    depths = {ms: pace.depth("two words", texts, ms / 1_000) for ms in (1, 69, 71, 139, 141, 269, 271, 5_000)}
    assert depths == {1: 1, 69: 1, 71: 1, 139: 1, 141: 2, 269: 2, 271: 3, 5_000: 4}


def test_a_budget_too_small_for_one_candidate_still_sees_one() -> None:
    _, timed = paced()
    assert timed.depth("q", ["a " * 500, "b"], 0.000_001) == 1


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


QUERY = "how do I retry a failed task"
WORDS = "retry failed task vector index ocean bread sleep engine law music garden run of the".split()  # noqa: SIM905
RANDOM = np.random.default_rng(3)
# Of all lengths, the last three longer than 512 tokens.
TEXTS = [*SCRIPTS, *(" ".join(RANDOM.choice(WORDS, n)) for n in (1, 2, 5, 9, 30, 60, 125, 128, 250, 505))]
TEXTS += [" ".join(RANDOM.choice(WORDS, n)) for n in (512, 600, 900)]
SIZES = {"hidden_size": 96, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 384}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> dict[str, Path]:
    """A checkpoint of 12 layers with random weights of each kind."""
    parent, tokenizer = tmp_path_factory.mktemp("models"), checkpoints.wordpiece(weights)
    said = {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}, "num_labels": 1}
    checkpoints.save(parent / "cross", BertForSequenceClassification, tokenizer, **SIZES, **said)
    checkpoints.save(parent / "bi", BertModel, tokenizer, **SIZES)
    return {"cross": parent / "cross", "bi": parent / "bi"}


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that models are looked for in, empty as yet; no other place has any."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LLM_MODELS_PATH", str(tmp_path))
    return tmp_path


def original_scores(kind: str, folder: Path) -> np.ndarray:
    if kind == "cross":
        model = sentence_transformers.CrossEncoder(str(folder), device="cpu", local_files_only=True)
        return model.predict([(QUERY, text) for text in TEXTS], batch_size=4)
    encoder = sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors = encoder.encode([QUERY, *TEXTS], batch_size=4)
    return sentence_transformers.util.cos_sim(vectors[:1], vectors[1:])[0].numpy()


@pytest.mark.parametrize("kind", ["cross", "bi"])
def test_order_and_scores_are_those_of_sentence_transformers(folders: dict[str, Path], kind: str) -> None:
    expected = original_scores(kind, folders[kind])
    order = np.argsort(-expected)
    assert -np.diff(expected[order]).max() > 2e-5  # else an order could differ by rounding alone
    rerankers = Rerankers(model=str(folders[kind]), dtype="float32", offline=True)
    scores = rerankers.scores(kind, QUERY, TEXTS, depth=len(TEXTS))
    assert np.abs(scores - expected).max() <= 1e-5
    assert np.argsort(-scores).tolist() == order.tolist() != list(range(len(TEXTS)))


@pytest.mark.parametrize("kind", ["cross", "bi"])
def test_only_the_first_candidates_are_seen_and_the_same_text_scores_the_same(
    folders: dict[str, Path], kind: str
) -> None:
    rerankers = Rerankers(model=str(folders[kind]), dtype="float32", offline=True)
    texts = [TEXTS[3], TEXTS[12], TEXTS[3], *TEXTS[4:8]]
    first, other, again = rerankers.scores(kind, QUERY, texts, depth=3).tolist()
    assert first == again != other
    assert len(rerankers.scores(kind, QUERY, [], depth=3)) == 0


@pytest.mark.parametrize("kind", ["cross", "bi"])
def test_a_budget_decides_how_many_are_seen(folders: dict[str, Path], kind: str) -> None:
    rerankers = Rerankers(model=str(folders[kind]), offline=True)
    texts = [f"task {n}" for n in range(MAX_DEPTH + 20)]
    assert len(rerankers.scores(kind, QUERY, texts, budget_s=1e-6)) == 1
    assert len(rerankers.scores(kind, QUERY, texts, budget_s=1e6)) == MAX_DEPTH
    assert len(rerankers.scores(kind, QUERY, texts[:7], budget_s=1e6)) == 7


def test_a_candidates_cost_is_the_tokens_that_the_model_computes(folders: dict[str, Path]) -> None:
    cross = room.CrossEncoder.from_pretrained(str(folders["cross"]), device="cpu", offline=True)
    bi = room.SentenceTransformer.from_pretrained(str(folders["bi"]), device="cpu", offline=True)
    pairs = [len(ids) for ids, _ in cross.tokenizer.pair_ids(QUERY, TEXTS)]
    alone = [len(ids) for ids in bi.tokenizer.ids(TEXTS)]
    for kind, expected in (("cross", pairs), ("bi", alone)):
        rerankers = Rerankers(model=str(folders[kind]), offline=True)
        assert rerankers.timed(kind).cost(QUERY, TEXTS).tolist() == expected
        assert max(expected) == 512


class Longest:
    """A reranker of the user's own: longer texts are better."""

    name = "longest"

    def score(self, query: str, texts: list[str]) -> np.ndarray:
        return np.array([len(text) for text in texts], np.float32)


def test_a_reranker_of_the_users_own_is_used_with_a_depth_or_a_budget() -> None:
    rerankers, texts = Rerankers(offline=True), ["a" * n for n in range(1, 40)]
    assert rerankers.scores(Longest(), "q", texts).tolist() == list(range(1, DEFAULT_DEPTH + 1))
    assert rerankers.scores(Longest(), "q", texts, depth=2).tolist() == [1, 2]
    assert len(rerankers.scores(Longest(), "q", texts, budget_s=60.0)) == 39


def test_depth_and_budget_exclude_each_other() -> None:
    with pytest.raises(InputError, match="rerank depth and rerank budget were both given"):
        Rerankers().scores(Longest(), "q", ["a"], depth=3, budget_s=0.3)


def test_an_unknown_kind_lists_the_choices_and_an_unknown_dtype_too() -> None:
    with pytest.raises(InputError, match="unknown reranker 'crosss': expected one of auto, cross, bi"):
        Rerankers().scores("crosss", "q", ["a"])
    with pytest.raises(InputError, match="unknown dtype 'float8'"):
        Rerankers(dtype="float8")


def put(parent: Path, name: str) -> None:
    """A folder that has all of a checkpoint by its files' names; none of them can be loaded."""
    for file in ("model.safetensors", "config.json", "tokenizer.json", "modules.json"):
        (parent / name / "1_Pooling").mkdir(parents=True, exist_ok=True)
        (parent / name / file).touch()
    (parent / name / "sentence_bert_config.json").touch()
    (parent / name / "1_Pooling" / "config.json").touch()


def test_auto_is_cross_where_its_weights_are_here_else_bi(nowhere: Path) -> None:
    rerankers = Rerankers()
    put(nowhere, MODELS["bi"])
    assert rerankers.kind("auto") == "bi"
    put(nowhere, MODELS["cross"])
    assert rerankers.kind("auto") == "cross"
    assert (rerankers.kind("bi"), rerankers.kind("cross")) == ("bi", "cross")


def test_auto_with_no_weights_here_names_the_places_and_the_cure_and_fetches_nothing(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("minisearch.minilm.hub.fetch", lambda *_, **__: pytest.fail("asked the hub"))
    cure = "To fix this, run:\n  minisearch models download ms-marco-MiniLM-L12-v2"
    for offline, reason in [(False, "only this machine is searched"), (True, "offline")]:
        with pytest.raises(WeightsNotFound) as raised:
            Rerankers(offline=offline).scores("auto", "q", ["a"])
        lines = str(raised.value).splitlines()
        assert lines[0] == "no weights for ms-marco-MiniLM-L12-v2. Searched:"
        assert f"  Hugging Face hub: not asked: {reason}" in lines
        assert str(raised.value).endswith(cure)


@pytest.mark.parametrize("is_verbose", [False, True])
def test_a_machine_without_network_gets_one_error_and_not_every_try_of_the_library(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_verbose: bool
) -> None:
    def snapshot(*_: object, **__: object) -> str:
        for attempt in range(5):
            logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry %s/5].", attempt)
        raise ConnectionError("Name or service not known")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    theirs = logging.getLogger("huggingface_hub")
    before = theirs.level
    caplog.set_level(logging.INFO if is_verbose else logging.WARNING, logger="minisearch")
    with pytest.raises(WeightsNotFound, match="download failed: ConnectionError: Name or service not known"):
        Rerankers().scores("bi", "q", ["a"])
    tries = [record for record in caplog.records if record.name.startswith("huggingface_hub")]
    assert len(tries) == (5 if is_verbose else 0)
    assert theirs.level == before
    assert f"weights: downloading sentence-transformers/{MODELS['bi']}" in caplog.text


def test_a_models_own_folder_says_which_kind_it_is(folders: dict[str, Path]) -> None:
    for kind, folder in folders.items():
        assert Rerankers(model=str(folder)).kind("auto") == kind


def test_a_model_of_the_other_kind_is_refused_before_it_is_loaded(folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"bi is a model for reranker 'bi', not 'cross': ask for 'bi'"):
        Rerankers(model=str(folders["bi"])).scores("cross", "q", ["a"])
    with pytest.raises(
        InputError, match=r"cross is a model for reranker 'cross', not 'bi'.* all-MiniLM-L12-v2"
    ):
        Rerankers(model=str(folders["cross"])).scores("bi", "q", ["a"])


@pytest.mark.parametrize("kind", ["auto", "cross", "bi"])
def test_a_folder_that_is_gone_is_said_to_be_the_rerankers(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ModelError, match=rf"the reranker's model: there is no folder '{tmp_path}/gone'"):
        Rerankers(model=f"{tmp_path}/gone").scores(kind, "q", ["a"])


def test_a_model_is_loaded_once_as_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []

    def load(name: str, **how: object) -> SimpleNamespace:
        loads.append((name, how))
        return SimpleNamespace(name=name, tokenizer=None, max_length=512, score=Longest().score)

    monkeypatch.setattr(room.CrossEncoder, "from_pretrained", load)
    rerankers = Rerankers(dtype="float32", offline=True)
    assert loads == []
    for _ in range(3):
        rerankers.scores("cross", "q", ["a", "bb"])
    assert loads == [(MODELS["cross"], {"dtype": "float32", "offline": True})]


def test_to_choose_a_reranker_loads_no_torch(folders: dict[str, Path]) -> None:
    code = (
        "import sys; from minisearch.search.rerank import Rerankers;"
        "print(Rerankers(model=sys.argv[1]).kind('auto'), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(folders["bi"])]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == [
        "bi",
        "False",
    ]
