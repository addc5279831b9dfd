"""`minisearch train finetune` and `train rerank`: the folders that they make, and their errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import CrossEncoder as OriginalCross
from sentence_transformers import SentenceTransformer as Original

from minisearch import MiniSearch
from minisearch.evaluation.measures import rank_measures
from minisearch.minilm import CrossEncoder, SentenceTransformer
from minisearch.minilm.saving import save_pretrained
from minisearch.training import report, trainer
from minisearch.training.report import KnownItemTest
from minisearch.training.reranking import cross_encoder_of
from tests.cli.usage import run
from tests.training.conftest import some_texts

SMALL = ("--batch-size", "8", "--steps", "2", "--offline", "--out", "my-model")
FILES = ["docs", "my-model", "pairs.jsonl", "teacher"]
QUERY, TEXTS = "the roof leaks", ["retry a failed request", "the roof leaks when it rains", ""]


@pytest.fixture
def here(tmp_path: Path, teacher_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    texts = some_texts(240)
    rows = [{"query": texts[number], "passage": texts[120 + number]} for number in range(120)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (teacher_folder / "sentence_bert_config.json").write_text('{"max_seq_length": 128}')
    (tmp_path / "docs").mkdir()
    for number in range(105):
        (tmp_path / "docs" / f"{number}.md").write_text(
            f"# Roof {number} of us\n\nRoof {number} leaks. It was mended {' '.join(texts[:5])} in May."
        )
    return tmp_path


def train(command: str, *arguments: str, code: int = 0):
    return run("train", command, "--model", "./teacher", *SMALL, *arguments, code=code)


def test_a_finetuned_model_is_measured_and_loads_everywhere(here: Path) -> None:
    result = train("finetune", "--corpus", "docs")
    header, before, after, saved = result.stdout.splitlines()
    assert header.split() == ["layers", "width", "parameters", "recall@1", "recall@5", "recall@10", "MRR@10"]
    assert before.split()[:3] == ["before", "4", "24"]
    assert after.split()[:3] == ["finetuned", "4", "24"]
    assert saved == "Saved in my-model. Next: minisearch index --model ./my-model PATH"
    assert "finetuned: step 2/2, loss" in result.stderr
    assert sorted(path.name for path in here.iterdir()) == FILES

    ours = SentenceTransformer.from_pretrained("./my-model", device="cpu", dtype="float32")
    theirs = Original("./my-model", device="cpu", local_files_only=True).encode(TEXTS)
    assert (ours.encode(TEXTS) * theirs).sum(1).min() >= 0.99999
    former = SentenceTransformer.from_pretrained("./teacher", device="cpu", dtype="float32")
    assert np.abs(ours.encode(TEXTS) - former.encode(TEXTS)).max() > 1e-4
    card = (here / "my-model" / "README.md").read_text()
    for said in ("finetuned from teacher", "pairs made from", "2 steps of 8 examples", "| before | 4 | 24 |"):
        assert said in card
    assert "No pair of these documents was trained on" in card
    assert (here / "my-model" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_reranker_is_measured_and_loads_everywhere(here: Path) -> None:
    result = train("rerank", "--corpus", "docs")
    header, before, after, saved = result.stdout.splitlines()
    assert header.split()[-1] == "MRR@10"
    assert before.split()[:3] == ["embedder", "4", "24"]
    assert after.split()[:3] == ["reranker", "4", "24"]
    assert saved == "Saved in my-model. Next: minisearch query --rerank-model ./my-model TEXT"
    is_worse = float(after.split()[-1]) < float(before.split()[-1])
    assert ("Not useful yet" in result.stderr) == is_worse

    ours = CrossEncoder.from_pretrained("./my-model", device="cpu", dtype="float32")
    theirs = OriginalCross("./my-model", device="cpu", local_files_only=True)
    expected = theirs.predict([(QUERY, text) for text in TEXTS])
    assert np.abs(ours.score(QUERY, TEXTS) - expected).max() <= 1e-5
    with MiniSearch.open(here, model="./teacher", offline=True) as ms:
        ms.index(here / "docs")
    found = run(
        "query", "--rerank", "cross", "--rerank-model", "./my-model", "the radiator is cold", "--offline"
    )
    assert "radiator" in found.stdout
    assert "trained from teacher" in (here / "my-model" / "README.md").read_text()


def test_a_reranker_that_is_not_measured_says_what_to_do(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MIN_QUERIES", 10_000)
    result = train("rerank", "--corpus", "docs")
    assert "Quality was not measured" in result.stderr
    assert "It may order worse than the embedder" in result.stderr


def test_a_reranker_that_is_worse_than_the_embedder_says_so(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none_found = rank_measures([100])
    monkeypatch.setattr(KnownItemTest, "reranked", lambda *_: none_found)
    result = train("rerank", "--corpus", "docs")
    assert "Not useful yet: its MRR@10 is below the embedder's; train longer" in result.stderr


@pytest.mark.parametrize("command", ["finetune", "rerank"])
def test_pairs_of_a_file_are_trained_on_and_others_of_it_tested(here: Path, command: str) -> None:
    result = train(command, "--pairs", "pairs.jsonl")
    assert "MRR@10" in result.stdout
    card = (here / "my-model" / "README.md").read_text()
    assert "96 pairs of pairs.jsonl" in card
    assert "some pairs of the file that were not trained on" in card


def test_a_run_that_stopped_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_steps = 0
    step = trainer._Trainer._step

    def broken(self) -> dict[str, float]:
        nonlocal n_steps
        n_steps += 1
        if n_steps == 2:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(trainer._Trainer, "_step", broken)
    arguments = ("--pairs", "pairs.jsonl", "--checkpoint-minutes", "0")
    train("rerank", *arguments, code=130)
    assert (here / "my-model.reranker.checkpoint").exists()
    n_steps = 10
    train("rerank", *arguments, "--resume")
    assert n_steps == 11, "one step was left"


@pytest.mark.parametrize("command", ["finetune", "rerank"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "none.jsonl"], "cannot read none.jsonl: No such file or directory"),
        (["--pairs", "wrong.jsonl"], "wrong.jsonl, line 1: unknown key 'anchor': expected {\"query\": TEXT"),
        (
            ["--pairs", "pairs.jsonl", "--batch-size", "500"],
            "too few pairs of query and passage: 96, expected",
        ),
        (["--corpus", "empty"], "no files to read in empty"),
        (
            ["--pairs", "pairs.jsonl", "--model", "./cross"],
            "./cross is a cross-encoder: expected an embedder",
        ),
        (["--pairs", "pairs.jsonl", "--resume"], "there is no unfinished run to resume"),
        (["--pairs", "pairs.jsonl", "--out", "teacher"], "the folder teacher is not empty"),
    ],
)
def test_each_mistake_is_one_line(
    here: Path, command: str, arguments: list[str], message: str, teacher: SentenceTransformer
) -> None:
    (here / "wrong.jsonl").write_text('{"anchor": "a", "positive": "b"}')
    (here / "empty").mkdir()
    save_pretrained(cross_encoder_of(teacher), here / "cross")
    error = train(command, *arguments, code=1).stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert message in error
    assert not (here / "my-model").exists()


@pytest.mark.parametrize("command", ["finetune", "rerank"])
@pytest.mark.parametrize("given", [[], ["--corpus", "teacher", "--pairs", "pairs.jsonl"]])
def test_corpus_and_pairs_exclude_each_other(here: Path, command: str, given: list[str]) -> None:
    from click.testing import CliRunner

    from minisearch.cli import cli

    result = CliRunner().invoke(cli, ["train", command, *SMALL, *given])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "Error: give either --corpus or --pairs"
