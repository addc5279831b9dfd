"""The progress of an indexing run: its speed and time left, on a terminal and in a log."""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from minisearch.cli.progress import Pace, Progress, clock
from minisearch.cli.terminal import printable
from minisearch.types import LOADING, IndexProgress


def progress(n_files_done: int, n_chunks_done: int, **changes: Any) -> IndexProgress:
    """The progress of a run over 100 files of 1,000 bytes, of which 40 passages are new."""
    done = IndexProgress(100, n_files_done, 1_000, 10 * n_files_done, n_chunks_done, n_chunks=40)
    return dataclasses.replace(done, **changes)


def test_the_time_left_is_that_of_the_passages_that_need_the_model() -> None:
    """50 files have not changed and go by at once; then 10 passages a window of 2 s."""
    pace = Pace()
    for n in range(51):
        pace.add(progress(n, 0), n / 1_000)
        assert pace.left_s(progress(n, 0), n / 1_000) is None
    # The model takes 30 s to load; the first window is encoded at 32 s, the next at 34 s and 36 s.
    pace.add(progress(50, 10), 32.0)
    assert pace.left_s(progress(50, 10), 32.0) is None
    pace.add(progress(60, 10), 32.1)
    pace.add(progress(60, 20), 34.0)
    assert pace.left_s(progress(60, 20), 34.0) == pytest.approx(4.0)
    assert pace.chunks_per_s() == pytest.approx(5.0)
    pace.add(progress(70, 30), 36.0)
    assert pace.left_s(progress(70, 30), 36.0) == pytest.approx(2.0)
    assert pace.left_s(progress(70, 30), 37.5) == pytest.approx(0.5), "it counts down between two windows"
    assert pace.left_s(progress(70, 30), 60.0) == 0.0
    assert pace.left_s(progress(70, 30, n_chunks=None), 36.0) is None


def test_loading_the_model_is_no_part_of_the_speed() -> None:
    pace = Pace()
    pace.add(progress(0, 10), 2.0)
    pace.add(progress(0, 10, doing=LOADING), 2.0)
    pace.add(progress(0, 10, doing="embedding"), 7.0)
    pace.add(progress(0, 20), 9.0)
    assert pace.chunks_per_s() == pytest.approx(5.0)
    pace.add(progress(0, 20, doing=LOADING), 9.0)
    assert pace.left_s(progress(0, 20), 30.0) == pytest.approx(4.0), "it stands while the model is loaded"


def test_the_speed_is_the_mean_of_the_last_half_minute() -> None:
    pace = Pace()
    for n in range(100):  # ten a second, and then one a second
        pace.add(progress(0, 10 * n), float(n))
    for n in range(100):
        pace.add(progress(0, 990 + n), 100.0 + n)
    assert pace.chunks_per_s() == pytest.approx(1.0)


def shown(done: IndexProgress | None, columns: int) -> list[str]:
    """What a terminal of this width shows, without its styles."""
    screen = io.StringIO()
    bar = Progress()
    if done:
        bar.update(dataclasses.replace(done, n_chunks_done=10))
        bar.update(done)
    Console(file=screen, width=columns, color_system=None).print(bar)
    return screen.getvalue().splitlines()


def test_a_terminal_shows_passages_files_and_the_file_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("minisearch.cli.progress.time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    done = progress(
        12, 20, n_chunks=6_500, is_estimate=True, doing="reading", path=f"{os.getcwd()}/guide/loops.rst"
    )
    for columns in (80, 200):
        first, second = shown(done, columns)
        assert first.rstrip().endswith(" 20 of about 6,500 passages, 10 a second, 10:47 left")
        assert second.rstrip() == "12 of 100 files, reading guide/loops.rst"
    first, _ = shown(dataclasses.replace(done, n_chunks=25, is_estimate=False), 80)
    assert first.startswith("━" * 20), "four fifths of the bar"
    first, _ = shown(dataclasses.replace(done, is_estimate=False), 80)
    assert " 20 of 6,500 passages" in first
    first, _ = shown(dataclasses.replace(done, n_chunks=None), 80)
    assert " 20 passages, 10 a second" in first
    assert shown(None, 80)[0].rstrip().endswith("looking for files")


@given(st.integers(20, 120), st.text(max_size=80), st.booleans())
@settings(max_examples=40, deadline=None)
def test_progress_fits_any_terminal_and_any_path(columns: int, path: str, is_estimate: bool) -> None:
    done = progress(12, 20, is_estimate=is_estimate, doing="embedding 371 passages of", path=f"/{path}")
    lines = shown(done, columns)
    assert len(lines) == 2
    assert all(cell_len(line) <= columns for line in lines)
    assert all(printable(line) == line for line in lines)


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s = 0.0
    monkeypatch.setattr("minisearch.cli.progress.time", SimpleNamespace(monotonic=lambda: now_s))
    shown = [Progress(prints_lines=True), Progress(), Progress(prints_lines=True, is_shown=False)]
    for now_s in range(1, 200):
        for one in shown:
            one.update(progress(now_s // 2, now_s, n_chunks=400, is_estimate=True))
    assert capsys.readouterr() == (
        "",
        "10 of about 400 passages, 1 a second, 6:30 left, 5 of 100 files\n"
        "70 of about 400 passages, 1 a second, 5:30 left, 35 of 100 files\n"
        "130 of about 400 passages, 1 a second, 4:30 left, 65 of 100 files\n"
        "190 of about 400 passages, 1 a second, 3:30 left, 95 of 100 files\n",
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3_599, "59:59"), (90_061, "25:01:01")]
)
def test_clocks(seconds: float, text: str) -> None:
    assert clock(seconds) == text
