"""Record a terminal session as an SVG for the README: real commands over `data/docs`, drawn by rich.

    python scripts/record_session.py docs/session.svg

The commands run in a pseudo-terminal of 100 columns, in a temporary folder with a copy of the documents.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
COLUMNS, ROWS = 100, 34
COMMANDS = [
    "minisearch index docs",
    'minisearch query "why does bread go stale" -n 3',
    "minisearch get 1",
    'minisearch query "how do I cancel my gym membership" -n 1',
    'minisearch search "saving water" -l',
]
LINK = re.compile(r"\x1b\]8;[^\x1b]*\x1b\\")  # rich draws no links that a picture could open
REMOTE_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # the picture loads nothing from other hosts
ERASED = re.compile(r"[^\n]*\r\x1b\[K|\x1b\[\?25[lh]|\x1b\[[12]K|\x1b\[1A")  # what a progress bar leaves


def main() -> None:
    """Run the commands and write the picture."""
    target = Path(sys.argv[1])
    console = Console(width=COLUMNS, record=True, file=open(os.devnull, "w"), force_terminal=True)  # noqa: PTH123, SIM115
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "data" / "docs", Path(folder) / "docs")
        for command in COMMANDS:
            console.print(Text.from_ansi(f"\x1b[1;32m$\x1b[0m \x1b[1m{command}\x1b[0m"))
            console.print(Text.from_ansi(output_of(command, folder).rstrip("\n")))
            console.print()
    picture = console.export_svg(title="minisearch", unique_id="session")
    target.write_text(REMOTE_FONT.sub("", picture), encoding="utf-8")


def output_of(command: str, folder: str) -> str:
    """What a command writes to a terminal."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "COLUMNS": str(COLUMNS),
        "LINES": str(ROWS),
        "XDG_STATE_HOME": f"{folder}/state",
    }
    program = (
        f"{sys.executable} -m {command} --no-pager"
        if " get " in command
        else f"{sys.executable} -m {command}"
    )
    process = subprocess.Popen(  # noqa: S602 - the commands above, with their quotation marks
        program, shell=True, cwd=folder, stdin=child, stdout=child, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(child)
    written = b""
    while True:
        try:
            read = os.read(parent, 65536)
        except OSError:  # the other side is closed
            break
        if not read:
            break
        written += read
    process.wait()
    return ERASED.sub("", LINK.sub("", written.decode().replace("\r\n", "\n")))


if __name__ == "__main__":
    main()
