"""Which files live search is limited to, and the screen on which folders, types and dates are chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from minisearch.analysis.reading import Facets
from minisearch.cli.live.view import CHOSEN, MARGIN, cut
from minisearch.cli.terminal import one_line, width

AGES = {"7d": "last 7 days", "31d": "last month", "365d": "last year"}  # as --since has them
NAME_COLUMNS = 46


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen folders, as patterns with their names, types and age; empty where all are searched."""

    folders: tuple[tuple[str, str], ...] = ()
    extensions: tuple[str, ...] = ()
    since: str | None = None

    def __str__(self) -> str:
        names = [*(one_line(name) for _, name in self.folders), *map(one_line, self.extensions)]
        return " · ".join([*names, *([AGES[self.since]] if self.since else [])])

    def turned(self, kind: str, value: str, name: str) -> Choice:
        """The same with a value chosen, or not any more if it was."""
        if kind == "folder":
            return replace(self, folders=_turned(self.folders, (value, name)))
        if kind == "type":
            return replace(self, extensions=_turned(self.extensions, value))
        return replace(self, since=None if self.since == value else value)

    def has(self, kind: str, value: str) -> bool:
        """Whether a value is chosen."""
        chosen = {"folder": [one for one, _ in self.folders], "type": self.extensions}
        return value in chosen.get(kind, [self.since])


def _turned(values: tuple, value: object) -> tuple:  # type: ignore[type-arg]
    return tuple(one for one in values if one != value) if value in values else (*values, value)


class FilterScreen(ModalScreen[None]):
    """Lists folders, types and dates; what is chosen goes to ``on_change`` at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+f,q", "dismiss", "close"),
        Binding("space", "turn", "choose"),
        Binding("backspace", "clear", "clear all"),
        Binding("j", "app.simulate_key('down')", "next"),
        Binding("k", "app.simulate_key('up')", "previous"),
    ]

    def __init__(self, facets: Facets, choice: Choice, on_change: Callable[[Choice], None]) -> None:
        super().__init__()
        self._choice, self._on_change = choice, on_change
        self._current: str | None = None
        folders = [("folder", one.value, one.name, f"{one.n:,}") for one in facets.folders]
        types = [("type", one.value, one.name, f"{one.n:,}") for one in facets.extensions]
        ages = [("changed", value, name, "") for value, name in AGES.items()]
        self._groups = {"Folders": folders, "Types": types, "Changed": ages}
        self._rows = {
            f"{kind}:{value}": (kind, value, name, n) for kind, value, name, n in folders + types + ages
        }

    def compose(self) -> ComposeResult:
        """The list."""
        box = OptionList(*self._options(), id="filters", markup=False)
        box.border_title = "Filters"
        box.border_subtitle = "space choose  backspace clear  esc close"
        yield box

    def _options(self) -> Iterator[Option]:
        for title, rows in self._groups.items():
            if rows:
                yield Option(Content.styled(MARGIN + title, "bold"), disabled=True)
                yield from (Option(self._prompt(*row), id=f"{row[0]}:{row[1]}") for row in rows)

    def _prompt(self, kind: str, value: str, name: str, n: str) -> Content:
        mark = "[x]" if self._choice.has(kind, value) else "[ ]"
        shown = cut(one_line(name), NAME_COLUMNS)
        line = f"{mark} {shown}{' ' * (NAME_COLUMNS - width(shown))}{n:>9}"
        is_current = f"{kind}:{value}" == self._current
        return Content.styled(CHOSEN + line, "bold") if is_current else Content(MARGIN + line)

    @on(OptionList.OptionHighlighted)
    def mark(self, event: OptionList.OptionHighlighted) -> None:
        """Mark the option under the cursor, with a sign that needs no colour."""
        self._current = event.option_id
        self._draw()

    @on(OptionList.OptionSelected)
    def turn(self, event: OptionList.OptionSelected) -> None:
        """Choose an option, or not any more."""
        assert event.option_id is not None
        kind, value, name, _ = self._rows[event.option_id]
        self._change(self._choice.turned(kind, value, name))

    def action_turn(self) -> None:
        """Choose the option under the cursor."""
        self.query_one(OptionList).action_select()

    def action_clear(self) -> None:
        """Search all files again."""
        self._change(Choice())

    def _change(self, choice: Choice) -> None:
        self._choice = choice
        self._draw()
        self._on_change(choice)

    def _draw(self) -> None:
        box = self.query_one(OptionList)
        for id_, row in self._rows.items():
            box.replace_option_prompt(id_, self._prompt(*row))
