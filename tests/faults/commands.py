"""The real ``minisearch`` command, but for the encoder, which needs no weights and no torch.

    python -m tests.faults.commands index FOLDER --index INDEX

`minisearch` runs it and waits for its end; what is put before it (``unshare``, ``strace``) runs around it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.faults.processes import CHECKOUT, environment

# Its C++ says this itself, beside the error that it raises, and cannot be told not to.
OF_ANNOY = re.compile(r"^Unable to .*\n", re.MULTILINE)

RUN = "\nimport runpy; runpy.run_module('tests.faults.commands', run_name='__main__')"


def minisearch(
    *arguments: object,
    before: Sequence[object] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path = CHECKOUT,
    in_child: Callable[[], None] | None = None,
    first: str = "",
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[str]:
    """How the command ended, with all that it said; ``first`` is Python that its process runs before."""
    program = ["-c", first + RUN] if first else ["-m", "tests.faults.commands"]
    return subprocess.run(
        [*map(str, before), sys.executable, *program, *map(str, arguments)],
        env=environment() if env is None else dict(env),
        cwd=cwd,
        preexec_fn=in_child,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def assert_one_error(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """It ended with exit code 1, or 2 if it is a query, and one line, which holds these words."""
    assert done.returncode == (2 if "query" in done.args else 1), (done.returncode, done.stderr)
    said = OF_ANNOY.sub("", done.stderr)
    assert said.startswith("Error: "), done.stderr
    assert said.count("\n") == 1, done.stderr
    for word in words:
        assert word in said, done.stderr


if __name__ == "__main__":
    from minisearch.__main__ import main
    from minisearch.minilm.encoders import Encoders
    from tests.fakes import HashingEncoder

    Encoders.to_index = lambda self, model: HashingEncoder()  # type: ignore[method-assign]
    Encoders.to_query = lambda self, model, text: HashingEncoder()  # type: ignore[method-assign]
    Encoders.to_add = lambda self, model, n_tokens: HashingEncoder()  # type: ignore[method-assign]
    main()
