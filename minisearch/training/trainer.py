"""The training loop of every recipe: a model, its data and a recipe come in, the model comes out trained.

A recipe is a function from a batch to named losses, which are added.  The loop is that of BERT and MiniLM:
AdamW with linear warm-up and decay, weight decay except for norms and biases, and clipped gradients.  A
checkpoint holds everything that the following steps depend on: a run that goes on from it ends, on a CPU with
one thread, with the same bits as one that was not interrupted.  Several processes may share the work: see
`processes`.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version

from minisearch.errors import InputError, TrainingError
from minisearch.minilm.inference import compute_dtype
from minisearch.minilm.transformer import TransformerLayer
from minisearch.training import processes

logger = logging.getLogger(__name__)

TrainingDtype = Literal["auto", "float32", "bfloat16"]
TRAINING_DTYPES: tuple[TrainingDtype, ...] = get_args(TrainingDtype)
WARMUP_STEPS = 4_000  # of MiniLM, for 400,000 steps
MAX_WARMUP = 0.1  # the share of a run that the warm-up takes at most
RECENT_STEPS = 20  # for the speed
COMPILED_DEVICES = {"cuda"}  # of which torch.compile makes layers faster


class Batch(Protocol):
    """Some examples that are computed together; the length is their number."""

    def __len__(self) -> int: ...

    @property
    def n_tokens(self) -> int:
        """The tokens, without padding."""


B = TypeVar("B", bound=Batch)
B_co = TypeVar("B_co", bound=Batch, covariant=True)

Recipe = Callable[[B], Mapping[str, Tensor]]


class Data(Protocol[B_co]):
    """The batches of each step, with ``batch_size`` examples; ``fingerprint`` differs whenever they would."""

    batch_size: int

    @property
    def fingerprint(self) -> str:
        """A hash of the examples and their order."""

    def batches(self, step: int) -> Sequence[B_co]:
        """The batches of a step: always the same for the same number."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The numbers of a run, of which exactly one of ``steps`` and ``minutes`` limits the length.

    ``learning_rate`` is the highest, at the end of the warm-up.  The warm-up takes ``warmup_steps``, but at
    most a tenth of the run; with ``minutes`` always a tenth.  Weights, optimiser and losses are in float32
    with every ``dtype``; "auto" computes the layers in bfloat16 (autocast) if the hardware supports it.
    InputError for both limits or none, or another dtype.
    """

    learning_rate: float = 3e-4
    steps: int | None = None
    minutes: float | None = None
    warmup_steps: int = WARMUP_STEPS
    weight_decay: float = 0.01
    max_norm: float = 1.0
    checkpoint_minutes: float = 10.0
    seed: int = 0
    dtype: TrainingDtype = "auto"

    def __post_init__(self) -> None:
        if self.dtype not in TRAINING_DTYPES:
            raise InputError(f"unknown dtype {self.dtype!r}: expected one of {', '.join(TRAINING_DTYPES)}")
        if (self.steps is None) == (self.minutes is None):
            raise InputError("give either the number of steps or the minutes of training")

    def learning_rate_at(self, done: float) -> float:
        """The learning rate when this share of the run is done, from 0 to 1: linear warm-up and decay."""
        warmup = MAX_WARMUP if self.steps is None else min(self.warmup_steps / self.steps, MAX_WARMUP)
        return self.learning_rate * (done / warmup if done < warmup else (1 - done) / (1 - warmup))


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """The state of a run after a step; ``steps`` is None and ``left_s`` an estimate if minutes limit it.

    ``measures`` are those of the last evaluation, empty without one.
    """

    step: int
    steps: int | None
    losses: Mapping[str, float]
    measures: Mapping[str, float]
    tokens_per_s: float
    elapsed_s: float
    left_s: float

    @property
    def loss(self) -> float:
        """The sum of the losses."""
        return sum(self.losses.values())


@dataclass(slots=True)
class Trained:
    """What a run did: its steps, seconds and tokens, and the losses by name, one value a step.

    A step has ``batch_size`` examples.  ``evaluations`` are the numbers of steps after which the model was
    evaluated, and the measures by name.
    """

    steps: int = 0
    elapsed_s: float = 0.0
    n_tokens: int = 0
    losses: dict[str, list[float]] = field(default_factory=dict)
    evaluations: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    batch_size: int = 0
    settings: TrainingSettings | None = None

    @property
    def before(self) -> Mapping[str, float]:
        """The measures before the first step, empty without an evaluation."""
        return self.evaluations[0][1] if self.evaluations else {}

    @property
    def after(self) -> Mapping[str, float]:
        """The measures of the last evaluation, empty without one."""
        return self.evaluations[-1][1] if self.evaluations else {}


def train(
    model: nn.Module,
    data: Data[B],
    recipe: Recipe[B],
    settings: TrainingSettings,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    identity: str = "",
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    on_progress: Callable[[TrainingProgress], object] = lambda _: None,
) -> Trained:
    """Train a model in place; it is in eval mode afterwards.

    ``checkpoint`` is a file that is replaced every few minutes and at the end; with ``resume`` the run goes
    on from it, if it exists.  ``identity`` stands for what else the run depends on, such as the teacher.
    ``evaluate`` measures the model, in eval mode, before the first step, at the time of each checkpoint and
    at the end; its time is no training time.  Raises TrainingError if a loss is not a number, InputError for
    a checkpoint of another model, identity or other data.
    """
    device = next(model.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        trainer = _Trainer(model, data, recipe, settings, checkpoint, identity, evaluate)
        if resume and checkpoint is not None and checkpoint.exists():
            trainer.load(checkpoint)
        model.train()
        try:
            trainer.run(on_progress)
        finally:
            trainer.close()
            model.eval()
    return replace(trainer.done, batch_size=data.batch_size, settings=settings)


class _Trainer:
    """One run and its state; its public methods are called by `train` only."""

    def __init__(
        self,
        model: nn.Module,
        data: Data[B],
        recipe: Recipe[B],
        settings: TrainingSettings,
        checkpoint: Path | None,
        identity: str,
        evaluate: Callable[[], Mapping[str, float]] | None,
    ) -> None:
        self._model, self._data, self._settings = model, data, settings
        self._recipe: Recipe[Any] = recipe
        self._checkpoint, self._identity, self._evaluate = checkpoint, identity, evaluate
        self._device = next(model.parameters()).device
        self._dtype = compute_dtype(settings.dtype, self._device)
        self._optimizer = torch.optim.AdamW(
            _parameter_groups(model, settings.weight_decay),
            lr=settings.learning_rate,
            betas=(0.9, 0.999),
            # A tenth of the time: 0.01 instead of 0.11 s of a step of 1 s (1,300 tokens, one core).
            fused=self._device.type in {"cpu", "cuda"},
        )
        self._compiled: list[nn.Module] = []
        self._started_s = 0.0
        self._is_updating = False  # an interrupted update leaves a state of no step
        self.done = Trained()

    def run(self, on_progress: Callable[[TrainingProgress], object]) -> None:
        steps = processes.gathered(self.done.steps)
        if len({*steps}) > 1:
            raise InputError(
                f"the processes begin after different numbers of steps, {steps}, expected all to read the "
                f"same checkpoint: use a folder that all machines share"
            )
        is_first = processes.rank() == 0
        if is_first:
            self._add_evaluation()
        if self._device.type in COMPILED_DEVICES and self._share() < 1:
            self._compile()
        saved_s = time.monotonic()
        self._started_s = saved_s - self.done.elapsed_s  # the time of earlier runs counts too
        recent = [(self.done.elapsed_s, self.done.n_tokens)]
        try:
            while self._share() < 1:
                losses = self._step()
                if not is_first:
                    continue
                recent = [*recent[-RECENT_STEPS:], (self.done.elapsed_s, self.done.n_tokens)]
                if time.monotonic() - saved_s >= 60 * self._settings.checkpoint_minutes:
                    self._keep()
                    saved_s = time.monotonic()
                on_progress(self._progress(losses, recent))
        except KeyboardInterrupt:
            if is_first and self._checkpoint and not self._is_updating:
                self.save(self._checkpoint)
            raise
        if is_first:
            self._keep()

    def _share(self) -> float:
        """The share of the run that is done."""
        if self._settings.steps is not None:
            return self.done.steps / self._settings.steps
        assert self._settings.minutes is not None, "checked by the settings"
        return self.done.elapsed_s / (60 * self._settings.minutes)

    def _keep(self) -> None:
        """Write a checkpoint, evaluate the model, which may take long, and write it with the result."""
        for _ in range(2):
            if self._checkpoint:
                self.save(self._checkpoint)
            if not self._add_evaluation():
                return

    def _add_evaluation(self) -> bool:
        """Evaluate the model, unless that was done after the same step; whether it was evaluated."""
        if self._evaluate is None or [self.done.steps] == [step for step, _ in self.done.evaluations[-1:]]:
            return False
        begun_s = time.monotonic()
        self._model.eval()
        self.done.evaluations.append((self.done.steps, dict(self._evaluate())))
        self._model.train()
        self._started_s += time.monotonic() - begun_s
        return True

    def _step(self) -> dict[str, float]:
        """One step of the optimiser; the mean of each loss over the texts.

        Of several processes each computes its share of the batches, and all do the same with their sum.
        """
        batches = self._data.batches(self.done.steps)
        n = sum(map(len, batches))
        self._optimizer.zero_grad()
        own: dict[str, float] = defaultdict(float)
        for number in range(processes.rank(), len(batches), processes.n_processes()):
            self._seed(number)
            share = len(batches[number]) / n
            for name, loss in self._backward(batches[number], share).items():
                own[name] += share * loss
        processes.add_gradients(self._model.parameters())
        norm = float(nn.utils.clip_grad_norm_(self._model.parameters(), self._settings.max_norm))
        # The clock of the first process counts, so that all stop after the same step.
        everyones = processes.gathered((dict(own), time.monotonic() - self._started_s))
        means: dict[str, float] = defaultdict(float)
        for name, mean in (item for found, _ in everyones for item in found.items()):
            means[name] += mean
        if not math.isfinite(sum(means.values()) + norm):
            raise TrainingError(self._not_a_number(means))
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate(everyones[0][1])
        self._is_updating = True
        self._optimizer.step()
        for parameter in self._model.parameters():  # the fused step does not say that it changes them
            increment_version(parameter)
        self.done.steps += 1
        self.done.elapsed_s = everyones[0][1]
        self.done.n_tokens += sum(batch.n_tokens for batch in batches)
        for name, mean in means.items():
            self.done.losses.setdefault(name, []).append(mean)
        self._is_updating = False
        return dict(means)

    def _backward(self, batch: Batch, share: float) -> dict[str, float]:
        """Add the gradients of a batch, multiplied by its share of the step; the losses."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            losses = self._recipe(batch)
        torch.autograd.backward(torch.stack([*losses.values()]).sum() * share)
        return {name: loss.item() for name, loss in losses.items()}

    def _seed(self, number: int) -> None:
        """Let dropout depend only on seed, step and batch, not on the process or on what ran before."""
        sequence = np.random.SeedSequence([self._settings.seed, self.done.steps, number])
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))

    def _compile(self) -> None:
        """Compile the layers, if that works: a failure shows only when something is computed."""
        self._compiled = [one for one in self._model.modules() if isinstance(one, TransformerLayer)]
        for layer in self._compiled:
            layer.compile(dynamic=True)
        try:
            self._backward(self._data.batches(self.done.steps)[0], 1.0)
        except Exception as error:  # Dynamo, Inductor and Triton raise many classes
            self.close()
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            logger.warning("torch.compile does not work here, so layers are not compiled: %s", reason)
        self._optimizer.zero_grad()

    def close(self) -> None:
        """Leave the layers as they were before `_compile`."""
        for layer in self._compiled:
            layer._compiled_call_impl = None

    def _learning_rate(self, ends_s: float) -> float:
        """That of the step that ends at this time: not 0 at the first nor at the last, which change then."""
        if self._settings.steps is not None:
            return self._settings.learning_rate_at((self.done.steps + 1) / (self._settings.steps + 1))
        assert self._settings.minutes is not None, "checked by the settings"
        middle = (self._share() + min(ends_s / (60 * self._settings.minutes), 1.0)) / 2
        return self._settings.learning_rate_at(middle)

    def _not_a_number(self, means: Mapping[str, float]) -> str:
        found = ", ".join(f"{name} {mean:g}" for name, mean in means.items())
        kept = "there is no checkpoint yet"
        if self._checkpoint and self._checkpoint.exists():
            kept = f"the last checkpoint is kept in {self._checkpoint}"
        return (
            f"the loss or its gradient is not a number at step {self.done.steps + 1} ({found}), so training "
            f"stopped; {kept}. Try a lower learning rate"
        )

    def _progress(self, losses: Mapping[str, float], recent: Sequence[tuple[float, int]]) -> TrainingProgress:
        done, share = self.done, self._share()
        (first_s, first), (last_s, last) = recent[0], recent[-1]
        return TrainingProgress(
            step=done.steps,
            steps=self._settings.steps,
            losses=losses,
            measures=done.after,
            tokens_per_s=(last - first) / max(last_s - first_s, 1e-9),
            elapsed_s=done.elapsed_s,
            left_s=max(0.0, done.elapsed_s * (1 - share) / share) if share else math.inf,
        )

    # --- checkpoints ---------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write a checkpoint beside and rename; TrainingError if that fails, and the earlier one is kept."""
        done = self.done
        state = {
            "identity": self._identity,
            "data": self._data.fingerprint,
            "device": self._device.type,
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "done": [done.steps, done.elapsed_s, done.n_tokens, done.losses, done.evaluations],
        }
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            with unfinished.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except (OSError, RuntimeError) as error:  # the latter from torch's writer
            if isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            kept = "; the earlier checkpoint is kept" if path.exists() else ""
            raise TrainingError(f"cannot write the checkpoint {path}: {reason}{kept}") from error
        finally:
            unfinished.unlink(missing_ok=True)

    def load(self, path: Path) -> None:
        """Take over the state in a checkpoint."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            done, identity = Trained(*state["done"]), state["identity"]
        except Exception as error:  # torch raises many classes for damaged files
            raise InputError(f"{path} is damaged or no checkpoint: remove it to begin again") from error
        if (identity, state["data"]) != (self._identity, self._data.fingerprint):
            what = "the texts, the batch size or the seed were others"
            if identity != self._identity:
                what = "the model or the options were others"
            elif state.get("device", self._device.type) != self._device.type:
                what = f"its device was {state['device']}, this one is {self._device.type}"
            raise InputError(
                f"{path} is of another run: {what}; give the same as before, or remove it to begin again"
            )
        try:
            self._model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise InputError(
                f"{path} is of a model of another size: give the same sizes as before"
            ) from error
        self._optimizer.load_state_dict(state["optimizer"])
        self.done = done


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters with weight decay (matrices), and those without (norms and biases)."""
    parameters = [one for one in model.parameters() if one.requires_grad]
    return [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": weight_decay},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]
