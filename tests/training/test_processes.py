"""Two processes that train together, as torchrun starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minisearch.errors import TrainingError
from minisearch.minilm import SentenceTransformer
from minisearch.training import processes, trainer
from minisearch.training.data import TextBatch, TextData
from minisearch.training.distillation import Distillation
from minisearch.training.students import student_of
from minisearch.training.trainer import Trained, TrainingSettings, train
from tests.cli.usage import run
from tests.training.conftest import some_texts

ROOT = Path(__file__).parents[2]
STEPS = TrainingSettings(steps=4, dtype="float32", checkpoint_minutes=0)


def trained(teacher: SentenceTransformer, settings: TrainingSettings, folder: Path) -> Trained:
    """Train with dropout; the weights are in FOLDER/checkpoint."""
    student = student_of(teacher, layers=2)
    recipe = Distillation(teacher, student, ("attention", "values", "cosine", "similarity"), 4)
    folder.mkdir(exist_ok=True)
    return train(
        student,
        data_of(teacher),
        recipe,
        settings,
        checkpoint=folder / "checkpoint",
        evaluate=lambda: {"one": 1.0},
    )


def data_of(teacher: SentenceTransformer) -> TextData:
    """Steps of three batches of different size."""
    return TextData(some_texts(30), teacher.tokenizer, batch_size=7, batch_tokens=60)


def in_two_processes(
    *arguments: str, folder: Path = ROOT, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--local-addr", "127.0.0.1", "--nproc-per-node", "2"),  # no name server is asked
            *arguments,
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def worker(what: str, folder: Path) -> None:
    """What each of the processes does: see the tests."""
    torch.set_num_threads(1)
    with processes.joined():
        teacher = SentenceTransformer.from_pretrained(str(folder / "teacher"), device="cpu", offline=True)
        work = {"train": together, "fail": failing}[what]
        (folder / f"report.{processes.rank()}").write_text(json.dumps(work(teacher, folder)))
        assert what == "train" or processes.rank() == 0, "this process has failed"
        trained(teacher, STEPS, folder)


def together(teacher: SentenceTransformer, folder: Path) -> object:
    done = trained(teacher, STEPS, folder)
    if processes.rank() == 1:  # by its own clock, it would never stop
        trainer.time.monotonic = lambda: 0.0
    return done.evaluations, done.losses, trained(teacher, TrainingSettings(minutes=2e-3), folder / "b").steps


def failing(teacher: SentenceTransformer, folder: Path) -> object:
    """A loss of the second process is not a number at step 3."""
    student = student_of(teacher, layers=1)
    data, steps = data_of(teacher), []
    batches = data.batches
    data.batches = lambda step: steps.append(step) or batches(step)

    def broken(batch: TextBatch) -> dict[str, torch.Tensor]:
        loss = student(batch.ids, batch.mask).square().mean()
        is_broken = processes.rank() == 1 and steps[-1] == 2
        return {"square": loss * (torch.nan if is_broken else 1)}

    with pytest.raises(TrainingError) as found:
        train(student, data, broken, STEPS, checkpoint=folder / "broken")
    return str(found.value)


@pytest.mark.slow
def test_two_processes_train_as_one(
    teacher: SentenceTransformer, teacher_folder: Path, tmp_path: Path
) -> None:
    both = in_two_processes(__file__, "train", str(tmp_path))
    assert both.returncode == 0, both.stderr
    first, second = (json.loads((tmp_path / f"report.{rank}").read_text()) for rank in (0, 1))
    assert first[0] == [[step, {"one": 1.0}] for step in range(5)]
    assert second[0] == [], "only the first process evaluates"
    assert first[1] == second[1]
    assert first[2] == second[2] > 0, "both stop after the same step"

    weights = torch.load(tmp_path / "checkpoint", weights_only=True)["model"]
    alone = trained(teacher, STEPS, tmp_path)
    for name, values in first[1].items():
        assert values == pytest.approx(alone.losses[name], abs=1e-5)
    expected = torch.load(tmp_path / "checkpoint", weights_only=True)["model"]
    for name, one in expected.items():
        if not name.endswith("key.bias"):  # its gradient is rounding errors, which AdamW makes large
            assert torch.allclose(weights[name], one, atol=1e-5), name


@pytest.mark.slow
def test_an_error_in_one_process_ends_both(teacher_folder: Path, tmp_path: Path) -> None:
    both = in_two_processes(__file__, "fail", str(tmp_path))
    assert both.returncode == 1
    assert "this process has failed" in both.stderr
    first, second = (json.loads((tmp_path / f"report.{rank}").read_text()) for rank in (0, 1))
    assert first == second
    assert "not a number at step 3 (square nan)" in first
    assert "the last checkpoint is kept in" in first
    assert torch.load(tmp_path / "broken", weights_only=True)["done"][0] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        "distill --teacher teacher --corpus docs --layers 2 --dropout 0.1",
        "rerank --model teacher --pairs pairs.jsonl",
        "classify --model teacher --train table.tsv",
    ],
)
def test_a_command_makes_the_same_model_in_two_processes_as_in_one(
    teacher_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "data" / "docs" / "programming")
    texts = some_texts(80)
    pairs = [{"query": texts[number], "passage": texts[40 + number]} for number in range(40)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    rows = [f"{text}\t{number % 3}" for number, text in enumerate(texts)]
    (tmp_path / "table.tsv").write_text("\n".join(["sentence\tlabel", *rows]))
    command = ["train", *options.split(), "--steps", "2", "--batch-size", "8"]
    command += ["--dtype", "float32", "--offline", "--out"]
    both = in_two_processes("-m", "minisearch", *command, "both", folder=tmp_path)
    assert both.returncode == 0, both.stderr
    assert both.stdout.count("Saved in") == 1
    assert both.stderr.count("step 2/2") == 1
    run(*command, "one")
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("both", "one"))
    # What is added to all keys of a text, or to all scores of a list, has no gradient but rounding errors.
    untrained = ("key.bias", "classifier.bias") if options.startswith("rerank") else ("key.bias",)
    for name, one in theirs.items():
        if not name.endswith(untrained):
            assert torch.allclose(ours[name], one, atol=1e-5), name


def test_only_the_end_of_another_process_is_said_to_be_one() -> None:
    with pytest.raises(TrainingError, match="another process of this"), processes._connected():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1")
    with pytest.raises(RuntimeError, match="No backend type"), processes._connected():
        raise RuntimeError("No backend type associated with device type cpu")


def test_processes_with_gpus_also_exchange_what_is_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr(processes.distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(processes.distributed, "get_node_local_rank", lambda: 0)
    monkeypatch.setattr(processes.distributed, "init_process_group", lambda name, **_: given.append(name))
    monkeypatch.setattr(processes.distributed, "destroy_process_group", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    with processes.joined():
        assert given == ["cpu:gloo,cuda:nccl"]


def test_alone_nothing_is_exchanged() -> None:
    with processes.joined():
        assert (processes.n_processes(), processes.rank()) == (1, 0)
        assert processes.gathered("one") == ["one"]
        parameter = torch.nn.Parameter(torch.ones(2))
        processes.add_gradients([parameter])
        assert parameter.grad is None


if __name__ == "__main__":
    worker(sys.argv[1], Path(sys.argv[2]))
