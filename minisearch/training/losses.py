"""The losses of distillation: projections or vectors of student and teacher come in, one number comes out.

Deep self-attention distillation (MiniLM: Wang et al. 2020, arXiv 2002.10957) compares the last layers'
self-attention: `attention_loss` is section 3.1, `value_loss` section 3.2.  `relation_loss` is its
generalisation to any number of heads (MiniLMv2: Wang et al. 2021, arXiv 2012.15828).  `hidden_loss` compares
token vectors, `cosine_loss` and `similarity_loss` vectors of texts.  The student's gradients flow, the
teacher's are left to the caller.  `ranking_loss` needs no teacher: it compares scores of right and wrong
passages.  All are computed in float32, also within autocast: see `products`.

Shapes: B texts, T tokens, H heads, d width of a head, D hidden width.  Masks (B, T) are True for tokens and
False for padding, which counts neither as a key nor as a position.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from minisearch.errors import InputError
from minisearch.minilm.transformer import Projections

# The score of a key that does not count: its probability is exactly 0, and unlike with -inf the difference of
# two such logarithms is a number.
EXCLUDED = -1e9
Pair = tuple[Tensor, Tensor]  # (B, H, T, d) both


def attention_loss(student: Projections, teacher: Projections, mask: Tensor) -> Tensor:
    """KL(teacher ‖ student) of the self-attention distributions softmax(Q Kᵀ / √d).

    For each text the sum over heads and positions divided by H times its length; the mean over the texts.
    InputError if the numbers of heads differ.
    """
    _check_heads(student, teacher)
    return _divergence((student.query, student.key), (teacher.query, teacher.key), mask)


def value_loss(student: Projections, teacher: Projections, mask: Tensor) -> Tensor:
    """KL(teacher ‖ student) of the value relations softmax(V Vᵀ / √d), averaged as in `attention_loss`."""
    _check_heads(student, teacher)
    return _divergence((student.value, student.value), (teacher.value, teacher.value), mask)


def relation_loss(
    student: Projections, teacher: Projections, mask: Tensor, *, n_relation_heads: int
) -> Tensor:
    """The sum of KL(teacher ‖ student) over the relations Q-Q, K-K and V-V, averaged as in `attention_loss`.

    All heads of a layer are joined and split again into ``n_relation_heads``, so that student and teacher
    may have different numbers of heads.  InputError if a hidden width is not divisible by it.
    """
    parts = []
    for of_student, of_teacher in zip(student, teacher, strict=True):
        ours, theirs = _split(of_student, n_relation_heads), _split(of_teacher, n_relation_heads)
        parts.append(_divergence((ours, ours), (theirs, theirs), mask))
    return torch.stack(parts).sum()


def hidden_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """The squared difference of token vectors (B, T, D) by the teacher's squares; the mean over the texts.

    TinyBERT (Jiao et al. 2020, arXiv 1909.10351) compares the token vectors of each layer so, without the
    division, which makes layers of different scale count the same.  InputError for other widths.
    """
    _check_widths(student, teacher)
    of_differences, of_teacher = (
        (one.square().sum(-1) * mask).sum(1)
        for one in (student - teacher, teacher)  # (B,)
    )
    return (of_differences / of_teacher).mean()


def cosine_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean of 1 - cosine of the vectors (B, D) of the same texts; InputError for different widths."""
    _check_widths(student, teacher)
    return (1 - F.cosine_similarity(student, teacher, dim=1)).mean()


def similarity_loss(student: Tensor, teacher: Tensor, *, temperature: float = 0.05) -> Tensor:
    """KL(teacher ‖ student) of each text's similarities to the other texts of the batch, the mean over texts.

    ``student`` (B, D) and ``teacher`` (B, D') are unit vectors of the same texts, of any widths.  The
    similarities of a text are softmax(cosines / temperature) over the others.
    """
    of_student, of_teacher = (
        (products(vectors, vectors) / temperature).fill_diagonal_(EXCLUDED).log_softmax(-1)
        for vectors in (student, teacher)
    )  # (B, B)
    return _kl(of_student, of_teacher).mean()


def products(a: Tensor, b: Tensor) -> Tensor:  # (..., M, d), (..., N, d) -> (..., M, N)
    """A Bᵀ in float32, also within autocast.

    Autocast would compute it in bfloat16, and on a CPU the softmax after it too.
    """
    with torch.autocast(a.device.type, enabled=False):
        return a.float() @ b.float().transpose(-1, -2)


def ranking_loss(scores: Tensor, right: Tensor, is_excluded: Tensor | None = None) -> Tensor:
    """The mean over queries of -log softmax(scores) of the right passage.

    ``scores`` (B, P) are those of P passages for each of B queries, ``right`` (B,) the places of the right
    ones; where ``is_excluded`` (B, P) is True, a passage does not count for a query.  With cosines times 20
    this is multiple negatives ranking (Henderson et al. 2017, arXiv 1705.00652), also called InfoNCE.
    """
    if is_excluded is not None:
        scores = scores.masked_fill(is_excluded, EXCLUDED)
    return F.cross_entropy(scores, right)


def _divergence(student: Pair, teacher: Pair, mask: Tensor) -> Tensor:
    """The mean over texts of their mean divergence of a head's position."""
    ours, theirs = (_log_relations(a, b, mask) for a, b in (student, teacher))
    of_positions = _kl(ours, theirs) * mask[:, None, :]  # (B, H, T)
    return (of_positions.sum((1, 2)) / (ours.shape[1] * mask.sum(1))).mean()


def _log_relations(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:  # 2 x (B, H, T, d) -> (B, H, T, T)
    """The logarithms of softmax(A Bᵀ / √d)."""
    scores = products(a, b) / math.sqrt(a.shape[-1])
    return scores.masked_fill(~mask[:, None, None, :], EXCLUDED).log_softmax(-1)


def _kl(student: Tensor, teacher: Tensor) -> Tensor:  # logarithms 2 x (..., T) -> (...)
    return (teacher.exp() * (teacher - student)).sum(-1)


def _split(heads: Tensor, n_relation_heads: int) -> Tensor:  # (B, H, T, d) -> (B, R, T, D / R)
    joined = heads.transpose(1, 2).flatten(2)  # (B, T, D)
    if joined.shape[2] % n_relation_heads:
        raise InputError(
            f"the number of relation heads is {n_relation_heads}, expected a divisor of both hidden widths, "
            f"and one is {joined.shape[2]}"
        )
    return joined.view(*joined.shape[:2], n_relation_heads, -1).transpose(1, 2)


def _check_widths(student: Tensor, teacher: Tensor) -> None:
    if student.shape[-1] != teacher.shape[-1]:
        raise InputError(
            f"the student's vectors are {student.shape[-1]} wide, expected the teacher's width, "
            f"{teacher.shape[-1]}"
        )


def _check_heads(student: Projections, teacher: Projections) -> None:
    ours, theirs = student.query.shape[1], teacher.query.shape[1]
    if ours != theirs:
        raise InputError(
            f"the student has {ours} heads and the teacher {theirs}: comparing their attention needs equal "
            f"numbers; the loss 'relations' works with any"
        )
