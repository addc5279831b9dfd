"""The machine that figures were measured on, in one line; nothing heavy is imported to say it."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

# What decides which precision is quick.
FEATURES = ("avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def machine() -> str:
    """Processor and what it has for small numbers, cores, Python and torch."""
    path = Path("/proc/cpuinfo")
    info = (
        dict(re.findall(r"^(\w[^\t:]*)\t*: (.*)$", path.read_text(), re.MULTILINE)) if path.exists() else {}
    )
    features = [name for name in FEATURES if name in info.get("flags", "").split()]
    name = " ".join([info.get("model name", platform.processor()), *features])
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {version('torch')}"
