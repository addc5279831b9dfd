"""Run the encoder over many texts: sort them by length, group them into batches, use every core.

Token ids go in, token vectors go to a callback.  Each core computes its own batches on one thread, longest
batch first, because threads that share a batch spend much time waiting for one another.  A single batch is
computed by all threads together.  `packed` computes one batch; pooling is left to the caller.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from minisearch.errors import InputError
from minisearch.manifest import Dtype
from minisearch.minilm.packed import Batch, Packed, Scratch, has_onednn
from minisearch.minilm.transformer import MiniLMModel

# Tokens in a batch. On two cores 512, 1,024 and 2,048 are equally fast; 1,024 fit into the cache and keep the
# cores evenly loaded to the end. A GPU needs large batches.
BATCH_TOKENS = {"cpu": 1_024, "cuda": 65_536, "mps": 16_384}
MIN_BATCH_TOKENS = 256  # a smaller batch does not keep one core busy

# A forked child would wait for ever for the threads of GNU's OpenMP, which only the parent has.
os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


def best_device() -> str:
    """The fastest available device: "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def as_device(name: str | None) -> torch.device:
    """The device with this name, or the best one; InputError if it is not available."""
    if name is None:
        return torch.device(best_device())
    try:
        empty = torch.empty(0, device=name)
        empty.cpu()  # device "meta" computes nothing
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # each kind of device has its own
        raise InputError(f"device {name!r} is not available; the best one is {best_device()!r}") from error
    return empty.device


def compute_dtype(dtype: Dtype, device: torch.device) -> torch.dtype:
    """The dtype of activations: bfloat16 if the hardware supports it, unless a dtype is given."""
    if dtype in {"float32", "bfloat16"}:
        return torch.float32 if dtype == "float32" else torch.bfloat16
    return torch.bfloat16 if _has_bfloat16(device) else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware supports bfloat16: emulated, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not has_onednn(device, torch.bfloat16) or not hasattr(torch.cpu, "get_capabilities"):
        return False
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


class Inference:
    """Runs a model on its packed weights, which are made again after the model's own weights change.

    A change through ``parameter.data`` is not noticed.
    """

    def __init__(self, model: MiniLMModel, dtype: Dtype = "auto") -> None:
        self._model = model
        self._modules = list(model.modules())
        self._dtype: Dtype = dtype
        self._held: list[Tensor] = []
        self._state: list[tuple[int, int, int]] = []
        self._packed: Packed | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of activations."""
        return compute_dtype(self._dtype, self._model.device)

    def __getstate__(self) -> dict[str, object]:
        """The state without the packed weights: oneDNN's layout of a weight cannot be copied."""
        return {**self.__dict__, "_packed": None, "_held": []}

    @property
    def packed(self) -> Packed:
        """The packed weights, made again if the model has changed."""
        tensors = self._tensors()
        state = [(id(one), one.data_ptr(), 0 if one.is_inference() else one._version) for one in tensors]
        if self._packed is None or state != self._state:
            # Keeping the tensors prevents that a new one gets the address of an old one.
            self._packed, self._state, self._held = Packed(self._model, self.dtype), state, tensors
        return self._packed

    @property
    def n_bytes(self) -> int:
        """Memory of the weights and of their packed copies."""
        return sum(tensor.nbytes for tensor in self._tensors()) + self.packed.n_bytes

    def _tensors(self) -> list[Tensor]:
        # Not parameters() and buffers(): walking the tree of modules takes 5% of a single query.
        return [
            tensor
            for module in self._modules
            for tensor in (*module._parameters.values(), *module._buffers.values())
            if tensor is not None
        ]

    def run(
        self,
        ids: Sequence[Sequence[int]],
        consume: Callable[[list[int], Tensor], None],
        *,
        segments: Sequence[Sequence[int]] | None = None,
        batch_tokens: int | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Compute the token vectors of all texts and pass them to ``consume``, in any order.

        ``consume(rows, tokens)`` gets the positions in ``ids`` of G texts with T tokens each, and their
        vectors (G, T, D) in the computing dtype.  It is called from several threads, once for each row.
        ``segments`` are the token types of pairs.  Raises InputError for a limit below 1.
        """
        for name, given in (("batch_tokens", batch_tokens), ("batch_size", batch_size)):
            if given is not None and given < 1:
                raise InputError(f"{name} is {given}: expected at least 1")
        packed = self.packed
        n_threads = torch.get_num_threads() if packed.device.type == "cpu" else 1
        max_tokens = batch_tokens or BATCH_TOKENS.get(packed.device.type, BATCH_TOKENS["cpu"])
        lengths = [len(text) for text in ids]

        def compute(rows: list[int], scratch: Scratch) -> None:
            batch = Batch.of(
                [ids[row] for row in rows], None if segments is None else [segments[row] for row in rows]
            )
            tokens = packed(batch.to(packed.device), scratch)  # (N, D)
            start = n_done = 0
            for G, T in batch.groups:  # noqa: N806 - shapes
                consume(rows[n_done : n_done + G], tokens[start : start + G * T].view(G, T, -1))
                start, n_done = start + G * T, n_done + G

        is_padded = packed.device.type != "cpu"
        n_workers = 1 if batch_tokens else n_threads
        planned = list(batches(lengths, max_tokens, batch_size, n_workers=n_workers, is_padded=is_padded))
        if n_threads > 1 and len(planned) > 1:
            _on_every_core(planned, compute, n_threads)
            return
        scratch = Scratch()
        with torch.inference_mode():
            for rows in planned:
                compute(rows, scratch)


def batches(
    lengths: Sequence[int],
    batch_tokens: int,
    batch_size: int | None = None,
    *,
    n_workers: int = 1,
    is_padded: bool = False,
) -> Iterator[list[int]]:
    """Positions in batches of similar length, longest batch first; within a batch, shortest text first.

    A batch holds at most ``batch_tokens`` tokens, or one text, and at most ``batch_size`` texts.  For several
    workers, batches become smaller towards the end, so that all workers finish at about the same time.  With
    ``is_padded``, each text counts as many tokens as the longest text of its batch.

    >>> list(batches([2, 9, 3, 8], batch_tokens=18))
    [[3, 1], [0, 2]]
    """
    batch: list[int] = []
    n_tokens, n_left = 0, sum(lengths)
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):  # stable: ties keep their order
        n_more = lengths[batch[0]] if batch and is_padded else lengths[row]
        share = max(MIN_BATCH_TOKENS, n_left // (2 * n_workers)) if n_workers > 1 else batch_tokens
        if batch and (n_tokens + n_more > min(batch_tokens, share) or len(batch) == batch_size):
            yield batch[::-1]
            n_left -= sum(lengths[done] for done in batch)
            batch, n_tokens, n_more = [], 0, lengths[row]
        batch.append(row)
        n_tokens += n_more
    if batch:
        yield batch[::-1]


def _on_every_core(
    planned: Sequence[list[int]], compute: Callable[[list[int], Scratch], None], n_threads: int
) -> None:
    """Compute the batches in single-core threads; after an error or an interrupt no further batch begins."""
    n_workers = min(n_threads, len(planned))
    own = threading.local()
    all_begun = threading.Barrier(n_workers + 1)

    def begin() -> None:
        torch.get_num_threads()  # the first call in a thread copies the process's number
        torch.set_num_threads(1)  # for this thread, and for the process until it is reset below
        own.scratch = Scratch()
        with contextlib.suppress(threading.BrokenBarrierError):
            all_begun.wait()

    def work(rows: list[int]) -> None:
        with torch.inference_mode():
            compute(rows, own.scratch)

    pool = ThreadPoolExecutor(n_workers, "minisearch-encode", begin)
    try:
        futures = [pool.submit(work, rows) for rows in planned]
        all_begun.wait()
        torch.set_num_threads(n_threads)  # the default of threads that start from now on
        for future in futures:
            future.result()
    finally:
        all_begun.abort()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(n_threads)
