"""A static student: a teacher and a corpus in, one vector for each token out, and `minisearch train static`.

The start is Model2Vec's (Minish Lab 2024): the teacher encodes every token alone, PCA makes the vectors
narrower, and frequent tokens get a small weight (smooth inverse frequency: Arora et al. 2017).  Then the
vectors are trained towards those that the teacher gives the texts of the corpus, which it encodes once.

Shapes: V tokens of the vocabulary, H the teacher's width, D the student's, N texts, B of them in a batch
with T tokens in all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from minisearch.errors import InputError
from minisearch.evaluation.known_items import ChunkedDocument
from minisearch.minilm.models import SentenceTransformer
from minisearch.minilm.static import StaticEncoder, WordIds
from minisearch.minilm.transformer import pool
from minisearch.text import count
from minisearch.training import processes
from minisearch.training.data import EpochOrder, check_corpus, passages_and_parts
from minisearch.training.job import Job, Report, finish, load_embedder, read_corpus
from minisearch.training.losses import cosine_loss, similarity_loss
from minisearch.training.report import compare, evaluation_of, known_item_test, source_of
from minisearch.training.trainer import TrainingProgress, train
from minisearch.types import FloatArray, IntArray

DIMENSION = 256
BATCH_SIZE = 256
LEARNING_RATE = 3e-3
MAX_TEXTS = 200_000  # more take hours to encode, and their vectors 150 MB at a width of 384
TEXTS_A_CALL = 2_000

# A token's weight is a / (a + p), where p is its frequency: in the corpus, and in a prior of so many tokens
# by Zipf's law, because vocabularies are sorted by frequency.
SIF = 1e-3
N_PRIOR = 1_000_000
# A token that the corpus has this often learns half of what is its own.
N_HALF = 300


class StaticStudent(nn.Module):
    """The vectors of the tokens while they are trained.

    The vector of a token is w (z A + g r).  z is the teacher's vector of the token alone, and A a map that
    all tokens share, which begins as PCA: so the words that the corpus never has move with the others.  r is
    the token's own, w its weight.  What a token learns of its own, r and the change of w, is multiplied by
    g = n / (n + `N_HALF`), n being how often the corpus has it: a few texts tell little about a word, but
    Adam's steps are as large for rare words as for frequent ones.  A and r decay towards the start.
    """

    start: Tensor  # (H, D)
    z: Tensor  # (V, H)
    weight: Tensor  # (V,)
    gate: Tensor  # (V,)

    def __init__(
        self, alone: FloatArray, counts: IntArray, *, dimension: int, unknown: Sequence[int]
    ) -> None:
        super().__init__()
        n_tokens, width = alone.shape
        weight = frequency_weights(counts)
        weight[list(unknown)] = 0.0  # model2vec leaves them out, so they must add nothing
        centred = alone - alone.mean(0)
        start = torch.from_numpy(principal_axes(centred, dimension))
        z = torch.from_numpy(centred / np.linalg.norm(centred, axis=1).mean())
        self.register_buffer("start", start)
        self.register_buffer("z", z)
        self.register_buffer("weight", torch.from_numpy(weight))
        self.register_buffer("gate", torch.from_numpy((counts / (counts + N_HALF)).astype(np.float32)))
        self.map = nn.Parameter(torch.zeros(width, dimension))  # A less its start
        self.own = nn.Parameter(torch.zeros(n_tokens, dimension))  # r
        self.log_weight = nn.Parameter(torch.zeros(n_tokens))  # the logarithm of the change of w

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Unit vectors (B, D) of texts whose ids (T,) are joined and begin at the offsets (B,)."""
        weights = self.weight[ids] * (self.gate[ids] * self.log_weight[ids]).exp()  # (T,)
        shared = self._sums(self.z, ids, offsets, weights) @ (self.start + self.map)
        return F.normalize(shared + self._sums(self.own, ids, offsets, weights * self.gate[ids]), dim=1)

    @staticmethod
    def _sums(table: Tensor, ids: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        return F.embedding_bag(ids, table, offsets, mode="sum", per_sample_weights=weights)

    @torch.no_grad()
    def table(self) -> FloatArray:
        """The vectors of the tokens, (V, D) float32."""
        weights = self.weight * (self.gate * self.log_weight).exp()
        vectors = self.z @ (self.start + self.map) + self.gate[:, None] * self.own
        table: FloatArray = (weights[:, None] * vectors).numpy()
        return table


def frequency_weights(counts: IntArray) -> FloatArray:
    """Smooth inverse frequency (V,) float32 of tokens that a corpus has so often, frequent tokens first.

    >>> [round(float(weight), 4) for weight in frequency_weights(np.array([0, 0]))]
    [0.0017, 0.0025]
    """
    zipf = 1 / np.arange(2, len(counts) + 2)
    frequency = (counts + N_PRIOR * zipf / zipf.sum()) / (counts.sum() + N_PRIOR)
    weights: FloatArray = (SIF / (SIF + frequency)).astype(np.float32)
    return weights


def principal_axes(centred: FloatArray, n: int) -> FloatArray:
    """The principal axes (H, n) of vectors (V, H) with a mean of zero, that of the largest variance first."""
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(axes[:, ::-1][:, :n].astype(np.float32))


# --- the teacher's vectors -----------------------------------------------------------------------------


def tokens_alone(teacher: SentenceTransformer) -> FloatArray:
    """The teacher's vectors (V, H) of texts of one token, not normalised."""
    all_ids = teacher.tokenizer.one_token_ids(teacher.settings.document_prompt)
    vectors = np.empty((len(all_ids), teacher.dimension), np.float32)

    def keep(rows: list[int], tokens: Tensor) -> None:  # (G, T, H)
        vectors[rows] = pool(tokens.float(), None, teacher.pooling).cpu().numpy()

    teacher.inference.run(all_ids, keep)
    return vectors


@dataclass(frozen=True, slots=True)
class StaticBatch:
    """Texts, their ids (T,) joined with the offsets (B,), and the teacher's vectors (B, H) of them."""

    ids: Tensor
    offsets: Tensor
    vectors: Tensor

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def n_tokens(self) -> int:
        """The tokens, without special ones."""
        return len(self.ids)


class StaticData:
    """The batch of each step: ``batch_size`` texts and the teacher's vectors of them.

    At most `MAX_TEXTS` different texts are used, chosen at random.  InputError for fewer than a step takes.
    """

    def __init__(
        self,
        documents: Iterable[ChunkedDocument],
        teacher: SentenceTransformer,
        *,
        batch_size: int,
        seed: int = 0,
    ) -> None:
        self.batch_size, self._teacher, self._seed = batch_size, teacher, seed
        kinds: dict[str, bool] = {}
        for text, is_short in passages_and_parts(documents):
            kinds.setdefault(text, is_short)
        texts = sorted(kinds.items())
        order = np.random.default_rng(seed).permutation(len(texts))[:MAX_TEXTS]
        texts = [texts[place] for place in order.tolist()]
        ids = [np.array(one, np.int32) for one in WordIds(teacher.tokenizer)([text for text, _ in texts])]
        self._texts = [text for text, of_text in zip(texts, ids, strict=True) if len(of_text)]
        self._ids = [of_text for of_text in ids if len(of_text)]
        check_corpus(len(self), batch_size)
        self._order = EpochOrder(len(self), seed)
        self._vectors = np.empty((0, teacher.dimension), np.float16)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def n_tokens(self) -> int:
        """The tokens of all texts."""
        return sum(map(len, self._ids))

    @property
    def counts(self) -> IntArray:
        """How often the texts have each token, (V,)."""
        return np.bincount(np.concatenate(self._ids), minlength=self._teacher.tokenizer.vocab_size)

    @property
    def fingerprint(self) -> str:
        """A hash that differs whenever the batches would."""
        digest = hashlib.sha256(repr((self.batch_size, self._seed)).encode())
        for ids in self._ids:
            digest.update(len(ids).to_bytes(4, "little") + ids.tobytes())
        return digest.hexdigest()

    def encode(self, on_done: Callable[[int], object] = lambda _: None) -> None:
        """Encode all texts with the teacher; ``on_done`` is called with how many are done."""
        settings, n_done = self._teacher.settings, 0
        self._vectors = np.empty((len(self), self._teacher.dimension), np.float16)
        has_prompt = settings.query_prompt != settings.document_prompt
        for encode, as_queries in (
            (self._teacher.encode_document, False),
            (self._teacher.encode_query, True),
        ):
            rows = [
                row
                for row, (_, is_short) in enumerate(self._texts)
                if (is_short and has_prompt) == as_queries
            ]
            for start in range(0, len(rows), TEXTS_A_CALL):
                some = rows[start : start + TEXTS_A_CALL]
                self._vectors[some] = encode([self._texts[row][0] for row in some])
                n_done += len(some)
                on_done(n_done)

    def batches(self, step: int) -> list[StaticBatch]:
        """The batch of a step, the first of which is 0; the texts must be encoded."""
        rows = self._order.rows(step, self.batch_size)
        ids = [self._ids[row] for row in rows]
        lengths = np.array([len(of_text) for of_text in ids])
        offsets = torch.from_numpy(lengths.cumsum() - lengths)
        joined = torch.from_numpy(np.concatenate(ids)).long()
        return [StaticBatch(joined, offsets, torch.from_numpy(self._vectors[rows]).float())]


@dataclass(frozen=True, slots=True)
class StaticDistillation:
    """The recipe: a batch to the losses between the student's vectors and the teacher's.

    "cosine" compares the vectors, the teacher's on the student's first axes; "similarity" the similarities of
    each text to the others of the batch.
    """

    student: StaticStudent

    def __call__(self, batch: StaticBatch) -> dict[str, Tensor]:
        """The losses by name."""
        ours = self.student(batch.ids, batch.offsets)  # (B, D)
        return {
            "cosine": cosine_loss(ours, batch.vectors @ self.student.start),
            "similarity": similarity_loss(ours, batch.vectors),
        }


# --- the command ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticJob(Job):
    """The options of `minisearch train static`."""

    teacher: str
    dimension: int | None = None


def run(
    job: StaticJob,
    *,
    on_step: Callable[[str], object] = lambda _: None,
    on_progress: Callable[[str, TrainingProgress], object] = lambda *_: None,
) -> Report:
    """Build, train, measure and save.

    Raises InputError for a dimension, a corpus or a folder that do not fit, ModelError for a teacher that
    cannot be loaded, TrainingError as `train` does.
    """
    # A matrix product and two sums of rows: bfloat16 would save no time.
    settings = replace(job.settings(LEARNING_RATE), dtype="float32")
    job.check_new("student")
    on_step("loading the teacher")
    teacher = load_embedder(job.teacher, offline=job.is_offline)
    dimension = job.dimension or min(DIMENSION, teacher.dimension)
    if dimension > teacher.dimension:
        raise InputError(
            f"the dimension is {dimension}, expected at most the teacher's width, {teacher.dimension}"
        )
    on_step("reading the corpus")
    corpus = read_corpus(job.corpus, teacher)
    data = StaticData(corpus.documents, teacher, batch_size=job.batch_size or BATCH_SIZE, seed=job.seed)
    student = initial_student(teacher, data, dimension)
    on_step(f"encoding {count(len(data), 'text')} with the teacher")
    data.encode(lambda n_done: on_step(f"encoding with the teacher: {n_done:,}/{len(data):,} texts"))
    test = known_item_test(corpus.documents, seed=job.seed)
    on_step("training")
    evaluate = evaluation_of(
        "student", test, lambda test: test.measured(encoder_of(student, teacher)), on_step
    )
    trained = train(
        student,
        data,
        StaticDistillation(student),
        settings,
        evaluate=evaluate,
        **job.part("student", teacher, on_progress),
    )
    if processes.rank() > 0:
        return Report()
    encoder = encoder_of(student, teacher)
    return finish(
        job,
        encoder,
        trained,
        compare(teacher, encoder, trained, test, corpus.passages, on_step=on_step),
        base=job.teacher,
        what=f"A static sentence embedder, one vector of width {encoder.dimension} for each token, made from "
        f"{source_of(job.teacher)} by `minisearch train static`.",
        data=f"{len(corpus.documents):,} documents, cut into {len(data):,} texts of {data.n_tokens:,} tokens "
        f"in all",
        n_documents=len(corpus.documents),
        skipped=corpus.skipped,
    )


def initial_student(teacher: SentenceTransformer, data: StaticData, dimension: int) -> StaticStudent:
    """The student before training."""
    unknown = teacher.tokenizer.unknown_ids
    return StaticStudent(tokens_alone(teacher), data.counts, dimension=dimension, unknown=unknown)


def encoder_of(student: StaticStudent, teacher: SentenceTransformer) -> StaticEncoder:
    """The student as it searches."""
    return StaticEncoder(student.table(), teacher.tokenizer)
