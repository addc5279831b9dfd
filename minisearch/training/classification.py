"""Train a classifier of texts, or of pairs of texts: `minisearch train classify`.

A table comes in, as the tasks of GLUE (Wang et al. 2018, arXiv 1804.07461) are published: a header, then a
text, perhaps a second one, and a label in each line, separated by tabs.  A cross-encoder with one output for
each label comes out; its folder names the labels.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from minisearch.errors import InputError
from minisearch.manifest import fingerprint
from minisearch.minilm.inference import batches, best_device
from minisearch.minilm.models import CrossEncoder
from minisearch.training import processes
from minisearch.training.data import BATCH_TOKENS, GROUPS, EpochOrder, TextBatch, check_enough, pair_batch
from minisearch.training.job import Job, Report, finish, load_embedder
from minisearch.training.report import measured, source_of
from minisearch.training.reranking import cross_encoder_of
from minisearch.training.trainer import TrainingProgress, train
from minisearch.types import IntArray

BATCH_SIZE = 32
LEARNING_RATE = 5e-5
MAX_TOKENS = 128
TEST_INTERVAL = 10  # every tenth text is measured with, where no others are given
MIN_EXAMPLES = 20
HOW_MEASURED = (
    "Accuracy and macro F1 are of examples that the model was not trained on. The majority class is the "
    "accuracy of always answering with their most frequent label."
)


Texts = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Example:
    """A text, perhaps a second one, and their label."""

    first: str
    second: str | None
    label: str

    @property
    def texts(self) -> Texts:
        """Both texts."""
        return self.first, self.second


def read_examples(path: Path, *, text: str, second: str | None, label: str) -> list[Example]:
    """The examples in a file; columns are names in its header, or numbers from 1.

    InputError with the line for a missing column or an empty label.
    """
    try:
        header, *lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not in UTF-8"
        raise InputError(f"cannot read {path}: {reason}") from error
    names = header.rstrip("\r").split("\t")
    places = [_place(path, names, column) for column in (text, label, *([second] if second else []))]
    found = []
    for number, line in enumerate(lines, 2):
        cells = line.rstrip("\r").split("\t")
        if not line.strip():
            continue
        if len(cells) <= max(places):
            raise InputError(
                f"{path}, line {number}: it has {len(cells)} columns, expected {len(names)}, as in the header"
            )
        one, answer, *others = (cells[place].strip() for place in places)
        if not answer:
            raise InputError(f"{path}, line {number}: the label is empty")
        found.append(Example(one, others[0] if others else None, answer))
    return found


def _place(path: Path, names: Sequence[str], column: str) -> int:
    if column in names:
        return names.index(column)
    if column.isdecimal() and 1 <= int(column) <= len(names):
        return int(column) - 1
    raise InputError(
        f"{path} has no column {column!r}: expected one of {', '.join(names)[:200]}, or a number from 1 to "
        f"{len(names)}"
    )


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """B texts or pairs, and the numbers of their labels (B,)."""

    texts: TextBatch
    labels: Tensor

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def n_tokens(self) -> int:
        """The tokens, without padding."""
        return self.texts.n_tokens


class LabelledData:
    """The batches of each step: ``batch_size`` examples."""

    def __init__(
        self,
        examples: Sequence[Example],
        model: CrossEncoder,
        *,
        batch_size: int,
        batch_tokens: int = BATCH_TOKENS["cpu"],
        seed: int = 0,
    ) -> None:
        check_enough("examples", len(examples), batch_size)
        self.batch_size, self._batch_tokens, self._seed = batch_size, batch_tokens, seed
        self._examples, self._labels = examples, {label: place for place, label in enumerate(model.labels)}
        self._tokenizer = model.tokenizer
        self._order = EpochOrder(len(examples), seed)

    @property
    def fingerprint(self) -> str:
        """A hash that differs whenever the batches would."""
        return fingerprint(self._examples, self._labels, self.batch_size, self._batch_tokens, self._seed)

    def batches(self, step: int) -> list[LabelledBatch]:
        """The batches of a step, the first of which is 0."""
        rows = self._order.rows(step, self.batch_size)
        return [batch for _, batch in self.batches_of([self._examples[row] for row in rows])]

    def batches_of(self, examples: Sequence[Example]) -> Iterator[tuple[list[int], LabelledBatch]]:
        """These examples in batches of similar length, with their places."""
        rows = [self._ids(example) for example in examples]
        most = -(-len(rows) // GROUPS)  # not by the processes: dropout depends on the number of a batch
        for places in batches([len(ids) for ids, _ in rows], self._batch_tokens, most, is_padded=True):
            texts = pair_batch([rows[place] for place in places], self._tokenizer.pad_id)
            labels = torch.tensor([self._labels[examples[place].label] for place in places])
            yield places, LabelledBatch(texts, labels)

    def _ids(self, example: Example) -> tuple[list[int], list[int]]:
        """Token ids and segments."""
        if example.second is not None:
            return self._tokenizer.pair_ids(example.first, [example.second], kind="")[0]
        (ids,) = self._tokenizer.ids([example.first], kind="")
        return ids, [0] * len(ids)


@dataclass(frozen=True, slots=True)
class Classification:
    """The recipe: a batch of examples to the cross-entropy of the model that is trained."""

    model: CrossEncoder

    def __call__(self, batch: LabelledBatch) -> dict[str, Tensor]:
        """The loss by its name."""
        return {
            "cross-entropy": F.cross_entropy(self.logits(batch), batch.labels.to(self.model.model.device))
        }

    def logits(self, batch: LabelledBatch) -> Tensor:
        """(B, L) in float32, for L labels."""
        texts = batch.texts.to(self.model.model.device)
        logits: Tensor = self.model(texts.ids, texts.mask, texts.segments)
        return logits.float()


def confusion(model: CrossEncoder, data: LabelledData, examples: Sequence[Example]) -> IntArray:
    """How many examples of each label (rows) got each label (columns), (L, L)."""
    counts = np.zeros((model.n_labels, model.n_labels), np.int64)
    recipe = Classification(model)
    with torch.inference_mode():
        for _, batch in data.batches_of(examples):
            np.add.at(counts, (batch.labels.numpy(), recipe.logits(batch).argmax(1).cpu().numpy()), 1)
    return counts


def measures(counts: IntArray) -> dict[str, float]:
    """Majority class, macro F1 (the mean over the labels that occur) and accuracy of a confusion (L, L).

    >>> {name: round(value, 3) for name, value in measures(np.array([[3, 1], [0, 2]])).items()}
    {'majority class': 0.667, 'macro F1': 0.829, 'accuracy': 0.833}
    """
    right, actual, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
    occurs = actual + predicted > 0
    return {
        "majority class": float(actual.max() / counts.sum()),
        "macro F1": float((2 * right[occurs] / (actual + predicted)[occurs]).mean()),
        "accuracy": float(right.sum() / counts.sum()),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationJob(Job):
    """The options of `minisearch train classify`; columns are names in the header, or numbers from 1."""

    model: str
    train: Path
    dev: Path | None = None
    text: str = "sentence"
    second: str | None = None
    label: str = "label"


def run(
    job: ClassificationJob,
    *,
    on_step: Callable[[str], object] = lambda _: None,
    on_progress: Callable[[str, TrainingProgress], object] = lambda *_: None,
) -> Report:
    """Train, measure and save; errors as `finetuning.run`, and InputError for tables that do not fit."""
    examples, test = _examples(job)
    job.check_new("classifier")
    on_step("loading the model")
    encoder = load_embedder(job.model, offline=job.is_offline)
    settings = job.settings(LEARNING_RATE)
    labels = sorted({one.label for one in examples})
    model = cross_encoder_of(encoder, labels=labels, max_length=MAX_TOKENS, seed=job.seed)
    data = LabelledData(
        examples,
        model,
        batch_size=job.batch_size or BATCH_SIZE,
        batch_tokens=BATCH_TOKENS[best_device()],
        seed=job.seed,
    )
    on_step("training")
    trained = train(
        model,
        data,
        Classification(model),
        settings,
        evaluate=lambda: measures(confusion(model, data, test)),
        **job.part("classifier", encoder, on_progress),
    )
    if processes.rank() > 0:
        return Report()
    report = finish(
        job,
        model,
        trained,
        [measured("before", model, trained.before), measured("classifier", model, trained.after)],
        base=job.model,
        what=f"A classifier of {'pairs of texts' if job.second else 'texts'}, with the labels "
        f"{', '.join(model.labels)}, trained from {source_of(job.model)} by `minisearch train classify`.",
        use='transformers.pipeline("text-classification", "./FOLDER")',
        data=f"{len(examples):,} examples to train on, {len(test):,} others to measure; texts are cut at "
        f"{model.max_length} tokens",
        n_documents=len(examples),
        how_measured=HOW_MEASURED,
    )
    counts = confusion(model, data, test)
    return replace(report, labels=model.labels, counts=tuple(tuple(map(int, row)) for row in counts))


def _examples(job: ClassificationJob) -> tuple[list[Example], list[Example]]:
    """To train on, and to measure with: those of the second file, or else a tenth; no text is in both."""
    read = partial(read_examples, text=job.text, second=job.second, label=job.label)
    examples = read(job.train)
    if len(examples) < MIN_EXAMPLES:
        raise InputError(f"{job.train} has {len(examples)} examples, expected at least {MIN_EXAMPLES}")
    if job.dev is not None:
        test = read(job.dev)
        tested = {one.texts for one in test}
    else:
        tested = _tested(examples, seed=job.seed)
        test = [one for one in examples if one.texts in tested]
    if not test:
        cure = "give examples to measure with by --dev" if job.dev is None else "give another file"
        raise InputError(f"{job.dev or job.train} has too few different texts to measure with: {cure}")
    examples = [one for one in examples if one.texts not in tested]
    known = sorted({one.label for one in examples})
    if len(known) < 2:
        which = f"{job.train}, without the texts of {job.dev}," if job.dev else job.train
        found = f"only the label {known[0]!r}" if known else "no label"
        raise InputError(f"{which} has {found}, expected at least two")
    if unknown := sorted({one.label for one in test}.difference(known)):
        raise InputError(
            f"the label {unknown[0]!r} is among the examples to measure with, but not among those to train "
            f"on: give other examples to measure with by --dev"
        )
    return examples, test


def _tested(examples: Sequence[Example], *, seed: int) -> set[Texts]:
    """A tenth of the different texts, taken by their labels; one of each label at least is not taken."""
    labels: dict[Texts, set[str]] = defaultdict(set)  # a text may have several
    for one in examples:
        labels[one.texts].add(one.label)
    kinds = {texts: sorted(found) for texts, found in labels.items()}
    n_of_kind = Counter(map(tuple, kinds.values()))
    taken = [texts for texts, kind in kinds.items() if n_of_kind[tuple(kind)] > 1]
    order = np.random.default_rng(seed).permutation(len(taken)).tolist()
    by_label = sorted((taken[place] for place in order), key=kinds.__getitem__)
    return {*by_label[TEST_INTERVAL - 1 :: TEST_INTERVAL]}
