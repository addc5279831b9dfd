"""The app of ``minisearch ui``: its panes, its keys, and the threads that search for what is typed.

An index, and the future that ends when its model is loaded, go in; `LiveApp.run` returns the error that
ended it, or None.  The event loop only draws: searches and previews are made in a thread each, where the
newest request wins.  How results and documents look is left to `view`, choosing files to `filters`.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from itertools import chain
from threading import Thread
from typing import ClassVar, Generic, TypeVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Input, Static

from minisearch.analysis.reading import Facets, facets, preview
from minisearch.cli.live.filters import Choice, FilterScreen
from minisearch.cli.live.keys import KEYS, LIST_KEYS, KeyScreen
from minisearch.cli.live.view import LINES, MARGIN, Lines, Row, document, head, plain, row
from minisearch.cli.page import corrected, notes, outdated, unclear
from minisearch.cli.places import open_place, place_at
from minisearch.cli.query_options import UNFINISHED, QueryOptions, why_nothing
from minisearch.cli.terminal import one_line, printable
from minisearch.engine import MiniSearch
from minisearch.errors import InputError, MinisearchError
from minisearch.results import Query, SearchResult, SearchResults
from minisearch.search.searcher import Searcher
from minisearch.text import count

N_RESULTS = 20
WIDE = 120  # columns from which the document is beside the results

Request = TypeVar("Request")


class Newest(Generic[Request]):
    """A thread that answers requests, of those that wait only the newest.

    It does not outlive the process.  ``on_error`` gets what ``answer`` raises.
    """

    def __init__(self, answer: Callable[[Request], None], on_error: Callable[[Exception], None]) -> None:
        self._answer, self._on_error = answer, on_error
        self._requests = queue.SimpleQueue[Request | None]()
        Thread(target=self._run, daemon=True).start()

    def ask(self, request: Request) -> None:
        """Answer this instead of all that wait."""
        self._requests.put(request)

    def end(self) -> None:
        """End the thread, as soon as it has answered."""
        self._requests.put(None)

    def is_overtaken(self) -> bool:
        """Whether a newer request waits."""
        return not self._requests.empty()

    def _run(self) -> None:
        while (request := self._newest()) is not None:
            try:
                self._answer(request)
            except Exception as error:  # noqa: PERF203 - a search costs more
                self._on_error(error)

    def _newest(self) -> Request | None:
        request = self._requests.get()
        while request is not None and self.is_overtaken():
            request = self._requests.get()
        return request


@dataclass(frozen=True, slots=True)
class Reading:
    """A result whose document is to be shown, in so many columns."""

    hit: SearchResult
    query: Query
    columns: int


class Found(Message):
    """The results of a search; ``problem`` says why there are none. They are final with their evidence."""

    def __init__(
        self, options: QueryOptions, found: SearchResults, rows: list[Row], problem: str, is_final: bool
    ) -> None:
        super().__init__()
        self.options, self.found, self.rows, self.problem, self.is_final = (
            options,
            found,
            rows,
            problem,
            is_final,
        )


class Read(Message):
    """The lines of a document, and the number of the first that answers."""

    def __init__(self, reading: Reading, strips: list[Strip], at: int) -> None:
        super().__init__()
        self.reading, self.strips, self.at = reading, strips, at


class Loaded(Message):
    """The model is loaded, and the files are counted."""

    def __init__(self, counted: Facets) -> None:
        super().__init__()
        self.facets = counted


class ResultList(Lines):
    """The list of results; while it has the focus, letters are commands."""

    BINDINGS: ClassVar[list[BindingType]] = [*LIST_KEYS]

    def on_click(self, event: events.Click) -> None:
        """Choose the result that was clicked; a double click opens it."""
        assert isinstance(self.screen, SearchScreen)
        self.screen.choose((event.y + self.scroll_offset.y) // LINES)
        if event.chain > 1:
            self.screen.action_open()


class SearchScreen(Screen[None]):
    """The query, the results and the document; it knows what is found and chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - as Textual declares it

    def __init__(
        self, ms: MiniSearch, searcher: Searcher, loaded: Future[None], text: str, within: tuple[str, ...]
    ) -> None:
        super().__init__()
        self._ms, self._searcher, self._loaded, self._text, self._within = ms, searcher, loaded, text, within
        self._status = ms.status()
        self._facets: Facets | None = None
        self._choice, self._is_literal = Choice(), False
        self._options: QueryOptions | None = None  # of the results that are shown
        self._found, self._rows, self._chosen = SearchResults(), list[Row](), 0
        self._searches = Newest(self._search, self._fail)
        self._readings = Newest(self._read, self._fail)

    def compose(self) -> ComposeResult:
        """The widgets."""
        with Horizontal(id="top"):
            yield Static("❯ ")
            field = Input(self._text, placeholder="Ask in your own words", id="query", compact=True)
            field.cursor_blink = False
            yield field
            yield Static(id="state")
        yield Static(id="notice")
        with Container(id="panes"):
            yield ResultList(id="results", can_focus=True)
            with Container(id="reading"):
                yield Lines(id="head")
                yield Lines(id="document")
        yield Static("enter open   ^y copy   ^f filter   pgdn read   f1 keys   esc back", id="keys")

    def on_mount(self) -> None:
        """Wait for the model in a thread."""
        self.query_one(Input).focus()
        self._show_nothing()
        Thread(target=self._count, daemon=True).start()

    def on_unmount(self) -> None:
        """End the threads."""
        self._searches.end()
        self._readings.end()

    @property
    def _base(self) -> str:
        """What all paths begin with."""
        return self._facets.base if self._facets else ""

    # --- in threads ----------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        self.app.call_later(self.app.exit, error)

    def _count(self) -> None:
        try:
            self._loaded.result()
            self.post_message(Loaded(facets(self._searcher)))
        except Exception as error:
            self._fail(error)

    def _search(self, request: tuple[QueryOptions, int]) -> None:
        """Results without evidence, and then with it unless something else is searched by then."""
        options, columns = request
        wait([self._loaded])
        try:
            search = options.search_options(N_RESULTS)
            for is_final in (False, True):
                query = options.query(options.text)
                found = self._searcher.query(query, replace(search, evidence=is_final))
                rows = [row(hit, found.query, columns, self._base) for hit in found]
                problem = "" if found else f"No results: {why_nothing(self._ms, found, options)}"
                self.post_message(Found(options, found, rows, problem, is_final or not found))
                if not found or self._searches.is_overtaken():
                    return
        except MinisearchError as error:
            self.post_message(Found(options, SearchResults(), [], printable(str(error)), is_final=True))

    def _read(self, reading: Reading) -> None:
        hit = reading.hit
        try:
            shown = preview(self._searcher, hit.path, hit.line, chunk_id=hit.chunk_id)
            self.post_message(Read(reading, *document(shown, hit, reading.query, reading.columns)))
        except MinisearchError as error:
            self.post_message(Read(reading, [plain(printable(str(error)))], 0))

    # --- what is shown -------------------------------------------------------------------------------

    @on(Loaded)
    def show_loaded(self, message: Loaded) -> None:
        """Say no more that the model is being loaded."""
        self._facets = message.facets
        if self._options is None:
            self._show_nothing()

    @on(Input.Changed)
    @on(events.Resize)
    def search(self) -> None:
        """Search for what is typed now."""
        text = self.query_one(Input).value
        self._say_state()
        if not text.strip():
            self._show_nothing()
            return
        options = QueryOptions(
            text,
            literal=self._is_literal,
            paths=tuple(pattern for pattern, _ in self._choice.folders),
            extensions=self._choice.extensions,
            since=self._choice.since,
            within=self._within,
        )
        columns = self.query_one("#results").scrollable_content_region.width - 1
        self._searches.ask((options, columns))

    def _show_nothing(self) -> None:
        """What the index holds, before anything is searched."""
        self._options, self._found, self._rows, self._chosen = None, SearchResults(), [], 0
        said = f"{count(self._status.n_documents, 'document')}, {count(self._status.n_chunks, 'passage')}"
        run = self._status.last_run
        if run is not None and run.outcome in UNFINISHED:
            said += f" ({UNFINISHED[run.outcome]}: the index may be incomplete)"
        self._say(said if self._loaded.done() else f"{said}   loading the model …")
        self._draw(top=0)

    @on(Found)
    def show_found(self, message: Found) -> None:
        """Show the results; the chosen one stays chosen if the same is searched again."""
        if not self.query_one(Input).value.strip():
            return
        if message.problem:
            self._say(message.problem, is_strong=True)
            if message.found.query.text or not self._rows:  # not while an operator is typed
                self._rows = []
                self._draw(top=0)
            return
        is_same = message.options == self._options
        self._options, self._found, self._rows = message.options, message.found, message.rows
        self._chosen = min(self._chosen, len(self._rows) - 1) if is_same else 0
        said = [unclear(self._found).rstrip(":"), *notes(self._found), outdated(self._found)]
        if self._found.typed:
            said.insert(0, corrected(self._found, " (ctrl+l"))
        self._say("  ".join(filter(None, said)), is_strong=self._found.is_confident is False)
        self._draw(top=None if is_same else 0)
        if message.is_final:
            self._ask_to_read()

    @on(Read)
    def show_read(self, message: Read) -> None:
        """Show a document, unless another one was chosen meanwhile."""
        if self._rows and self._rows[self._chosen].hit == message.reading.hit:
            pane = self.query_one("#document", Lines)
            self.query_one("#head", Lines).show(
                [head(message.reading.hit, message.reading.columns, self._base)]
            )
            pane.show(message.strips, top=message.at - pane.size.height // 3)

    def _ask_to_read(self) -> None:
        if self._rows:
            columns = self.query_one("#document", Lines).scrollable_content_region.width
            self._readings.ask(Reading(self._rows[self._chosen].hit, self._found.query, columns))

    def _draw(self, *, top: int | None = None) -> None:
        """Draw the list, with the chosen result in the window."""
        pane = self.query_one("#results", ResultList)
        if top is None:
            first, height = self._chosen * LINES, max(LINES, pane.size.height // LINES * LINES)
            top = max(min(pane.scroll_offset.y, first), first + LINES - height)
        drawn = (one.drawn(is_chosen=n == self._chosen) for n, one in enumerate(self._rows))
        pane.show(list(chain(*drawn)), top=top)
        if not self._rows:
            self.query_one("#head", Lines).show([])
            self.query_one("#document", Lines).show([], top=0)
        self._say_state()

    def _say(self, text: str, *, is_strong: bool = False) -> None:
        notice = self.query_one("#notice", Static)
        notice.update(Content(MARGIN + text.replace("\n", " ")))
        notice.set_class(is_strong, "-strong")

    def _say_state(self) -> None:
        place = f"{self._chosen + 1}/{len(self._rows)}" if self._rows else ""
        said = ["as typed" * self._is_literal, str(self._choice), place]
        self.query_one("#state", Static).update(Content("  ".join(filter(None, said))))

    # --- keys ----------------------------------------------------------------------------------------

    def choose(self, number: int) -> None:
        """Choose a result, the nearest one if there is none of this number."""
        if self._rows:
            self._chosen = max(0, min(number, len(self._rows) - 1))
            self._draw()
            self._ask_to_read()

    def action_choose(self, by: int) -> None:
        """Choose the next result, or the one before."""
        self.choose(self._chosen + by)

    @on(Input.Submitted)
    def action_open(self) -> None:
        """Open the chosen result in the editor, which has the terminal meanwhile."""
        if not self._rows:
            return
        hit = self._rows[self._chosen].hit
        problem = ""
        with self.app.suspend():
            try:
                open_place(place_at(hit.path, hit.at), one_line(hit.place))
            except InputError as error:  # raised here, it would leave the terminal to nobody
                problem = printable(str(error))
        if problem:
            self._say(problem, is_strong=True)
        else:
            self.search()  # the file may have changed

    def action_copy(self) -> None:
        """Copy the sentences that answer, with their source."""
        if self._rows:
            hit = self._rows[self._chosen].hit
            text = (hit.evidence.text if hit.evidence else hit.text).strip()
            source = ", ".join(filter(None, [hit.full_heading, hit.place]))
            self.app.copy_to_clipboard(printable(f"{text}\n— {source}"))
            self._say("Citation copied")

    def action_filter(self) -> None:
        """Choose folders, types and dates."""
        if self._facets is not None:
            self.app.push_screen(FilterScreen(self._facets, self._choice, self._limit))

    def _limit(self, choice: Choice) -> None:
        self._choice = choice
        self.search()

    def action_literal(self) -> None:
        """Search for what was typed, without corrections and operators, or with them again."""
        self._is_literal = not self._is_literal
        self.search()

    def action_read(self, pages: int, lines: int = 0) -> None:
        """Scroll the document."""
        pane = self.query_one("#document", Lines)
        by = pages * max(1, pane.size.height - 2) + lines
        pane.scroll_to(y=pane.scroll_offset.y + by, animate=False, immediate=True)

    def action_back(self) -> None:
        """One step back."""
        field = self.query_one(Input)
        if not field.has_focus:
            field.focus()
        elif field.value:
            field.value = ""
        elif str(self._choice) or self._is_literal:
            self._is_literal = False
            self._limit(Choice())
        else:
            self.app.exit()

    def action_keys(self) -> None:
        """Show the keys."""
        self.app.push_screen(KeyScreen())


class LiveApp(App[Exception]):
    """Live search over an index; `run` returns the error that ended it, if any."""

    CSS_PATH = "live.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", priority=True)]

    def __init__(
        self,
        ms: MiniSearch,
        searcher: Searcher,
        loaded: Future[None],
        text: str = "",
        within: tuple[str, ...] = (),
    ) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"  # the terminal's own colours, on its own background
        self._search = SearchScreen(ms, searcher, loaded, text, within)

    def get_default_screen(self) -> Screen[None]:
        """The screen that the app starts with."""
        return self._search
