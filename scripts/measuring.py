"""What the measuring scripts share: options, time, memory, tables, and the machine in one line.

Nothing heavy is imported, so that a process that starts others stays small: a child's peak memory is never
below its parent's.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

CPU_FEATURES = (
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
)  # they decide which precision is fast


def option_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser of options whose help is a script's docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def machine() -> str:
    """Processor with its vector instructions, cores, Python and torch."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    info = dict(re.findall(r"^(\w[^\t:]*)\t*: (.*)$", text, re.MULTILINE))
    features = [name for name in CPU_FEATURES if name in info.get("flags", "").split()]
    name = " ".join([info.get("model name", platform.processor()), *features])
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {version('torch')}"


def timed_s(call: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def peak_mb() -> float:
    """The most memory that this process has held."""
    path = Path("/proc/self/status")  # rather than getrusage: a child's peak begins with its parent's
    found = re.search(r"VmHWM:\s+(\d+) kB", path.read_text()) if path.exists() else None
    return int(found[1]) / 1_024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with an empty line above."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
