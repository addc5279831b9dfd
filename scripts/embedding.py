"""Compare the speed and the vectors of our encoder with sentence-transformers and OpenVINO.

    make peers                                                           # once: OpenVINO's own environment
    python scripts/embedding.py --openvino .venv-openvino/bin/python     # --quick for a first look

Each kind of encoder runs in its own process (scripts/encoder_worker.py), loaded and warmed up before timing
begins.  In each round, each of them encodes each set of texts while the others wait.  Speeds are medians.  A
ratio is the median of the ratios within each round, so that a slow round slows both sides.  Ratios are
comparable between machines, seconds are not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import machine, option_parser, table
from sample_texts import cut, read_words

from minisearch.errors import MinisearchError
from minisearch.minilm.hub import locate
from minisearch.minilm.settings import MiniLMConfig
from minisearch.minilm.tokenizer import MiniLMTokenizer

MODEL = "all-MiniLM-L6-v2"
WORKER = Path(__file__).with_name("encoder_worker.py")
# Number of tokens of the texts of each set, from and to; queries are encoded one at a time.
LENGTHS = {"long": (224, 256), "short": (16, 31), "query": (12, 12)}


class Kind(NamedTuple):
    """One measured encoder."""

    library: str
    dtype: str
    device: str = "cpu"

    def __str__(self) -> str:
        return f"{self.library} {self.dtype}" + ("" if self.device == "cpu" else f" on {self.device}")


PLAIN, OPENVINO = Kind("sentence-transformers", "float32"), Kind("OpenVINO", "bfloat16")
OURS = [Kind("minisearch", dtype) for dtype in ("auto", "float32", "bfloat16", "int8")]
CPU_KINDS = [PLAIN, Kind("sentence-transformers", "bfloat16"), OPENVINO, *OURS]
GPU_KINDS = [Kind(PLAIN.library, dtype, "cuda") for dtype in ("float32", "bfloat16")]
GPU_KINDS += [Kind("minisearch", "bfloat16", "cuda")]
BASELINES = [PLAIN, OPENVINO, Kind("minisearch", "float32"), GPU_KINDS[1]]
PEAK_KINDS = [PLAIN, Kind("minisearch", "auto"), Kind("minisearch", "int8")]

Seconds = Mapping[Kind, Sequence[float]]  # one number for each round


class Worker:
    """One kind of encoder in its own process; if it fails, the run ends after the worker's error message."""

    def __init__(self, name: str, *command: str | Path) -> None:
        print(f"loading {name}", file=sys.stderr)
        self.name = name
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about: dict[str, Any] = json.loads(self._answer())

    def ask(self, request: str) -> str:
        """Send a request and return the response."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it has ended, and there is no response
            print(request, file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            self.close()
            sys.exit(f"{self.name} ended with {self._process.returncode}")
        return answer.strip()


def measure(workers: Mapping[Kind, Worker], name: str, n_rounds: int) -> dict[Kind, list[float]]:
    """Seconds of each kind for one set in each round; one worker computes at a time."""
    seconds: dict[Kind, list[float]] = {kind: [] for kind in workers}
    verb = "single" if name == "query" else "encode"
    for number in range(1, n_rounds + 1):
        print(f"{name}: round {number} of {n_rounds}", file=sys.stderr)
        for kind, worker in workers.items():
            seconds[kind].append(float(worker.ask(f"{verb} {name}")))
    return seconds


def ratio(baseline_s: Sequence[float], kind_s: Sequence[float]) -> float:
    """Speed relative to the baseline: the median of the ratios within each round."""
    return statistics.median(theirs / ours for theirs, ours in zip(baseline_s, kind_s, strict=True))


def speed_table(title: str, seconds: Seconds, n_tokens: int, *, is_single: bool) -> str:
    """Median speed of each kind, and relative to each measured baseline."""
    baselines = [kind for kind in BASELINES if kind in seconds]
    rows = []
    for kind, taken in seconds.items():
        middle = statistics.median(taken)
        speed = f"{middle * 1_000:.2f}" if is_single else f"{n_tokens / middle:,.0f}"
        rows.append([str(kind), speed, *(f"{ratio(seconds[baseline], taken):.2f}" for baseline in baselines)])
    unit = "ms each, p50" if is_single else "tok/s"
    return table([title, unit, *(f"× {baseline}" for baseline in baselines)], rows)


def utilisation_table(seconds: Seconds, n_flops: int, peak_tflops: float) -> str:
    """The share of the GPU's peak performance that was reached."""
    shares = {
        kind: n_flops / statistics.median(taken) / peak_tflops / 1e12 for kind, taken in seconds.items()
    }
    rows = [[str(kind), f"{share:.1%}"] for kind, share in shares.items()]
    return table(["long", f"of {peak_tflops:g} TFLOP/s"], rows)


def peak_mb(worker: Worker) -> float:
    """Peak memory of a new worker after it has encoded its set, in MB."""
    worker.ask("encode long")
    peak = float(worker.ask("peak"))
    worker.close()
    return peak


def cosine_table(workers: Mapping[Kind, Worker], path: Path) -> str:
    """Cosines of all long and short texts to the first kind's vectors, and the size of the weights."""
    vectors = {}
    for kind, worker in workers.items():
        worker.ask(f"save {path}")
        with np.load(path) as sets:
            vectors[kind] = np.concatenate([sets["long"], sets["short"]])
    reference = next(iter(workers))
    rows = []
    for kind, worker in workers.items():
        cosine = cosines(vectors[kind], vectors[reference])
        weights = f"{worker.about['weights_mb']:.1f}" if "weights_mb" in worker.about else ""
        rows.append([str(kind), f"{cosine.min():.6f}", f"{cosine.mean():.6f}", weights])
    title = f"cosine to {reference}, {len(vectors[reference]):,} texts"
    return table([title, "min", "mean", "weights, MB"], rows)


def cosines(vectors: Any, reference: Any) -> Any:  # noqa: ANN401 - arrays (n, D) to (n,)
    """Cosine of each vector with its reference; vectors need not be normalised."""
    a, b = (np.asarray(array, np.float64) for array in (vectors, reference))
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def flops_per_token(config: MiniLMConfig, length: int) -> int:
    """Multiplications and additions for each token of a text of this length."""
    width, inner = config.hidden_size, config.intermediate_size
    linear = 2 * (4 * width * width + 2 * width * inner)
    attention = 4 * length * width  # the scores, then the weighted mean
    return config.num_hidden_layers * (linear + attention)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; ``kinds`` become a list of `Kind`."""
    parser = option_parser(__doc__)
    parser.add_argument("--texts", type=Path, default="data/docs", help="folder with the texts")
    parser.add_argument("--openvino", metavar="PYTHON", help="Python of OpenVINO's environment")
    parser.add_argument("--n-texts", type=int, default=1_500, help="number of long texts, and of short texts")
    parser.add_argument(
        "--n-peak", type=int, default=5_000, help="number of long texts for the peak memory; 0: skip"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help='only these, such as "minisearch auto"')
    parser.add_argument("--gpu-tflops", type=float, help="measure on CUDA; the card's dense bfloat16 peak")
    parser.add_argument("--quick", action="store_true", help="a trial run: 96 texts, 2 rounds")
    options = parser.parse_args(arguments)
    options.n_queries = 200
    if options.quick:
        options.n_texts, options.n_queries, options.n_peak, options.rounds = 96, 20, 96, 2
    kinds = GPU_KINDS if options.gpu_tflops else CPU_KINDS
    by_name = {str(kind): kind for kind in kinds if kind != OPENVINO or options.openvino}
    asked = options.kinds or list(by_name)
    if unknown := sorted(set(asked) - set(by_name)):
        parser.error(f"there is no kind {', '.join(unknown)} here, only {', '.join(by_name)}")
    options.kinds = [kind for name, kind in by_name.items() if name in asked]
    return options


def main(arguments: Sequence[str]) -> int:
    """Cut the texts, run the rounds, print the tables."""
    options = parse(arguments)
    folder = locate(MODEL, offline=True).folder
    tokenizer = MiniLMTokenizer(MODEL, offline=True)
    words, counts = read_words(options.texts, tokenizer)
    n_texts = {"long": options.n_texts, "short": options.n_texts, "query": options.n_queries}
    sets = {name: cut(words, counts, *LENGTHS[name], n=n) for name, n in n_texts.items()}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "sets.json")

        def start(kind: Kind, sets: dict[str, list[str]]) -> Worker:
            path.write_text(json.dumps(sets), encoding="utf-8")
            python = options.openvino if kind == OPENVINO else sys.executable
            return Worker(str(kind), python, WORKER, *kind, folder, path)

        workers = {kind: start(kind, sets) for kind in options.kinds}
        peers = {worker.about["version"] for worker in workers.values() if "version" in worker.about}
        print(f"Machine: {', '.join([machine(), *sorted(peers)])}")
        for name, texts in sets.items():
            lengths = [len(ids) for ids in tokenizer.ids(texts)]
            title = f"{name}: {len(texts):,} texts, {statistics.mean(lengths):.0f} tokens each"
            seconds = measure(workers, name, options.rounds)
            print(speed_table(title, seconds, sum(lengths), is_single=name == "query"), flush=True)
            if name == "long" and options.gpu_tflops:
                work = sum(length * flops_per_token(MiniLMConfig(), length) for length in lengths)
                print(utilisation_table(seconds, work, options.gpu_tflops), flush=True)
        print(cosine_table(workers, Path(scratch, "vectors.npz")), flush=True)
        for worker in workers.values():
            worker.close()

        many = {"long": cut(words, counts, *LENGTHS["long"], n=options.n_peak)}
        kinds = [kind for kind in PEAK_KINDS if kind in workers and options.n_peak]
        rows = [[str(kind), f"{peak_mb(start(kind, many)):,.0f}"] for kind in kinds]
        if rows:
            print(table([f"a process that encodes {options.n_peak:,} long texts", "peak memory, MB"], rows))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MinisearchError as error:
        sys.exit(f"error: {error}")
