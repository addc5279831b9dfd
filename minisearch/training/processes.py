"""Several processes of one training run, as `torchrun` starts them: what they share and what they exchange.

Each process computes some of the batches of a step, then the gradients are added.  Torch's own
DistributedDataParallel does not fit: it adds the gradients of one call of the whole model, but recipes call
its layers, and processes may have different numbers of batches.  A single process exchanges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import distributed, nn

from minisearch.errors import TrainingError

T = TypeVar("T")
TIMEOUT = timedelta(days=1)  # while the first process evaluates, the others wait
# What gloo and NCCL say of a process that has ended; their errors are plain RuntimeErrors.
LOST = re.compile(r"(closed|reset) by peer|broken pipe|timed out|ncclRemoteError", re.IGNORECASE)


@contextmanager
def joined() -> Iterator[None]:
    """Join the other processes, if `torchrun` started this one; each gets a GPU of its own."""
    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        yield
        return
    has_cuda = torch.cuda.is_available()
    if has_cuda:
        torch.cuda.set_device(distributed.get_node_local_rank())
    # A static student is on the CPU, also where there are GPUs.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if has_cuda else "gloo", timeout=TIMEOUT)
    yield
    distributed.destroy_process_group()  # not after an error: it would wait for the others


def n_processes() -> int:
    """The number of processes that train together."""
    return distributed.get_world_size() if _is_joined() else 1


def rank() -> int:
    """The number of this process; process 0 evaluates, prints and saves."""
    return distributed.get_rank() if _is_joined() else 0


def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over the processes; None if no process has one."""
    if n_processes() == 1:
        return
    trained = [one for one in parameters if one.requires_grad]
    given = [torch.zeros_like(one) if one.grad is None else one.grad for one in trained]
    has_gradient = torch.tensor([float(one.grad is not None) for one in trained], device=given[0].device)
    flat = torch.cat([*(one.flatten() for one in given), has_gradient])
    with _connected():
        distributed.all_reduce(flat)
    *sums, n_with = torch.split(flat, [*(one.numel() for one in trained), len(trained)])
    for parameter, total, n in zip(trained, sums, n_with.tolist(), strict=True):
        parameter.grad = total.view_as(parameter) if n else None


def gathered(value: T) -> list[T]:
    """The values of all processes, in their order."""
    if n_processes() == 1:
        return [value]
    found: list[Any] = [None] * n_processes()
    with _connected():
        distributed.all_gather_object(found, value)
    return cast("list[T]", found)


def _is_joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()


@contextmanager
def _connected() -> Iterator[None]:
    """TrainingError if another process ends during an exchange."""
    try:
        yield
    except RuntimeError as error:
        if not LOST.search(str(error)):
            raise
        raise TrainingError(
            "another process of this training run has ended, so this one stopped too: see its message"
        ) from error
