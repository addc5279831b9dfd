"""The terminal: widths, wrapping, styles and links, and the progress of an indexing run."""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
import pty
import sys
import textwrap
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from minisearch.cli.progress import Pace, Progress, clock
from minisearch.cli.terminal import CLOSING, Marked, Terminal, one_line, printable, width, wrap
from minisearch.types import IndexProgress

JAPANESE = (
    "パンを焼く前に、生地を一晩冷蔵庫で休ませる。こうすると酵母がゆっくり働き、味が深くなる。翌朝、生地を"
    "室温に戻してから成形する。オーブンは二百三十度に予熱しておく。"
)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a\u3000b\xa0c", "a\u3000b\xa0c"),
        ("\u202eevil", r"\u202eevil"),
        ("\x9b31m", r"\x9b31m"),
        ("\ud800", r"\ud800"),
        ("نامه\u200cها", "نامه\u200cها"),
    ],
)
def test_spaces_of_other_scripts_are_kept_and_what_misleads_is_written_out(text: str, printed: str) -> None:
    assert printable(text) == one_line(text) == printed


# --- widths and wrapping ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "plain", "検索エンジン", "ｶﾀｶﾅ", "Ｆｕｌｌ", "한국어", "cafe\u0301", "🍞 bread"]
)
def test_widths_are_those_that_rich_counts(text: str) -> None:
    assert width(text) == cell_len(text)


words = st.text("abcdefgh", min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.lists(words, min_size=1, max_size=40), st.integers(12, 60))
def test_plain_words_are_wrapped_as_textwrap_does(given_words: list[str], columns: int) -> None:
    text = " ".join(given_words)
    assert [line.text for line in wrap(Marked.plain(text), columns)] == textwrap.wrap(text, columns)


scripts = st.text("ab c漢字かな、。한국 e\u0301🍞-\t", max_size=200)


@settings(max_examples=40, deadline=None)
@given(scripts, st.data(), st.integers(8, 60))
def test_wrapping_loses_nothing_but_spaces_and_keeps_each_mark_with_its_letter(
    text: str, data: st.DataObject, columns: int
) -> None:
    marks = data.draw(st.text(" eWB", min_size=len(text), max_size=len(text)))
    line = Marked(text, marks).printable()
    parts = list(wrap(line, columns))
    assert all(width(part.text) <= columns for part in parts)
    expected = [pair for pair in zip(line.text, line.marks, strict=True) if pair[0] != " "]
    found = [pair for part in parts for pair in zip(part.text, part.marks, strict=True) if pair[0] != " "]
    assert found == expected


@pytest.mark.parametrize("columns", range(10, 60))
def test_japanese_breaks_anywhere_but_before_a_full_stop(columns: int) -> None:
    lines = [line.text for line in wrap(Marked.plain(JAPANESE), columns)]
    assert "".join(lines) == JAPANESE
    assert not any(line[0] in CLOSING for line in lines)
    assert all(columns - 3 <= width(line) <= columns for line in lines[:-1])


def test_a_word_longer_than_the_line_is_cut() -> None:
    assert [line.text for line in wrap(Marked.plain("x" * 25), 10)] == ["x" * 10, "x" * 10, "x" * 5]


def test_deep_indentation_leaves_half_the_line_to_the_words() -> None:
    lines = [line.text for line in wrap(Marked.plain(" " * 50 + "return value"), 20)]
    assert lines == [" " * 10 + "return", " " * 10 + "value"]


# --- styles and links --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Terminal(80, True, "file://{host}{path}")),
        ({"TERM": "xterm-kitty"}, Terminal(80, True, "file://{host}{path}#{line}")),
        ({"KITTY_WINDOW_ID": "1"}, Terminal(80, True, "file://{host}{path}#{line}")),
        ({"TERM_PROGRAM": "vscode"}, Terminal(80, True, "vscode://file{path}:{line}:{column}")),
        ({"TERM": "linux"}, Terminal(80, True, "")),
        ({"TERM": "dumb"}, Terminal(80)),
        ({"NO_COLOR": "1"}, Terminal(80)),
        ({"NO_COLOR": ""}, Terminal(80, True, "file://{host}{path}")),
        ({"NO_COLOR": "1", "COLUMNS": "1000"}, Terminal(110)),
        ({"NO_COLOR": "1", "COLUMNS": "3"}, Terminal(24)),
    ],
    ids=str,
)
def test_styles_and_links_are_for_terminals_that_show_them(
    environment: dict[str, str], expected: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM_PROGRAM", "KITTY_WINDOW_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment}.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        found = Terminal.of_stdout()
    os.close(ours)
    assert found == dataclasses.replace(expected, rows=24)


# --- progress --------------------------------------------------------------------------------------


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
