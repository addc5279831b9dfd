"""The terminal: widths, wrapping, styles and links."""

from __future__ import annotations

import dataclasses
import os
import pty
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from minisearch.cli.terminal import CLOSING, Marked, Terminal, one_line, printable, width, wrap

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


def test_soft_hyphens_and_zero_width_spaces_are_not_shown() -> None:
    line = Marked.plain("inter\xadna\u200btional \x1bday").printable()
    assert line.text == "international \\x1bday"
    assert len(line.marks) == len(line.text)


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


def test_lines_of_a_report_are_broken_between_words_on_a_terminal_alone() -> None:
    report = "note       docs/a.txt: not UTF-8; read as Windows-1252\nskipped    docs/b.txt: empty"
    assert Terminal(40).wrapped(report) == report
    assert Terminal(40, rows=24).wrapped(report).split("\n") == [
        "note       docs/a.txt: not UTF-8; read",
        "           as Windows-1252",
        "skipped    docs/b.txt: empty",
    ]


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
