"""Live search in the terminal: typing, choosing, reading, filters, the editor, copying and errors."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from minisearch import MiniSearch
from minisearch.cli import cli
from minisearch.cli.live import command
from minisearch.errors import WeightsNotFound
from minisearch.results import Query, SearchOptions, SearchResults
from minisearch.search.searcher import Searcher
from tests.fakes import HashingEncoder
from tests.tmux import Terminal, needs_tmux

pytest.importorskip("textual")

from textual.widgets import Input, OptionList, Static

from minisearch.cli.live.app import LiveApp, Newest
from minisearch.cli.live.view import CHOSEN, Lines, cut

ROOT = Path(__file__).parents[2]
TASKS = """# Tasks

## Retrying

A failed task runs again after a pause. The pause doubles each time.

## Bread

Knead the dough for ten minutes.
"""
CODE = '''"""Retry a failed task."""


def retry(task):
    """Run the task until it works."""
    while True:
        task()  # a failed task raises
'''


@pytest.fixture
def ms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MiniSearch:
    """An index of three files, in the current folder."""
    for name, text in {
        "docs/tasks.md": TASKS,
        "docs/code/retry.py": CODE,
        "docs/oven.md": "Hot bread.",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for name in ("VISUAL", "EDITOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    ms = MiniSearch(".minisearch", encoder=HashingEncoder())
    ms.index("docs", backend="flat")
    return ms


class Pilot:
    """An app at work: keys go in, what the panes show comes out."""

    def __init__(self, app: LiveApp, pilot: Any) -> None:
        self.app, self._pilot = app, pilot

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)
        await self._pilot.pause()

    async def type(self, text: str) -> None:
        await self.press(
            *({" ": "space", '"': "quotation_mark", "-": "minus"}.get(char, char) for char in text)
        )

    async def until(self, is_true: Callable[[], bool]) -> None:
        for _ in range(600):
            if is_true():
                return
            await self._pilot.pause(0.02)
        pytest.fail(f"still:\n{self.list}\n{self.said}\n{self.document}")

    def _lines(self, name: str) -> str:
        return self.app.get_default_screen().query_one(name, Lines).text

    @property
    def list(self) -> str:
        return self._lines("#results")

    @property
    def chosen(self) -> str:
        return "\n".join(line for line in self.list.splitlines() if line.startswith(CHOSEN))

    @property
    def document(self) -> str:
        return self._lines("#head") + "\n" + self._lines("#document")

    @property
    def said(self) -> str:
        screen = self.app.get_default_screen()
        return " | ".join(str(screen.query_one(name, Static).content) for name in ("#notice", "#state"))


def run(
    ms: MiniSearch,
    act: Callable[[Pilot], Awaitable[None]],
    *,
    size: tuple[int, int] = (80, 24),
    text: str = "",
    within: tuple[str, ...] = (),
) -> LiveApp:
    """Act on the app until ``act`` ends."""
    loaded = Future[None]()
    loaded.set_result(None)
    app = LiveApp(ms, ms.searcher, loaded, text, within)

    async def main() -> None:
        async with app.run_test(size=size) as pilot:
            await act(Pilot(app, pilot))

    asyncio.run(main())
    ms.close()
    return app


# --- searching ----------------------------------------------------------------------------------------


def test_typing_changes_the_list_and_then_the_document(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        assert "3 documents" in pilot.said
        await pilot.type("knead dough")
        await pilot.until(lambda: "Knead the dough" in pilot.document)
        assert "tasks.md:9" in pilot.chosen
        assert re.search(r"^▌ +\d+%  tasks\.md:9:1  Tasks > Bread$", pilot.list, re.MULTILINE)
        assert re.search("^▌ Knead the dough", pilot.document, re.MULTILINE), "the evidence has a mark"
        await pilot.press("ctrl+u")
        assert (pilot.list, "3 documents" in pilot.said) == ("", True)
        await pilot.type("retry")
        await pilot.until(lambda: "retry.py" in pilot.chosen and "def retry" in pilot.document)

    run(ms, act)


def test_what_is_given_on_the_command_line_is_searched_first(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.until(lambda: "Knead" in pilot.document)

    run(ms, act, text="knead dough")


def test_keys_choose_a_result_and_its_document_follows(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("failed task")
        await pilot.until(lambda: "1/" in pilot.said and pilot.document.strip() != "")
        first = pilot.chosen
        await pilot.press("up")
        assert pilot.chosen == first
        await pilot.press("down")
        assert pilot.chosen != first
        place = pilot.chosen.split()[2]
        await pilot.until(lambda: place.partition(":")[0] in pilot.document)
        await pilot.press(*["ctrl+n"] * 30)
        last = pilot.chosen
        await pilot.press("tab", "k", "j")
        assert pilot.chosen == last
        n = len(pilot.list.splitlines()) // 2
        assert f"{n}/{n}" in pilot.said

    run(ms, act)


def test_the_chosen_result_stays_in_the_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ms = MiniSearch(".minisearch", encoder=HashingEncoder())
    ms.add([{"id": f"note-{n}", "text": f"A note of number {n} about bread."} for n in range(20)])

    async def act(pilot: Pilot) -> None:
        pane = pilot.app.get_default_screen().query_one("#results", Lines)
        await pilot.type("bread")
        await pilot.until(lambda: "1/20" in pilot.said)
        for _ in range(12):
            await pilot.press("down")
        shown = [pane.render_line(y).text for y in range(pane.size.height)]
        assert sum(line.startswith(CHOSEN) for line in shown) == 2
        await pilot.type(" note")
        await pilot.until(lambda: "1/20" in pilot.said)
        assert pane.render_line(0).text.startswith(CHOSEN), "other results begin at the top"

    run(ms, act)


def test_a_result_stays_chosen_when_its_evidence_arrives(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("failed task")
        await pilot.press("down")
        await pilot.until(lambda: pilot.document.strip() != "")
        assert "2/" in pilot.said

    run(ms, act)


def test_of_waiting_requests_only_the_newest_is_answered() -> None:
    answered, begun, may_go_on = [], Future[None](), Future[None]()

    def answer(request: int) -> None:
        answered.append(request)
        if request == 1:
            begun.set_result(None)
            may_go_on.result()
        if request == 4:
            done.set_result(None)

    done = Future[None]()
    before = threading.active_count()
    one = Newest(answer, done.set_exception)
    one.ask(1)
    begun.result(10)
    for request in (2, 3, 4):
        one.ask(request)
    may_go_on.set_result(None)
    done.result(10)
    assert answered == [1, 4]
    one.end()
    for _ in range(500):
        if threading.active_count() == before:
            return
        time.sleep(0.02)
    pytest.fail("the thread goes on")


# --- what is said -------------------------------------------------------------------------------------


def test_no_clear_answer_and_unknown_words_are_said_as_by_query(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("zebra crossing")
        await pilot.until(lambda: "No clear answer found." in pilot.said)
        assert "No passage has the words: zebra, crossing" in pilot.said

    run(ms, act, size=(160, 24))


def test_a_search_without_results_says_why(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type('"no such phrase"')
        await pilot.until(lambda: "No results: " in pilot.said)
        assert "no such phrase" in pilot.said
        assert pilot.list == ""

    run(ms, act)


def test_a_wrong_query_is_an_error_and_leaves_the_list(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("bread")
        await pilot.until(lambda: "1/" in pilot.said)
        await pilot.press("home")
        before = pilot.list
        await pilot.type("-")
        await pilot.until(lambda: "the query only says what to leave out (bread)" in pilot.said)
        assert pilot.list == before

    run(ms, act)


def test_a_changed_file_says_so_in_the_list_and_above_the_document(ms: MiniSearch) -> None:
    Path("docs/tasks.md").write_text(TASKS + "\nMore.\n")

    async def act(pilot: Pilot) -> None:
        await pilot.type("knead dough")
        await pilot.until(lambda: "Knead" in pilot.document)
        assert "changed since it was indexed" in pilot.chosen
        assert "changed since it was indexed" in pilot.document
        assert "files have changed" in pilot.said

    run(ms, act)


def test_control_characters_and_markup_of_documents_are_shown_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ms = MiniSearch(".minisearch", encoder=HashingEncoder())
    ms.add(
        [
            {
                "id": "[bold]a[/x]",
                "text": "Hostile [red]dough[/] \x1b]52;c;x\x07 rises.",
                "title": "\x1b[1m",
            }
        ]
    )

    async def act(pilot: Pilot) -> None:
        await pilot.type("hostile dough")
        await pilot.until(lambda: "Hostile [red]dough[/]" in pilot.document)
        shown = pilot.list + pilot.document + pilot.said
        assert "[bold]a[/x]" in shown
        assert all(char.isprintable() or char == "\n" for char in shown)

    run(ms, act)


# --- filters ------------------------------------------------------------------------------------------


def test_filters_limit_the_search_at_once(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("failed task")
        await pilot.until(lambda: "tasks.md" in pilot.list and "retry.py" in pilot.list)
        await pilot.press("ctrl+f")
        options = pilot.app.screen.query_one(OptionList)
        shown = [str(option.prompt) for option in options.options]
        assert [" ".join(line.split()) for line in shown] == [
            *("Folders", "▌ [ ] code 1", "Types", "[ ] md 2", "[ ] py 1"),
            *("Changed", "[ ] last 7 days", "[ ] last month", "[ ] last year"),
        ]
        await pilot.press("down", "space")  # the first type
        await pilot.until(lambda: "retry.py" not in pilot.list and "tasks.md" in pilot.list)
        assert "[x] md" in str(options.options[3].prompt)
        await pilot.press("escape")
        assert "md" in pilot.said.split("|")[1]
        await pilot.press("ctrl+f", "space", "escape")  # a folder without such a file
        await pilot.until(lambda: "No results: " in pilot.said)
        assert "--ext md" in pilot.said
        await pilot.press("ctrl+f", "backspace", "escape")
        await pilot.until(lambda: "retry.py" in pilot.list and "tasks.md" in pilot.list)

    run(ms, act)


def test_a_date_limits_the_search(ms: MiniSearch) -> None:
    os.utime("docs/code/retry.py", (0, 1_000_000_000))
    ms.index("docs")

    async def act(pilot: Pilot) -> None:
        await pilot.type("failed task")
        await pilot.until(lambda: "retry.py" in pilot.list)
        await pilot.press("ctrl+f", "up", "space", "escape")  # the last one: a year
        await pilot.until(lambda: "retry.py" not in pilot.list and "tasks.md" in pilot.list)
        assert "last year" in pilot.said

    run(ms, act)


def test_the_paths_of_a_collection_limit_every_search(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("failed task")
        await pilot.until(lambda: "retry.py" in pilot.list)
        assert "tasks.md" not in pilot.list

    run(ms, act, within=(str(Path("docs/code").absolute()),))


def test_a_corrected_query_says_so_and_a_key_searches_as_typed(
    ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Searcher.query

    def corrected(searcher: Searcher, query: str | Query, options: SearchOptions) -> SearchResults:
        found = search(searcher, query, options)
        return replace(found, typed="fialed task") if isinstance(query, str) else found

    monkeypatch.setattr(Searcher, "query", corrected)

    async def act(pilot: Pilot) -> None:
        await pilot.type("failed task")
        await pilot.until(
            lambda: "Showing results for: failed task (ctrl+l searches for: fialed task)" in pilot.said
        )
        await pilot.press("ctrl+l")
        await pilot.until(lambda: "Showing results" not in pilot.said and "as typed" in pilot.said)

    run(ms, act, size=(160, 40))


# --- the editor, the clipboard, and leaving -----------------------------------------------------------


def test_enter_opens_the_editor_at_the_line(ms: MiniSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setenv("EDITOR", "vim")
    monkeypatch.setattr(LiveApp, "suspend", lambda _: nullcontext())
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **_: commands.append(command) or subprocess.CompletedProcess(command, 0),
    )

    async def act(pilot: Pilot) -> None:
        await pilot.type("knead dough")
        await pilot.until(lambda: "Knead" in pilot.document)
        await pilot.press("enter")
        await pilot.press("tab", "o")

    run(ms, act)
    assert commands == [["vim", "+9", str(Path("docs/tasks.md").absolute())]] * 2


def test_an_editor_that_cannot_be_run_is_an_error_on_the_screen(
    ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "no-such-editor")
    monkeypatch.setattr(LiveApp, "suspend", lambda _: nullcontext())

    async def act(pilot: Pilot) -> None:
        await pilot.type("knead dough")
        await pilot.until(lambda: "Knead" in pilot.document)
        await pilot.press("enter")
        assert "cannot run no-such-editor" in pilot.said

    run(ms, act)


def test_the_citation_is_copied_from_the_query_and_from_the_list(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("knead dough")
        await pilot.until(lambda: "Knead" in pilot.document)
        for keys in (["ctrl+y"], ["tab", "y"]):
            pilot.app._clipboard = ""
            await pilot.press(*keys)
            citation = "Knead the dough for ten minutes.\n— Tasks > Bread, docs/tasks.md:9"
            assert pilot.app.clipboard == citation
            assert "Citation copied" in pilot.said

    run(ms, act)


def test_escape_leaves_in_steps(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        field = pilot.app.get_default_screen().query_one(Input)
        await pilot.type("bread")
        await pilot.until(lambda: "1/" in pilot.said)
        await pilot.press("ctrl+f", "space", "escape", "tab")
        assert not field.has_focus
        await pilot.press("escape")
        assert (field.has_focus, field.value, "code" in pilot.said) == (True, "bread", True)
        await pilot.press("escape")
        assert (field.value, "code" in pilot.said) == ("", True)
        await pilot.press("escape")
        assert ("code" in pilot.said, pilot.app.is_running) == (False, True)
        await pilot.press("escape")

    assert run(ms, act).return_code == 0


def test_ctrl_c_ends_at_once_whatever_is_typed_or_open(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("bread")
        await pilot.press("f1", "ctrl+c")

    assert run(ms, act).return_code == 0


def test_the_keys_are_listed(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("bread?")
        assert pilot.app.get_default_screen().query_one(Input).value == "bread?"
        for keys in (["f1"], ["tab", "question_mark"]):
            await pilot.press(*keys)
            text = str(pilot.app.screen.query_one("#help", Static).content)
            assert re.search(r"^\^y +copy the citation$", text, re.MULTILINE)
            assert text.count("\n") + 3 <= 24, "it fits on a small screen"
            await pilot.press("escape")

    run(ms, act)


# --- sizes and colours --------------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "rows"), [(200, 50), (80, 24), (40, 12)])
def test_no_line_is_wider_than_its_pane(ms: MiniSearch, columns: int, rows: int) -> None:
    async def act(pilot: Pilot) -> None:
        screen = pilot.app.get_default_screen()
        await pilot.type("failed task")
        await pilot.until(lambda: pilot.document.strip() != "")
        results, document = screen.query_one("#results"), screen.query_one("#document")
        assert (results.region.right <= document.region.x) == (columns >= 120), "side by side"
        assert (results.region.bottom <= document.region.y) == (columns < 120), "one above the other"
        assert max(map(len, pilot.list.splitlines())) <= results.size.width
        assert max(map(len, pilot.document.splitlines())) <= document.size.width

    run(ms, act, size=(columns, rows))


def test_another_size_is_drawn_anew_with_the_same_result(ms: MiniSearch) -> None:
    async def act(pilot: Pilot) -> None:
        await pilot.type("failed task")
        await pilot.until(lambda: pilot.document.strip() != "")
        await pilot.press("down")
        await pilot._pilot.resize_terminal(200, 50)
        await pilot.until(lambda: "2/" in pilot.said and "Tasks > Retrying" in pilot.list)

    run(ms, act, size=(50, 20))


def test_no_color_leaves_no_colours(ms: MiniSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    async def act(pilot: Pilot) -> None:
        await pilot.type("retry a failed task")
        await pilot.until(lambda: "def retry" in pilot.document)
        filters = pilot.app._filters
        strips = [strip for one in pilot.app.screen.query(Lines) for strip in one._strips]
        for strip in strips:
            for each in filters:
                if each.enabled:
                    strip = strip.apply_filter(each, pilot.app.screen.background_colors[1])
            seen.extend(
                colour for one in strip if one.style for colour in (one.style.color, one.style.bgcolor)
            )

    run(ms, act)
    assert {colour.name for colour in seen if colour} >= {"cyan", "black", "yellow", "magenta", "green"}
    seen.clear()
    monkeypatch.setenv("NO_COLOR", "1")
    run(ms, act)
    assert not {colour.name for colour in seen if colour} - {"default"}


def test_texts_are_cut_at_the_end_or_the_beginning() -> None:
    assert cut("docs/tasks.md", 13) == "docs/tasks.md"
    assert cut("docs/tasks.md", 8) == "docs/ta…"
    assert cut("docs/tasks.md", 9, at_start=True) == "…tasks.md"
    assert cut("検索する", 5) == "検索…"
    assert cut("tasks", 0) == ""


# --- before it starts ---------------------------------------------------------------------------------


def test_without_a_terminal_the_command_names_query(ms: MiniSearch) -> None:
    result = CliRunner().invoke(cli, ["ui"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: minisearch ui needs a terminal: in a pipe, use minisearch query\n"


def test_errors_of_the_index_and_the_model_are_those_of_other_commands(
    ms: MiniSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "has_terminal", lambda: True)

    def error(*arguments: str) -> str:
        result = CliRunner().invoke(cli, ["ui", *arguments])
        assert result.exit_code == 1, result.output
        return result.stderr

    assert error("--index", "none").startswith("Error: there is no index in none")
    ms.close()
    database = next(Path(".minisearch").glob("*.db"))
    whole = database.read_bytes()
    database.write_bytes(b"damaged" * 1_000)
    assert error().startswith("Error: ")
    database.write_bytes(whole)

    def no_weights(*_: object, **__: object) -> None:
        raise WeightsNotFound("no weights for this model")

    monkeypatch.setattr("minisearch.minilm.encoders.Encoders.to_add", no_weights)
    assert error() == "Error: no weights for this model\n"
    monkeypatch.setitem(sys.modules, "minisearch.cli.live.app", None)
    assert "install it with: pip install 'minisearch-local[ui]'" in error()


def test_a_model_that_fails_to_load_later_ends_the_app_with_the_error(ms: MiniSearch) -> None:
    loaded = Future[None]()
    app = LiveApp(ms, ms.searcher, loaded)

    async def main() -> None:
        async with app.run_test() as pilot:
            assert "loading the model" in str(app.screen.query_one("#notice", Static).content)
            await pilot.press("b")
            loaded.set_exception(WeightsNotFound("no weights"))
            for _ in range(200):
                if app._exit:
                    break
                await pilot.pause(0.02)

    asyncio.run(main())
    assert isinstance(app.return_value, WeightsNotFound)


# --- in a terminal ------------------------------------------------------------------------------------


@needs_tmux
def test_it_works_in_a_terminal(ms: MiniSearch, tmp_path: Path) -> None:
    ms.close()
    editor = tmp_path / "vim"
    editor.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/opened\n')
    editor.chmod(0o755)
    (tmp_path / "program.py").write_text(
        "from minisearch.minilm.encoders import Encoders; from tests.fakes import HashingEncoder;"
        "Encoders.to_query = Encoders.to_add = lambda *_: HashingEncoder();"
        "from minisearch.cli import cli; cli(['ui'])"
    )
    command = f"PYTHONPATH={ROOT} EDITOR={editor} {sys.executable} program.py"
    with Terminal(command, tmp_path) as terminal:
        terminal.until(lambda screen: "3 documents" in screen)
        terminal.type("knead dough")
        terminal.until(lambda screen: "▌ Knead the dough" in screen)
        terminal.keys("Enter")
        terminal.until(lambda _: (tmp_path / "opened").exists())
        terminal.until(lambda screen: "▌ Knead the dough" in screen)
        assert (tmp_path / "opened").read_text().split() == ["+9", str(tmp_path / "docs/tasks.md")]
        terminal.keys("C-c")
        terminal.until(lambda screen: "code 0" in screen)
        assert "Knead" not in terminal.screen, "the screen is as it was before"
