"""`minisearch train distill`: the folder that it makes, and its errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer as Original

from minisearch import MiniSearch
from minisearch.cli import cli
from minisearch.cli.training import commands
from minisearch.evaluation.known_items import ChunkedDocument, ChunkText
from minisearch.minilm import SentenceTransformer
from minisearch.minilm.saving import save_pretrained
from minisearch.training import distillation, report, trainer
from minisearch.training.report import KnownItemTest, known_item_test, license_of, tokens_per_s
from minisearch.training.reranking import cross_encoder_of
from minisearch.training.students import PRESETS
from tests.cli.usage import run, usage_error
from tests.fakes import HashingEncoder

DOCS = Path(__file__).parents[2] / "data" / "docs"
SMALL = ("--corpus", str(DOCS / "programming"), "--batch-size", "8", "--offline")


def test_the_command_knows_every_loss_and_preset() -> None:
    assert commands.LOSSES == distillation.LOSSES
    assert commands.PRESETS == PRESETS


@pytest.fixture
def here(tmp_path: Path, teacher_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def distill(*arguments: str, code: int = 0):
    return run("train", "distill", "--teacher", "./teacher", *SMALL, *arguments, code=code)


def test_a_student_is_made_measured_and_loads_everywhere(here: Path) -> None:
    result = distill("--corpus", str(DOCS), "--layers", "2", "--steps", "3", "--out", "my-model")
    header, teacher, before, student, speed, saved = result.stdout.splitlines()
    assert "MRR@10 0." in result.stderr
    assert header.split() == [
        "layers",
        "width",
        "parameters",
        "tokens/s",
        "recall@1",
        "recall@5",
        "recall@10",
        "MRR@10",
    ]
    assert teacher.split()[:3] == ["teacher", "4", "24"]
    assert before.split()[:4] == ["student", "before", "2", "24"]
    assert student.split()[:3] == ["student", "2", "24"]
    assert "times as fast as the teacher" in speed
    assert saved == "Saved in my-model. Next: minisearch index --model ./my-model PATH"
    assert "student: step 3/3, loss" in result.stderr
    assert sorted(path.name for path in here.iterdir()) == ["my-model", "teacher"], "no checkpoint is left"

    ours = SentenceTransformer.from_pretrained("./my-model", device="cpu", dtype="float32")
    assert ours.settings.config.num_hidden_layers == 2
    texts = ["the roof leaks", "retry a failed request"]
    theirs = Original("./my-model", device="cpu", local_files_only=True).encode(texts)
    assert (ours.encode(texts) * theirs).sum(1).min() >= 0.99999
    assert (here / "my-model" / "loss.png").read_bytes().startswith(b"\x89PNG")
    card = (here / "my-model" / "README.md").read_text()
    for said in (
        "distilled from teacher",
        "2 layers of width 24",
        "MRR@10 during training: 0.",
        "3 steps of 8 examples",
        "| teacher | 4 | 24 |",
    ):
        assert said in card
    with MiniSearch.open(here, model="./my-model", offline=True) as ms:
        ms.index(DOCS / "home")
        assert ms.query("the radiator is cold", mode="dense")


def test_a_run_that_stopped_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_steps = 0
    step = trainer._Trainer._step

    def broken(self) -> dict[str, float]:
        nonlocal n_steps
        n_steps += 1
        if n_steps == 3:
            raise KeyboardInterrupt
        return step(self)

    arguments = ("--layers", "1", "--steps", "4", "--out", "my-model", "--checkpoint-minutes", "0")
    monkeypatch.setattr(trainer._Trainer, "_step", broken)
    distill(*arguments, code=130)
    assert (here / "my-model.student.checkpoint").exists()
    assert not (here / "my-model").exists()
    assert "is the state of an unfinished run: --resume goes on" in distill(*arguments, code=1).stderr
    n_steps = 10
    distill(*arguments, "--resume")
    assert n_steps == 12, "two steps were left"
    card = (here / "my-model" / "README.md").read_text()
    assert "- training: 4 steps of 8 examples" in card and " second" in card and " 0.0 minutes" not in card
    assert "losses at the first and the last step: hidden " in card
    error = distill(*arguments, "--resume", code=1).stderr
    assert (
        "the run is finished: its model is in my-model. To train it further: minisearch train finetune"
        in error
    )


def test_ctrl_c_keeps_the_state_of_the_last_whole_step(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    step = trainer._Trainer._backward

    def interrupted(self, batch, share):
        calls.append(self.done.steps)
        if self.done.steps == 2:
            raise KeyboardInterrupt
        return step(self, batch, share)

    arguments = ("--layers", "1", "--steps", "4", "--out", "my-model")
    monkeypatch.setattr(trainer._Trainer, "_backward", interrupted)
    result = distill(*arguments, code=130)
    assert "The state is kept: the same command with --resume goes on from it." in result.stderr
    monkeypatch.setattr(trainer._Trainer, "_backward", step)
    distill(*arguments, "--resume")
    resumed = load_file(here / "my-model" / "model.safetensors")
    distill(*arguments[:-1], "whole")
    whole = load_file(here / "whole" / "model.safetensors")
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_a_narrow_and_shallow_student_has_an_assistant(here: Path) -> None:
    result = distill("--layers", "2", "--hidden", "12", "--steps", "2", "--out", "my-model")
    assert ["assistant" in result.stderr, "student: step 2/2" in result.stderr] == [True, True]
    config = json.loads((here / "my-model" / "config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"]) == (2, 12)
    assert "teacher assistant was distilled" in (here / "my-model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--heads", "3", "--loss", "values"], "the student has 3 heads and the teacher 4"),
        (
            ["--hidden", "12", "--loss", "hidden"],
            "the student is 12 wide and the teacher 24: the losses",
        ),
        (["--hidden", "10"], "the student's width is 10, expected a multiple of 4"),
        (["--layers", "5"], "the student has 5 layers and the teacher 4: expected at most as many"),
        (["--batch-size", "5000"], "the corpus is too small: it has"),
        (["--corpus", "nothing"], "nothing"),
        (["--out", "used"], "the folder used is not empty: name a new folder"),
        (["--resume"], "there is no unfinished run to resume: expected my-model.student.checkpoint"),
        (["--out", "a/b/c"], "cannot write a/b/c: there is no folder a/b"),
        (["--out", "."], ". is the current folder: name a new folder, like ./my-model"),
        (["--out", "a" * 235], "cannot write aaa"),
        (
            ["--relation-heads", "7", "--loss", "relations"],
            "the number of relation heads is 7, expected a divisor",
        ),
    ],
)
def test_each_mistake_is_one_line(here: Path, arguments: list[str], message: str) -> None:
    (here / "used").mkdir()
    (here / "used" / "a.md").write_text("The roof leaks.")
    result = distill("--steps", "1", "--out", "my-model", *arguments, code=1)
    error = result.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert message in error
    assert sorted(path.name for path in here.iterdir()) == ["teacher", "used"]


def test_a_corpus_without_a_readable_document_is_an_error_with_the_reason(here: Path) -> None:
    (here / "files").mkdir()
    (here / "files" / "a.md").write_bytes(b"\0\1binary\0")
    options = ("--teacher", "./teacher", "--corpus", "files", "--steps", "1", "--out", "my-model")
    error = run("train", "distill", *options, "--offline", code=1).stderr.splitlines()[-1]
    assert error.startswith("Error: no document of the corpus could be read, of 1 file: ")
    assert error.endswith("files/a.md: binary file")


@pytest.mark.parametrize("kind", ["t5", "distilbert", "roberta"])
def test_a_teacher_that_is_no_bert_is_refused(here: Path, kind: str) -> None:
    config = json.loads((here / "teacher" / "config.json").read_text())
    (here / "teacher" / "config.json").write_text(json.dumps(config | {"model_type": kind}))
    error = distill("--steps", "1", "--out", "my-model", code=1).stderr.splitlines()[-1]
    assert error == f"Error: teacher/config.json: model_type is '{kind}', expected 'bert'"


@pytest.mark.parametrize(
    ("kept", "code", "message"),
    [
        ((), 2, "Invalid value for '--teacher': no model.safetensors in teacher: a model folder holds"),
        (("model.safetensors",), 1, "Error: teacher is no complete model folder: there is no config.json"),
        (("model.safetensors", "config.json"), 1, "Error: no usable tokenizer at teacher/tokenizer.json"),
    ],
)
def test_a_teacher_that_is_not_complete_is_refused(
    here: Path, kept: tuple[str, ...], code: int, message: str
) -> None:
    for path in (here / "teacher").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in kept:
            path.unlink()
    error = distill("--steps", "1", "--out", "my-model", code=code).stderr.splitlines()[-1]
    assert message in error
    assert not (here / "my-model").exists()


def test_a_cross_encoder_is_no_teacher(here: Path, teacher: SentenceTransformer) -> None:
    save_pretrained(cross_encoder_of(teacher), here / "teacher")
    error = distill("--steps", "1", "--out", "my-model", code=1).stderr.splitlines()[-1]
    assert error == (
        "Error: ./teacher is a cross-encoder: expected an embedder to begin with, like all-MiniLM-L6-v2"
    )


def test_a_disk_that_is_full_when_the_model_is_saved_leaves_the_checkpoint(
    here: Path, small_files: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--layers", "1", "--steps", "2", "--out", "my-model")

    def compare(*given: Any, **options: Any) -> object:
        small_files()
        return report.compare(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(distillation, "compare", compare)
        error = distill(*arguments, code=1).stderr.splitlines()[-1]
    assert error == "Error: cannot write the model to my-model: File too large; nothing was changed"
    assert sorted(path.name for path in here.iterdir()) == ["my-model.student.checkpoint", "teacher"]


def test_exactly_one_limit_is_needed(here: Path) -> None:
    for limits, error in (
        ([], "give --steps or --minutes"),
        (["--steps", "1", "--minutes", "1"], "give only one of --steps and --minutes"),
    ):
        arguments = ["train", "distill", *SMALL, "--out", "my-model", *limits]
        assert usage_error_of(CliRunner().invoke(cli, arguments)) == error


@pytest.mark.parametrize(
    "option", ["--minutes", "--learning-rate", "--checkpoint-minutes", "--word-noise", "--dropout"]
)
def test_a_number_that_is_not_finite_is_refused(option: str) -> None:
    for given in ("nan", "inf"):
        error = usage_error(
            CliRunner().invoke(cli, ["train", "distill", *SMALL, "--out", "my-model", option, given])
        )
        assert option in error
        assert "nan is not a finite number" in error or given == "inf"


def test_a_static_model_has_no_dtype_to_choose() -> None:
    assert "--dtype" in run("train", "distill", "--help").stdout
    assert "--dtype" not in run("train", "static", "--help").stdout


def usage_error_of(result) -> str:
    assert result.exit_code == 2
    return result.stderr.splitlines()[-1].removeprefix("Error: ")


# --- what is measured ------------------------------------------------------------------------------------


def test_the_rank_of_a_query_is_that_of_its_document_by_its_best_passage() -> None:
    test = KnownItemTest(
        queries=("roof leaks", "bread dough"),
        answers=(7, 3),
        passages=("roof leaks badly", "the weather", "bread", "bread dough", "roof"),
        documents=np.array([3, 7, 7, 3, 9]),
    )
    measured = test.measured(HashingEncoder())
    assert measured["recall@1"].value == 0.5
    assert measured["MRR@10"].value == pytest.approx((1 + 1 / 3) / 2, abs=0.1)


def test_a_model_with_equal_vectors_or_none_finds_nothing() -> None:
    numbers = np.arange(30)
    test = KnownItemTest(("roof", "bread"), (7, 3), ("roof leaks",) * 30, numbers)
    for value in (1.0, np.nan):

        class Constant(HashingEncoder):
            def encode_query(self, texts, value=value):
                return np.full((len(texts), 4), value, np.float32)

            encode_document = encode_query

        assert test.measured(Constant())["MRR@10"].value == 0


def test_a_query_has_no_words_of_its_own_document() -> None:
    numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    documents = []
    for i in range(30):
        title = f"About {numbers[i // 10]} {numbers[i % 10]} roofs"
        text = f"{title}. " + " ".join(f"word{i}x{j}" for j in range(30))
        documents.append(ChunkedDocument(i, f"{i}.md", title, (ChunkText(text, title),)))
    test = known_item_test(documents)
    assert test is not None
    assert len(test.queries) == 30
    for query, answer in zip(test.queries, test.answers, strict=True):
        passage = test.passages[test.documents.tolist().index(answer)]
        assert query.lower() not in passage.lower()
    assert known_item_test(documents[:10]) is None


def test_speed_counts_tokens(teacher: SentenceTransformer) -> None:
    speeds = tokens_per_s([teacher, teacher], ["the roof leaks"] * 4)
    assert all(speed > 0 for speed in speeds)


def test_the_licence_is_the_teachers(here: Path) -> None:
    assert license_of("all-MiniLM-L6-v2") == "apache-2.0"
    assert license_of("./teacher") == "unknown"
    (here / "teacher" / "README.md").write_text("---\ntags: [a]\nlicense: mit\n---\n# A card\n")
    assert license_of("./teacher") == "mit"
    (here / "teacher" / "README.md").write_text("---\ntags: [a]\n---\n# A card\n\nlicense: mit\n---\n")
    assert license_of("./teacher") == "unknown", "only what is above the second line of dashes"
    shutil.rmtree(here / "teacher")


def test_a_run_is_not_resumed_with_another_teacher(
    here: Path, teacher: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--layers", "1", "--steps", "2", "--out", "my-model", "--checkpoint-minutes", "0")
    monkeypatch.setattr(distillation, "compare", interrupted)
    distill(*arguments, code=130)
    with torch.no_grad():
        teacher.model.embeddings.token.weight.add_(0.1)
    save_pretrained(teacher, here / "teacher")
    for other in ((), ("--loss", "values")):
        error = distill(*arguments, *other, "--resume", code=1).stderr.splitlines()[-1]
        assert "is of another run: the model or the options were others" in error


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
