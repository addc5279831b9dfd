"""Finetune an embedder on pairs of query and passage: batches, recipe, and `minisearch train finetune`.

Multiple negatives ranking: among all passages of a step, the query's own is to be nearest.  A step is one
batch, because every passage of the step is a negative of every other query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from minisearch.manifest import fingerprint
from minisearch.minilm.inference import batches
from minisearch.minilm.models import SentenceTransformer
from minisearch.training import processes
from minisearch.training.data import BATCH_TOKENS, EpochOrder, TextBatch, check_enough, text_batch
from minisearch.training.job import Report, finish
from minisearch.training.losses import products, ranking_loss
from minisearch.training.pairs import PAIRS, Pair, PairsJob, examples_of, sources_of
from minisearch.training.report import evaluation_of, measured, source_of
from minisearch.training.trainer import TrainingProgress, train

SCALE = 20.0  # of the cosines, as in sentence-transformers
BATCH_SIZE = 32
N_NEGATIVES = 1
MAX_TOKENS = 128
LEARNING_RATE = 5e-5


@dataclass(frozen=True, slots=True)
class PairBatch:
    """The texts of a step, grouped by length, and which row is which.

    Of the joined groups, the rows ``order`` are B queries, their B passages and then N negatives.
    ``is_excluded`` (B, B + N) is True where a passage does not count for a query.
    """

    groups: tuple[TextBatch, ...]
    order: Tensor
    is_excluded: Tensor

    def __len__(self) -> int:
        return len(self.is_excluded)

    @property
    def n_tokens(self) -> int:
        """The tokens, without padding."""
        return sum(group.n_tokens for group in self.groups)


class PairData:
    """The batch of each step: ``batch_size`` pairs, each with ``n_negatives`` of its negatives."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        model: SentenceTransformer,
        *,
        batch_size: int,
        n_negatives: int,
        max_tokens: int,
        seed: int = 0,
    ) -> None:
        check_enough(PAIRS, len(pairs), batch_size)
        self.batch_size, self._n_negatives, self._seed = batch_size, n_negatives, seed
        self._pairs, self._max_tokens = pairs, max_tokens
        self._tokenizer, self._settings = model.tokenizer.cut_at(max_tokens), model.settings
        self._order = EpochOrder(len(pairs), seed)
        self._sources_of = sources_of(pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def fingerprint(self) -> str:
        """A hash that differs whenever the batches would."""
        return fingerprint(self._pairs, self.batch_size, self._n_negatives, self._max_tokens, self._seed)

    def batches(self, step: int) -> list[PairBatch]:
        """The batch of a step, the first of which is 0."""
        chosen = [self._pairs[row] for row in self._order.rows(step, self.batch_size)]
        negatives = some_negatives(chosen, self._n_negatives, seed=(self._seed, step))
        others = [text for some in negatives for text in some]
        texts = [self._settings.query_prompt + pair.query for pair in chosen]
        passages = [pair.passage for pair in chosen] + others
        texts += [self._settings.document_prompt + passage for passage in passages]
        groups, order = self._groups(texts)
        return [PairBatch(groups, order, self._excluded(chosen, others))]

    def _excluded(self, pairs: Sequence[Pair], others: Sequence[str]) -> Tensor:  # (B, B + N)
        """Where another passage may answer the query: it is of the same source."""
        sources = [self._sources_of.get(text, set()) for text in [*(pair.whole for pair in pairs), *others]]
        excluded = np.array([[pair.source in some for some in sources] for pair in pairs])
        np.fill_diagonal(excluded, val=False)
        return torch.from_numpy(excluded)

    def _groups(self, texts: Sequence[str]) -> tuple[tuple[TextBatch, ...], Tensor]:
        ids = self._tokenizer.ids(texts, kind="")
        planned = list(batches([len(text) for text in ids], BATCH_TOKENS["cpu"], is_padded=True))
        rows = [row for group in planned for row in group]
        groups = (text_batch([ids[row] for row in group], self._tokenizer.pad_id) for group in planned)
        return tuple(groups), torch.from_numpy(np.argsort(rows))


def some_negatives(pairs: Sequence[Pair], n: int, *, seed: Sequence[int]) -> list[list[str]]:
    """At most ``n`` negatives of each pair, chosen at random."""
    generator = np.random.default_rng(seed)
    return [
        [pair.negatives[place] for place in generator.permutation(len(pair.negatives))[:n].tolist()]
        for pair in pairs
    ]


@dataclass(frozen=True, slots=True)
class PairRanking:
    """The recipe: a batch of pairs to the loss "ranking" of the model that is trained."""

    model: SentenceTransformer

    def __call__(self, batch: PairBatch) -> dict[str, Tensor]:
        """The losses by name."""
        device = self.model.model.device
        groups = (group.to(device) for group in batch.groups)
        vectors = torch.cat([self.model(group.ids, group.mask) for group in groups])
        vectors = vectors[batch.order.to(device)].float()  # (B + B + N, D)
        queries, passages = vectors[: len(batch)], vectors[len(batch) :]
        right = torch.arange(len(batch), device=device)
        scores = SCALE * products(queries, passages)
        return {"ranking": ranking_loss(scores, right, batch.is_excluded.to(device))}


def run(
    job: PairsJob,
    *,
    on_step: Callable[[str], object] = lambda _: None,
    on_progress: Callable[[str, TrainingProgress], object] = lambda *_: None,
) -> Report:
    """Finetune, measure and save.

    Raises InputError for pairs, a corpus or a folder that do not fit, ModelError for a model that cannot be
    loaded, TrainingError as `train` does.
    """
    job.check_new("finetuned")
    on_step("loading the model")
    model = job.base()
    settings = job.settings(LEARNING_RATE)
    batch_size = job.batch_size or BATCH_SIZE
    examples = examples_of(job, model, batch_size=batch_size, on_step=on_step)
    data = PairData(
        examples.pairs,
        model,
        batch_size=batch_size,
        n_negatives=N_NEGATIVES,
        max_tokens=min(MAX_TOKENS, model.max_length),
        seed=job.seed,
    )
    on_step("training")
    evaluate = evaluation_of("model", examples.test, lambda test: test.measured(model), on_step)
    trained = train(
        model,
        data,
        PairRanking(model),
        settings,
        evaluate=evaluate,
        **job.part("finetuned", model, on_progress),
    )
    if processes.rank() > 0:
        return Report()
    return finish(
        job,
        model,
        trained,
        [measured("before", model, trained.before), measured("finetuned", model, trained.after)],
        base=job.model,
        what=f"A sentence embedder, finetuned from {source_of(job.model)} by `minisearch train finetune`.",
        data=examples.origin,
        n_documents=examples.n_documents,
        skipped=examples.skipped,
        how_measured=examples.how_tested,
    )
