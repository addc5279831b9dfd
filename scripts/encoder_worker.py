"""One encoder in its own process: reads one request a line, writes one response a line.

    python scripts/encoder_worker.py LIBRARY DTYPE DEVICE FOLDER TEXTS.json

scripts/embedding.py starts one for each kind that it compares, with the Python of that kind's environment.
minisearch is imported only if it is measured.  FOLDER holds the checkpoint, TEXTS.json an object of named
sets of texts.  Everything is loaded and warmed up before the first response.

    encode SET     seconds for the whole set, including tokenisation
    single SET     seconds for a single text: the median over the set
    save PATH      write the vectors (n, D) of each encoded set to an .npz file
    peak           peak memory of this process, in MB
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from measuring import peak_mb, timed_s

Encode = Callable[[list[str]], Any]  # n texts -> vectors (n, D)
About = dict[str, Any]

N_WARM_UP = 64  # texts of each set, before timing begins
GPU_BATCH = 256  # texts; the peer's default of 32 would leave a GPU idle


def load_ours(folder: str, dtype: str, device: str) -> tuple[Encode, About]:
    """Our model with its defaults."""
    from minisearch.minilm import SentenceTransformer

    options: dict[str, Any] = {"dtype": dtype, "device": device}
    model = SentenceTransformer.from_pretrained(folder, offline=True, **options)
    return model.encode, {"weights_mb": model.n_weight_bytes / 1e6}


def load_sentence_transformers(folder: str, dtype: str, device: str) -> tuple[Encode, About]:
    """sentence-transformers on PyTorch, with its defaults."""
    import torch
    from sentence_transformers import SentenceTransformer

    options = {"dtype": getattr(torch, dtype)}
    model = SentenceTransformer(folder, device=device, model_kwargs=options, local_files_only=True)
    require(model.max_seq_length == 256, f"it sees {model.max_seq_length} tokens, expected 256")
    batch_size = GPU_BATCH if device == "cuda" else 32
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    about = {
        "version": f"sentence-transformers {version('sentence-transformers')}",
        "weights_mb": n_bytes / 1e6,
    }
    return lambda texts: model.encode(texts, batch_size=batch_size, show_progress_bar=False), about


def load_openvino(folder: str, dtype: str, device: str) -> tuple[Encode, About]:
    """sentence-transformers on OpenVINO, exported from the same weights; exits if the precision is wrong."""
    from sentence_transformers import SentenceTransformer

    hint = {"bfloat16": "bf16", "float32": "f32"}[dtype]
    with tempfile.TemporaryDirectory() as copy:  # the export is written beside the weights
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        options = {"export": True, "ov_config": {"INFERENCE_PRECISION_HINT": hint}}
        model = SentenceTransformer(
            copy, backend="openvino", device=device, model_kwargs=options, local_files_only=True
        )
        model.encode(["Compile it while the folder is here."])
    transformer: Any = model[0]
    in_force = transformer.auto_model.request.get_property("INFERENCE_PRECISION_HINT").to_string()
    require(in_force == hint, f"OpenVINO computes in {in_force}, expected {hint}")
    require(model.max_seq_length == 256, f"it sees {model.max_seq_length} tokens, expected 256")
    about = {"version": f"OpenVINO {version('openvino')}"}
    return lambda texts: model.encode(texts, batch_size=32, show_progress_bar=False), about


LOADERS = {
    "minisearch": load_ours,
    "sentence-transformers": load_sentence_transformers,
    "OpenVINO": load_openvino,
}


def serve(encode: Encode, sets: dict[str, list[str]], requests: Iterable[str], answers: TextIO) -> None:
    """Write one response for each request."""
    vectors: dict[str, Any] = {}
    for request in requests:
        verb, _, argument = request.rstrip("\n").partition(" ")
        answer = "done"
        if verb == "encode":
            started_s = time.perf_counter()
            vectors[argument] = encode(sets[argument])
            answer = str(time.perf_counter() - started_s)
        elif verb == "single":
            answer = str(statistics.median(timed_s(partial(encode, [text])) for text in sets[argument]))
        elif verb == "save":
            np.savez(argument, **vectors)
        elif verb == "peak":
            answer = str(peak_mb())
        else:
            raise ValueError(f"request {request!r} is not known")
        print(answer, file=answers, flush=True)


def require(is_so: bool, otherwise: str) -> None:
    """End this process, and with it the run, if the comparison would not be fair."""
    if not is_so:
        sys.exit(f"not comparable: {otherwise}")


def main(arguments: list[str]) -> None:
    """Load and warm up the encoder, describe it, then serve requests."""
    library, dtype, device, folder, path = arguments
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the output of libraries goes to standard error
    sets = json.loads(Path(path).read_text(encoding="utf-8"))
    encode, about = LOADERS[library](folder, dtype, device)
    for texts in sets.values():
        encode(texts[:N_WARM_UP])
        encode(texts[:1])
    print(json.dumps(about), file=answers, flush=True)
    serve(encode, sets, sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
