"""Two processes that train together, as torchrun starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minisearch.minilm import SentenceTransformer
from minisearch.training import processes, trainer
from minisearch.training.data import TextData
from minisearch.training.distillation import Distillation
from minisearch.training.students import student_of
from minisearch.training.trainer import Trained, TrainingSettings, train
from tests.training.conftest import some_texts

ROOT = Path(__file__).parents[2]
STEPS = TrainingSettings(steps=4, dtype="float32", checkpoint_minutes=0)


def trained(teacher: SentenceTransformer, settings: TrainingSettings, folder: Path) -> Trained:
    """Train with dropout; the weights are in FOLDER/checkpoint."""
    student = student_of(teacher, layers=2)
    # Steps of one to four batches: the second process has sometimes none.
    data = TextData(some_texts(30), teacher.tokenizer, batch_size=6, batch_tokens=70)
    recipe = Distillation(teacher, student, ("attention", "values", "embedding"), 4)
    return train(
        student, data, recipe, settings, checkpoint=folder / "checkpoint", evaluate=lambda: {"one": 1.0}
    )


def in_two_processes(*arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--local-addr", "127.0.0.1", "--nproc-per-node", "2"),  # no name server is asked
            *arguments,
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def worker(what: str, folder: Path) -> None:
    """What each of the processes does: see the tests."""
    torch.set_num_threads(1)
    with processes.joined():
        teacher = SentenceTransformer.from_pretrained(str(folder / "teacher"), device="cpu", offline=True)
        done = trained(teacher, STEPS, folder)
        if processes.rank() == 1:  # by its own clock, it would never stop
            trainer.time.monotonic = lambda: 0.0
        minutes = trained(teacher, TrainingSettings(minutes=2e-3), folder / "teacher")
        report = [done.evaluations, done.losses, minutes.steps]
        (folder / f"report.{processes.rank()}").write_text(json.dumps(report))
        assert what == "train" or processes.rank() == 0, "this process has failed"
        trained(teacher, STEPS, folder)


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


def test_alone_nothing_is_exchanged() -> None:
    with processes.joined():
        assert (processes.n_processes(), processes.rank()) == (1, 0)
        assert processes.gathered("one") == ["one"]
        parameter = torch.nn.Parameter(torch.ones(2))
        processes.add_gradients([parameter])
        assert parameter.grad is None


if __name__ == "__main__":
    worker(sys.argv[1], Path(sys.argv[2]))
