"""A real terminal for tests, by tmux: keys go in, the text of the screen comes out."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A terminal in which a shell command runs; it says "code N" at its end."""

    def __init__(self, command: str, folder: Path, *, columns: int = 80, rows: int = 24) -> None:
        self._tmux = ["tmux", "-L", f"minisearch-{os.getpid()}", "-f", os.devnull]
        size = ["-x", str(columns), "-y", str(rows)]
        subprocess.run(
            [*self._tmux, "new-session", "-d", *size, "sh", "-c", f"{command}; echo code $?; sleep 100"],
            check=True,
            cwd=folder,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False)

    def keys(self, *names: str) -> None:
        """Press keys, by tmux's names for them."""
        subprocess.run([*self._tmux, "send-keys", *names], check=True)

    def type(self, text: str) -> None:
        """Type a text."""
        self.keys("-l", text)

    @property
    def screen(self) -> str:
        """The text on the screen."""
        shown = subprocess.run(
            [*self._tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True
        )
        return shown.stdout

    def until(self, is_true: Callable[[str], bool]) -> None:
        """Wait until the screen is so."""
        for _ in range(600):
            if is_true(self.screen):
                return
            time.sleep(0.1)
        pytest.fail(self.screen)
