"""Train a reranker on pairs of query and passage: model, batches, recipe, and `minisearch train rerank`.

A list is a query with its passage and some that do not answer it; the passage is to score highest.  The loss
is the softmax over the list, because only the order within it matters: a loss for each passage alone (binary
cross-entropy) also asks for scores that mean the same for every query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

import torch
from torch import Tensor, nn

from minisearch.manifest import fingerprint
from minisearch.minilm.inference import batches, best_device
from minisearch.minilm.models import CrossEncoder, SentenceTransformer
from minisearch.training import processes
from minisearch.training.data import BATCH_TOKENS, GROUPS, EpochOrder, TextBatch, check_enough, pair_batch
from minisearch.training.finetuning import some_negatives
from minisearch.training.job import Report, finish
from minisearch.training.losses import ranking_loss
from minisearch.training.pairs import PAIRS, Pair, PairsJob, examples_of
from minisearch.training.report import RERANKED, evaluation_of, measured, source_of
from minisearch.training.students import INITIAL_STD
from minisearch.training.trainer import TrainingProgress, train

BATCH_SIZE = 16
N_NEGATIVES = 4
MAX_TOKENS = 160
LEARNING_RATE = 1e-4  # on Ansible's documentation the loss fell from 1.39 to 1.10 in 40 steps of 8 lists of 4
# Half of the passages keep the words of their query: else the model learns that these do not matter.
MASKED_SHARE = 0.5


def cross_encoder_of(
    encoder: SentenceTransformer,
    *,
    labels: Sequence[str] = (),
    max_length: int | None = None,
    dropout: float = 0.1,
    seed: int = 0,
) -> CrossEncoder:
    """A cross-encoder with the encoder's layers and tokenizer; pooler and classifier are random.

    It has one output for each of the ``labels``, or a single one for scores.  ``max_length``, in tokens, is
    at most, and by default, what the encoder has positions for.
    """
    config = replace(
        encoder.settings.config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
    )
    model = CrossEncoder(
        config,
        n_labels=len(labels) or 1,
        labels=labels,
        activation="identity",
        max_length=min(max_length or config.max_position_embeddings, config.max_position_embeddings),
    )
    model.model.load_state_dict(encoder.model.state_dict())
    model._tokenizer = encoder.tokenizer.cut_at(model.max_length)
    generator = torch.Generator().manual_seed(seed)
    for head in (model.pooler, model.classifier):
        nn.init.normal_(head.weight, std=INITIAL_STD, generator=generator)
        nn.init.zeros_(head.bias)
    return model.eval().to(encoder.model.device)


@dataclass(frozen=True, slots=True)
class ListBatch:
    """B lists of P passages as pairs with their queries, B x P rows; the first row of each list is right."""

    pairs: TextBatch
    n_passages: int

    def __len__(self) -> int:
        return len(self.pairs) // self.n_passages

    @property
    def n_tokens(self) -> int:
        """The tokens, without padding."""
        return self.pairs.n_tokens


class ListData:
    """The batches of each step: ``batch_size`` lists of a passage and ``n_negatives`` others."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        model: CrossEncoder,
        *,
        batch_size: int,
        n_negatives: int,
        max_tokens: int,
        batch_tokens: int = BATCH_TOKENS["cpu"],
        seed: int = 0,
    ) -> None:
        check_enough(PAIRS, len(pairs), batch_size)
        self.batch_size, self._n_negatives, self._seed = batch_size, n_negatives, seed
        self._pairs, self._max_tokens, self._batch_tokens = pairs, max_tokens, batch_tokens
        self._tokenizer = model.tokenizer.cut_at(max_tokens)
        self._order = EpochOrder(len(pairs), seed)

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def fingerprint(self) -> str:
        """A hash that differs whenever the batches would."""
        numbers = self.batch_size, self._n_negatives, self._max_tokens, self._batch_tokens, self._seed
        return fingerprint(self._pairs, *numbers)

    def batches(self, step: int) -> list[ListBatch]:
        """The batches of a step, the first of which is 0."""
        chosen = [self._pairs[row] for row in self._order.rows(step, self.batch_size)]
        negatives = some_negatives(chosen, self._n_negatives, seed=(self._seed, step))
        lists = [
            self._tokenizer.pair_ids(
                pair.query, [pair.passage, *islice(cycle(some), self._n_negatives)], kind=""
            )
            for pair, some in zip(chosen, negatives, strict=True)
        ]
        lengths = [sum(len(ids) for ids, _ in rows) for rows in lists]
        most = -(-len(lists) // GROUPS)  # not by the processes: dropout depends on the number of a batch
        groups = batches(lengths, self._batch_tokens, most, is_padded=True)
        return [self._batch([row for place in group for row in lists[place]]) for group in groups]

    def _batch(self, rows: Sequence[tuple[list[int], list[int]]]) -> ListBatch:
        return ListBatch(pair_batch(rows, self._tokenizer.pad_id), 1 + self._n_negatives)


@dataclass(frozen=True, slots=True)
class ListRanking:
    """The recipe: a batch of lists to the loss "ranking" of the reranker that is trained."""

    model: CrossEncoder

    def __call__(self, batch: ListBatch) -> dict[str, Tensor]:
        """The losses by name."""
        pairs = batch.pairs.to(self.model.model.device)
        scores = self.model(pairs.ids, pairs.mask, pairs.segments)  # (B * P, 1)
        of_lists = scores.float().view(len(batch), batch.n_passages)
        right = torch.zeros(len(batch), dtype=torch.long, device=scores.device)
        return {"ranking": ranking_loss(of_lists, right)}


def run(
    job: PairsJob,
    *,
    on_step: Callable[[str], object] = lambda _: None,
    on_progress: Callable[[str, TrainingProgress], object] = lambda *_: None,
) -> Report:
    """Train a reranker from an embedder, measure and save; errors as `finetuning.run`."""
    job.check_new("reranker")
    on_step("loading the model")
    encoder = job.base()
    settings = job.settings(LEARNING_RATE)
    batch_size = job.batch_size or BATCH_SIZE
    examples = examples_of(
        job, encoder, batch_size=batch_size, masked_share=MASKED_SHARE, has_titles=False, on_step=on_step
    )
    model = cross_encoder_of(encoder, seed=job.seed)
    data = ListData(
        examples.pairs,
        model,
        batch_size=batch_size,
        n_negatives=N_NEGATIVES,
        max_tokens=min(MAX_TOKENS, model.max_length),
        batch_tokens=BATCH_TOKENS[best_device()],
        seed=job.seed,
    )
    test = examples.test
    of_encoder = evaluation_of("embedder", test, lambda test: test.measured(encoder), on_step)
    before = measured("embedder", encoder, of_encoder() if of_encoder else {})
    on_step("training")
    evaluate = evaluation_of("reranker", test, lambda test: test.reranked(encoder, model), on_step)
    trained = train(
        model,
        data,
        ListRanking(model),
        settings,
        evaluate=evaluate,
        **job.part("reranker", encoder, on_progress),
    )
    if processes.rank() > 0:
        return Report()
    return finish(
        job,
        model,
        trained,
        [before, measured("reranker", model, trained.after)],
        base=job.model,
        what=f"A cross-encoder that scores how well a passage answers a query, trained from "
        f"{source_of(job.model)} by `minisearch train rerank`. In the table it puts the {RERANKED} best "
        f"passages of the embedder in order.",
        use='minisearch query --rerank-model ./FOLDER "a query"\n'
        'sentence_transformers.CrossEncoder("./FOLDER")',
        data=examples.origin,
        n_documents=examples.n_documents,
        skipped=examples.skipped,
        how_measured=examples.how_tested,
    )
