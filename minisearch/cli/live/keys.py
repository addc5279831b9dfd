"""The keys of live search, and the screen that lists them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

# A key without a description is listed with the one before it.
KEYS = (
    Binding("down,ctrl+n", "choose(1)", "choose a result", key_display="↓ ↑ ^n ^p", priority=True),
    Binding("up,ctrl+p", "choose(-1)", priority=True),
    Binding("enter", "open", "open in the editor", key_display="enter"),
    Binding("ctrl+y", "copy", "copy the citation", key_display="^y", priority=True),
    Binding("ctrl+f", "filter", "choose folders, types and dates", key_display="^f", priority=True),
    Binding("ctrl+l", "literal", "search as typed, or corrected", key_display="^l", priority=True),
    Binding("pagedown", "read(1)", "read on, and back", key_display="pgdn pgup", priority=True),
    Binding("pageup", "read(-1)", priority=True),
    Binding("shift+down", "read(0, 1)", "the same by lines", key_display="shift ↓ ↑", priority=True),
    Binding("shift+up", "read(0, -1)", priority=True),
    Binding("tab", "app.focus_next", "to the results, and back", key_display="tab", priority=True),
    Binding("escape", "back", "clear the query, then the filters, then end", key_display="esc"),
    Binding("f1", "keys", "these keys", key_display="f1", priority=True),
    Binding("ctrl+c", "app.quit", "end at once", key_display="^c", priority=True),
)
LIST_KEYS = (  # while the list has the focus
    Binding("j", "screen.choose(1)", "choose a result", key_display="j k"),
    Binding("k", "screen.choose(-1)"),
    Binding("y", "screen.copy", "copy the citation", key_display="y"),
    Binding("o,enter", "screen.open", "open in the editor", key_display="o enter"),
    Binding("slash", "app.focus_previous", "back to the query", key_display="/"),
    Binding("question_mark", "screen.keys", "these keys", key_display="?"),
    Binding("q", "app.quit", "end", key_display="q"),
)


class KeyScreen(ModalScreen[None]):
    """The keys of the search."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q,question_mark,enter", "dismiss", "close")]

    def compose(self) -> ComposeResult:
        """A line for each key."""
        lines = [
            f"{one.key_display or '':<12}{one.description}" for one in [*KEYS, *LIST_KEYS] if one.description
        ]
        n_common = sum(bool(one.description) for one in KEYS)
        text = "\n".join([*lines[:n_common], "", "In the results:", *lines[n_common:]])
        box = Static(Content(text), id="help")
        box.border_title, box.border_subtitle = "Keys", "esc close"
        yield box
