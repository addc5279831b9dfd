"""The training loop: what it changes, how it goes on, and when it stops."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from minisearch.errors import InputError, TrainingError
from minisearch.evaluation.known_items import ChunkedDocument, ChunkText
from minisearch.minilm import SentenceTransformer, TransformerLayer
from minisearch.training import trainer
from minisearch.training.data import TextBatch, TextData, texts_of
from minisearch.training.distillation import LOSSES, Distillation, Loss, distil, phases
from minisearch.training.students import student_of
from minisearch.training.trainer import TrainingProgress, TrainingSettings, train
from tests.training.conftest import some_texts

ALL: tuple[Loss, ...] = ("attention", "values", "cosine", "similarity")


class Stopped(Exception):
    pass


def data_of(model: SentenceTransformer, **options: int) -> TextData:
    return TextData(some_texts(60), model.tokenizer, **({"batch_size": 12, "batch_tokens": 96} | options))


def recipe_of(teacher: SentenceTransformer, student: SentenceTransformer, losses=ALL) -> Distillation:
    return Distillation(teacher, student, losses, 4)


# --- data ------------------------------------------------------------------------------------------------


def test_every_text_is_used_once_an_epoch_in_batches_within_the_budget(teacher: SentenceTransformer) -> None:
    data = data_of(teacher)
    assert len(data) == 60
    seen = []
    for step in range(5):
        for batch in data.batches(step):
            assert batch.ids.numel() <= 96
            seen += [tuple(ids[mask].tolist()) for ids, mask in zip(batch.ids, batch.mask, strict=True)]
    assert sorted(seen) == sorted(map(tuple, teacher.tokenizer.ids(some_texts(60))))


def test_another_epoch_has_another_order(teacher: SentenceTransformer) -> None:
    data = data_of(teacher)
    first, again, later = (
        sorted(tuple(row) for batch in data.batches(step) for row in batch.ids.tolist()) for step in (0, 0, 5)
    )
    assert first == again != later


def test_the_texts_of_a_batch_are_of_similar_length(teacher: SentenceTransformer) -> None:
    texts = [" ".join(["rain"] * (1 + i % 30)) + f" {i}" for i in range(600)]
    data = TextData(texts, teacher.tokenizer, batch_size=16)
    batches = [batch for step in range(30) for batch in data.batches(step)]
    assert sum(batch.ids.numel() for batch in batches) < 1.1 * sum(batch.n_tokens for batch in batches)
    assert len({batch.ids.shape[1] for batch in batches[:4]}) > 1, "a step has short and long texts"


def test_word_noise_replaces_a_share_of_the_words_and_keeps_the_rest(teacher: SentenceTransformer) -> None:
    texts = ["rain " * (20 + i % 5) + str(i) for i in range(400)]
    plain, noisy, again = (
        TextData(texts, teacher.tokenizer, batch_size=16, word_noise=noise) for noise in (0.0, 0.6, 0.6)
    )
    shares = []
    for step in range(25):
        pairs = zip(plain.batches(step), noisy.batches(step), strict=True)
        for (one, other), same in zip(pairs, again.batches(step), strict=True):
            assert torch.equal(other.ids, same.ids), "the same in each run"
            assert torch.equal(one.mask, other.mask)
            is_kept = one.ids == other.ids
            assert is_kept[:, 0].all()
            assert is_kept[torch.arange(len(one)), one.mask.sum(1) - 1].all(), "[CLS] and [SEP]"
            shares += (1 - (is_kept & one.mask).sum(1) / one.mask.sum(1)).tolist()
    assert 0 <= min(shares) < 0.1
    assert 0.5 < max(shares) < 0.9
    assert np.mean(shares) == pytest.approx(0.3, abs=0.05)
    special = {teacher.tokenizer.pad_id, *teacher.tokenizer.ids(["rain"])[0][::2]}
    assert not special & {*noisy._words.tolist()}
    assert plain.fingerprint != noisy.fingerprint == again.fingerprint


def test_word_noise_keeps_the_prompt(teacher: SentenceTransformer) -> None:
    prompts = ("search for: ", "")
    texts = [prompts[i % 2] + "rain falls on the roof " + str(i) for i in range(100)]
    data = TextData(texts, teacher.tokenizer, batch_size=20, word_noise=1.0, prompts=prompts)
    rows = [row.tolist() for step in range(5) for batch in data.batches(step) for row in batch.ids]
    start, _ = teacher.tokenizer.ids([*prompts])
    n = sum(row[: len(start) - 1] == start[:-1] for row in rows)
    assert n == 50


def test_equal_and_empty_texts_do_not_count(teacher: SentenceTransformer) -> None:
    texts = ["", "The roof leaks.", "the roof leaks.", "It rains."]
    with pytest.raises(InputError, match=r"too small: it has 2 different texts .* expected at least 3"):
        TextData(texts, teacher.tokenizer, batch_size=3)


def test_the_texts_are_passages_and_the_short_ones_in_them_each_with_its_prompt(
    teacher: SentenceTransformer,
) -> None:
    chunks = (ChunkText("The roof leaks. It rains.", "House > Roof"), ChunkText("Call Ann.", "House"))
    settings = replace(teacher.settings, prompts={"query": "q: ", "passage": "p: "})
    assert list(texts_of([ChunkedDocument(1, "a.md", "Notes", chunks)], settings)) == [
        "p: Notes The roof leaks. It rains.",
        "p: Notes Call Ann.",
        *("q: Notes", "q: Roof", "q: The roof leaks.", "q: It rains.", "q: House", "q: Call Ann."),
    ]
    assert next(texts_of([ChunkedDocument(1, "a.md", "", chunks)], teacher.settings))[:8] == "The roof"


# --- the recipe ------------------------------------------------------------------------------------------


def test_a_student_with_the_teachers_weights_has_no_loss(teacher: SentenceTransformer) -> None:
    recipe = recipe_of(teacher, student_of(teacher), LOSSES)
    for batch in data_of(teacher).batches(0):
        losses = {name: loss.item() for name, loss in recipe(batch).items()}
        assert losses == pytest.approx(dict.fromkeys(losses, 0.0), abs=1e-6)
        assert list(losses) == ["attention", "values", "relations", "hidden", "cosine", "similarity"]


def test_the_recipes_token_vectors_are_those_of_the_model(teacher: SentenceTransformer) -> None:
    batch = data_of(teacher).batches(0)[0]
    with torch.no_grad():
        _, layers = recipe_of(teacher, teacher)._computed(teacher, batch)
        assert torch.allclose(layers[-1], teacher.model(batch.ids, batch.mask), atol=1e-6)


@pytest.mark.parametrize("hidden", [24, 12])
def test_gradients_reach_every_parameter(teacher: SentenceTransformer, hidden: int) -> None:
    student = student_of(teacher, layers=2, hidden=hidden).train()
    batch = data_of(teacher).batches(0)[0]
    losses = ALL if hidden == 24 else ("attention", "values", "similarity")
    sum(recipe_of(teacher, student, losses)(batch).values()).backward()
    # A constant added to all keys changes no softmax, hence gets no gradient but rounding errors.
    for name, parameter in student.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("key.bias"):
            assert parameter.grad.abs().max() > 1e-7, name
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_self_attention_losses_train_the_last_layer_up_to_its_projections(
    teacher: SentenceTransformer,
) -> None:
    student = student_of(teacher, layers=2).train()
    batch = data_of(teacher).batches(0)[0]
    sum(recipe_of(teacher, student, ("attention", "values"))(batch).values()).backward()
    without = {name for name, parameter in student.named_parameters() if parameter.grad is None}
    last = student.model.encoder.layers[1]
    after = {name for name, _ in last.named_parameters() if not name.startswith("attention.")}
    assert without == {f"model.encoder.layers.1.{name}" for name in after}


def test_differing_heads_are_refused_before_any_work(teacher: SentenceTransformer) -> None:
    student = student_of(teacher, heads=3)
    with pytest.raises(InputError, match="the student has 3 heads and the teacher 4"):
        phases(teacher, student, losses=["attention"])
    (phase,) = phases(teacher, student)
    assert phase.recipe.losses == ("hidden", "cosine")
    with pytest.raises(
        InputError, match="relation heads is 7, expected a divisor of the teacher's width, 24"
    ):
        phases(teacher, student, losses=["relations"], n_relation_heads=7)
    narrow = student_of(teacher, hidden=12)
    for model, losses in (
        (narrow, ("attention", "values", "similarity")),
        (student_of(teacher, hidden=12, heads=3), ("relations", "similarity")),
    ):
        assert phases(teacher, model)[-1].recipe.losses == losses


# --- the loop --------------------------------------------------------------------------------------------


def test_training_brings_the_student_nearer_to_the_teacher(teacher: SentenceTransformer) -> None:
    student = student_of(teacher, layers=1, dropout=0.0)
    settings = TrainingSettings(steps=40, learning_rate=1e-2)
    data = data_of(teacher, batch_size=48, batch_tokens=10_000)
    done = train(student, data, recipe_of(teacher, student), settings)
    assert (done.steps, set(done.losses)) == (40, {"attention", "values", "cosine", "similarity"})
    for name, values in done.losses.items():
        assert len(values) == 40
        assert sum(values[-5:]) < 0.95 * sum(values[:5]), name
    assert not student.training


def test_a_student_that_was_used_before_encodes_with_its_new_weights(teacher: SentenceTransformer) -> None:
    student = student_of(teacher, layers=1)
    before = student.encode(["the roof leaks"])
    train(
        student, data_of(teacher), recipe_of(teacher, student), TrainingSettings(steps=2, learning_rate=1e-2)
    )
    with torch.no_grad():
        expected = student(torch.tensor(student.tokenizer.ids(["the roof leaks"]))).numpy()
    found = student.encode(["the roof leaks"])
    assert (found * expected).sum() > 0.999 > (found * before).sum()


def test_small_batches_that_are_added_give_the_gradient_of_a_large_one(teacher: SentenceTransformer) -> None:
    students = [student_of(teacher, layers=1, dropout=0.0) for _ in range(2)]
    settings = TrainingSettings(steps=2, dtype="float32")
    for student, batch_tokens in zip(students, (64, 10_000), strict=True):
        every = recipe_of(teacher, student, ("attention", "values", "relations", "similarity"))

        def recipe(batch: TextBatch, every: Distillation = every) -> dict[str, Tensor]:
            # Similarities are to the other texts of a batch, so they depend on its size.
            return {name: loss for name, loss in every(batch).items() if name != "similarity"}

        train(student, data_of(teacher, batch_tokens=batch_tokens), recipe, settings)
    for (name, one), other in zip(students[0].named_parameters(), students[1].parameters(), strict=True):
        if not name.endswith("key.bias"):  # its gradient is rounding errors, which AdamW makes large
            assert torch.allclose(one, other, atol=1e-5), name


def test_the_losses_of_a_step_are_means_over_its_texts(teacher: SentenceTransformer) -> None:
    student = student_of(teacher, layers=1, dropout=0.0)
    data = data_of(teacher, batch_size=48, batch_tokens=120)
    recipe = recipe_of(teacher, student)
    batches = data.batches(0)
    assert len({*map(len, batches)}) > 1, "batches of different size"
    with torch.no_grad():
        expected = sum(len(batch) * recipe(batch)["similarity"].item() for batch in batches) / 48
    done = train(student, data, recipe, TrainingSettings(steps=1, dtype="float32"))
    assert done.losses["similarity"] == [pytest.approx(expected, rel=1e-5)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_resumed_run_ends_with_the_same_bits(
    teacher: SentenceTransformer, tmp_path: Path, dtype: trainer.TrainingDtype
) -> None:
    settings = TrainingSettings(steps=10, learning_rate=1e-3, checkpoint_minutes=0, dtype=dtype)
    whole, halves = student_of(teacher, layers=2), student_of(teacher, layers=2)
    train(whole, data_of(teacher), recipe_of(teacher, whole), settings)

    def stop(progress: TrainingProgress) -> None:
        if progress.step == 5:
            raise Stopped

    file = tmp_path / "checkpoint"
    with pytest.raises(Stopped):
        train(
            halves, data_of(teacher), recipe_of(teacher, halves), settings, checkpoint=file, on_progress=stop
        )
    again = student_of(teacher, layers=2, seed=7)  # as in a new process
    steps = []
    train(
        again,
        data_of(teacher),
        recipe_of(teacher, again),
        settings,
        checkpoint=file,
        resume=True,
        on_progress=lambda progress: steps.append(progress.step),
    )
    assert steps == [6, 7, 8, 9, 10]
    for (name, one), other in zip(whole.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_bfloat16_changes_losses_and_gradients_a_little(teacher: SentenceTransformer) -> None:
    batch = data_of(teacher, batch_size=48, batch_tokens=10_000).batches(0)[0]
    losses, gradients = [], []
    for is_bfloat16 in (False, True):
        student = student_of(teacher, layers=2, dropout=0.0).train()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bfloat16):
            found = recipe_of(teacher, student, LOSSES)(batch)
        assert {loss.dtype for loss in found.values()} == {torch.float32}
        sum(found.values()).backward()
        losses.append({name: loss.item() for name, loss in found.items()})
        gradients.append(
            torch.cat([one.grad.flatten() for one in student.parameters() if one.grad is not None])
        )
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[1] != losses[0]
    assert (gradients[1] - gradients[0]).norm() < 0.05 * gradients[0].norm()


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(InputError, match="unknown dtype 'int8': expected one of auto, float32, bfloat16"):
        TrainingSettings(steps=1, dtype="int8")


# --- evaluation ------------------------------------------------------------------------------------------


def evaluation_of(student: SentenceTransformer, seen: list[bool]) -> Callable[[], dict[str, float]]:
    def evaluate() -> dict[str, float]:
        seen.append(student.training)
        return {"calls": float(len(seen))}

    return evaluate


def test_the_model_is_evaluated_before_and_after_and_at_each_checkpoint(
    teacher: SentenceTransformer, tmp_path: Path
) -> None:
    student, seen, shown = student_of(teacher, layers=1), [], []
    done = train(
        student,
        data_of(teacher),
        recipe_of(teacher, student),
        TrainingSettings(steps=3, checkpoint_minutes=0),
        evaluate=evaluation_of(student, seen),
        on_progress=lambda progress: shown.append(dict(progress.measures)),
    )
    assert done.evaluations == [(step, {"calls": step + 1.0}) for step in range(4)]
    assert shown == [{"calls": 2.0}, {"calls": 3.0}, {"calls": 4.0}]
    assert seen == [False] * 4, "in eval mode"
    rare = train(
        student,
        data_of(teacher),
        recipe_of(teacher, student),
        TrainingSettings(steps=3, checkpoint_minutes=60),
        evaluate=evaluation_of(student, seen),
    )
    assert [step for step, _ in rare.evaluations] == [0, 3]


def test_a_resumed_run_keeps_its_evaluations(teacher: SentenceTransformer, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    for n_steps in (2, 4):
        student = student_of(teacher, layers=1)
        done = train(
            student,
            data_of(teacher),
            recipe_of(teacher, student),
            TrainingSettings(steps=n_steps),
            checkpoint=file,
            resume=True,
            evaluate=evaluation_of(student, []),
        )
    assert done.evaluations == [(0, {"calls": 1.0}), (2, {"calls": 2.0}), (4, {"calls": 1.0})]


def test_evaluation_is_no_training_time(
    teacher: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(trainer.time, "monotonic", lambda: now_s)
    student = student_of(teacher, layers=1)
    recipe = recipe_of(teacher, student)

    def slow(batch: TextBatch) -> dict[str, Tensor]:
        nonlocal now_s
        now_s += 1
        return recipe(batch)

    def evaluate() -> dict[str, float]:
        nonlocal now_s
        now_s += 600
        return {}

    settings = TrainingSettings(minutes=0.1, checkpoint_minutes=0)
    data = data_of(teacher, batch_size=13, batch_tokens=10_000)  # one batch a step
    done = train(student, data, slow, settings, evaluate=evaluate)
    assert (done.steps, done.elapsed_s, len(done.evaluations)) == (6, 6.0, 7)


# --- torch.compile ---------------------------------------------------------------------------------------


def compiled_with(backend: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile on the CPU, with a backend that needs no compiler."""
    monkeypatch.setattr(trainer, "COMPILED_DEVICES", {"cpu"})
    monkeypatch.setattr(
        TransformerLayer,
        "compile",
        lambda layer, **options: torch.nn.Module.compile(layer, backend=backend, **options),
    )


def trained_weights(teacher: SentenceTransformer) -> list[Tensor]:
    student = student_of(teacher, layers=2)
    train(student, data_of(teacher), recipe_of(teacher, student), TrainingSettings(steps=2, dtype="float32"))
    assert all(layer._compiled_call_impl is None for layer in student.model.encoder.layers)
    return [one for name, one in student.named_parameters() if not name.endswith("key.bias")]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # from inside Dynamo
def test_compiled_layers_train_as_others_do(
    teacher: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, n_graphs = trained_weights(teacher), 0

    def backend(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        nonlocal n_graphs
        n_graphs += 1
        return graph.forward

    compiled_with(backend, monkeypatch)
    for one, other in zip(trained_weights(teacher), expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert n_graphs > 0


def test_layers_that_cannot_be_compiled_are_trained_as_they_are(
    teacher: SentenceTransformer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = trained_weights(teacher)

    def backend(*_: object) -> None:
        raise RuntimeError("no compiler was found")

    compiled_with(backend, monkeypatch)
    with caplog.at_level(logging.WARNING):
        found = trained_weights(teacher)
    assert "torch.compile does not work here" in caplog.text
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


# --- errors ----------------------------------------------------------------------------------------------


def test_the_callers_random_numbers_are_not_touched(teacher: SentenceTransformer) -> None:
    student = student_of(teacher, layers=1)
    before = torch.get_rng_state()
    train(student, data_of(teacher), recipe_of(teacher, student), TrainingSettings(steps=1))
    assert torch.equal(before, torch.get_rng_state())


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(
    teacher: SentenceTransformer, tmp_path: Path
) -> None:
    student, file = student_of(teacher, layers=1), tmp_path / "checkpoint"
    recipe = recipe_of(teacher, student)
    n_calls = 0

    def broken(batch: TextBatch) -> dict[str, Tensor]:
        nonlocal n_calls
        n_calls += 1
        losses = recipe(batch)
        return losses | {"cosine": losses["cosine"] * (torch.nan if n_calls == 4 else 1)}

    settings = TrainingSettings(steps=9, checkpoint_minutes=0)
    data = data_of(teacher, batch_tokens=10_000)
    with pytest.raises(TrainingError, match=r"not a number at step 4 .*cosine nan.*checkpoint is kept in"):
        train(student, data, broken, settings, checkpoint=file)
    assert all(parameter.isfinite().all() for parameter in student.parameters())
    again = student_of(teacher, layers=1)
    done = train(again, data, recipe, TrainingSettings(steps=3), checkpoint=file, resume=True)
    assert done.steps == 3, "--steps 3 keeps the model of that step"
    for one, other in zip(student.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_full_disk_leaves_the_earlier_checkpoint(
    teacher: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, file = student_of(teacher, layers=1), tmp_path / "checkpoint"
    recipe = recipe_of(teacher, student)
    train(student, data_of(teacher), recipe, TrainingSettings(steps=1), checkpoint=file)
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match="No space left on device; the earlier checkpoint is kept"):
        train(student, data_of(teacher), recipe, TrainingSettings(steps=1), checkpoint=file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_checkpoint_that_finds_no_space_leaves_the_earlier_one(
    teacher: SentenceTransformer, tmp_path: Path, small_files: Callable[[], None]
) -> None:
    student, file = student_of(teacher, layers=1), tmp_path / "checkpoint"
    recipe = recipe_of(teacher, student)
    train(student, data_of(teacher), recipe, TrainingSettings(steps=1), checkpoint=file)
    before = file.read_bytes()
    small_files()
    with pytest.raises(
        TrainingError, match=r"cannot write the checkpoint .*; the earlier checkpoint is kept"
    ):
        train(student, data_of(teacher), recipe, TrainingSettings(steps=1), checkpoint=file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_checkpoint_of_another_run_is_refused(teacher: SentenceTransformer, tmp_path: Path) -> None:
    student, file = student_of(teacher, layers=1), tmp_path / "checkpoint"
    settings = TrainingSettings(steps=1)
    train(student, data_of(teacher), recipe_of(teacher, student), settings, checkpoint=file)
    for data, other, why in (
        (data_of(teacher, seed=1), student, "is of another run: the texts, the batch size or the seed"),
        (data_of(teacher), student_of(teacher, layers=2), "is of a model of another size"),
    ):
        with pytest.raises(InputError, match=why):
            train(other, data, recipe_of(teacher, other), settings, checkpoint=file, resume=True)
    file.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="is damaged or no checkpoint: remove it"):
        train(student, data_of(teacher), recipe_of(teacher, student), settings, checkpoint=file, resume=True)


def test_an_assistant_is_distilled_first(teacher: SentenceTransformer, tmp_path: Path) -> None:
    student = student_of(teacher, layers=2, hidden=12)
    planned = phases(teacher, student)
    assert [phase.name for phase in planned] == ["assistant", "student"]
    assert planned[1].recipe.teacher is planned[0].recipe.student
    seen = []
    distil(
        planned,
        data_of(teacher),
        TrainingSettings(steps=2),
        checkpoints=[tmp_path / "a", tmp_path / "b"],
        on_progress=lambda name, progress: seen.append((name, progress.step)),
    )
    assert seen == [("assistant", 1), ("assistant", 2), ("student", 1), ("student", 2)]


def test_the_learning_rate_rises_and_falls_in_lines() -> None:
    settings = TrainingSettings(learning_rate=1.0, steps=400_000)
    rates = [settings.learning_rate_at(step / 400_000) for step in (2_000, 4_000, 202_000, 400_000)]
    assert rates == pytest.approx([0.5, 1, 0.5, 0])
    assert TrainingSettings(learning_rate=1.0, steps=100).learning_rate_at(0.05) == pytest.approx(0.5)


def test_weight_decay_leaves_norms_and_biases_alone(teacher: SentenceTransformer) -> None:
    student = student_of(teacher, layers=1, dropout=0.0)

    def nothing(_: TextBatch) -> dict[str, Tensor]:
        return {"nothing": sum(parameter.sum() * 0 for parameter in student.parameters())}

    before = {name: parameter.clone() for name, parameter in student.named_parameters()}
    train(student, data_of(teacher), nothing, TrainingSettings(steps=1, learning_rate=0.1, weight_decay=0.5))
    changed = {name for name, one in student.named_parameters() if not torch.equal(one, before[name])}
    assert changed == {name for name, one in before.items() if one.ndim > 1}


def test_exactly_one_limit_is_needed() -> None:
    for limits in ({}, {"steps": 1, "minutes": 1.0}):
        with pytest.raises(InputError, match="either the number of steps or the minutes"):
            TrainingSettings(**limits)


def test_minutes_end_a_run(teacher: SentenceTransformer) -> None:
    student = student_of(teacher, layers=1)
    done = train(student, data_of(teacher), recipe_of(teacher, student), TrainingSettings(minutes=1e-3))
    assert done.steps >= 1
    assert done.elapsed_s >= 0.06
