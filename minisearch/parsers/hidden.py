"""Which elements of an HTML page nobody sees: by attribute, inline style, or a simple rule of a style sheet.

Tags go in, in their order; whether the text after each is hidden comes out.  What opens at a click
(<details>) and what only speech leaves out (aria-hidden) is seen; <noscript> is not.
"""

from __future__ import annotations

import re
from collections import Counter

ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
QUOTED_VALUE = re.compile(r"""=\s*(?:"[^"]*"|'[^']*')""")
BARE_HIDDEN = re.compile(r"\shidden(?=[\s/>=])")
EDGE = re.compile(r"([{}])")
SELECTOR = re.compile(r"(?:[A-Za-z][\w-]*)?(?:[.#][\w-]+)?")
ZERO = re.compile(r"0+(?:\.0+)?(?:px|pt|r?em|%)?")

UNSEEN = {"template", "noscript"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "wbr"}
# Open elements without end tags that the start of another ends; a block also ends a paragraph.
ENDED_BY = {"li": {"li"}, "tr": {"tr", "td", "th"}, "option": {"option"}}
ENDED_BY |= {"td": {"td", "th"}, "th": {"td", "th"}, "dt": {"dt", "dd"}, "dd": {"dt", "dd"}}
MAX_STYLES = 200_000  # characters

SHOWN, SOFT, HARD = 0, 1, 2  # what is hidden softly may show elements inside


class Hiding:
    """The open elements from the outermost hidden one on, and the rules of style sheets."""

    def __init__(self) -> None:
        self.rules: dict[str, int | None] = {}  # the states by selectors
        self._open: list[tuple[str, int]] = []
        self._n_outside: Counter[str] = Counter()

    @property
    def is_hidden(self) -> bool:
        """Whether text here is not seen."""
        return bool(self._open) and self._open[-1][1] != SHOWN

    def open(self, name: str, tag: str, *, is_block: bool) -> None:
        """An element opens; ``tag`` is the whole tag."""
        while self._open and self._open[-1][0] in ENDED_BY.get(name, set()) | ({"p"} if is_block else set()):
            self._open.pop()
        if name in VOID or tag.endswith("/>"):
            return
        state = self.state(name, tag)
        if self._open or state != SHOWN:
            self._open.append((name, state))
        else:
            self._n_outside[name] += 1

    def close(self, name: str) -> None:
        """An element closes, and with it those inside it; an end tag without an element is ignored."""
        names = [one for one, _ in self._open]
        if name in names:
            del self._open[len(names) - 1 - names[::-1].index(name) :]
        elif self._n_outside[name]:
            self._open.clear()
            self._n_outside[name] -= 1

    def state(self, name: str, tag: str) -> int:
        """Whether the text in this element is hidden, and whether elements inside may show theirs."""
        around = self._open[-1][1] if self._open else SHOWN
        if around == HARD or name in {"html", "body"}:  # scripts show a page when it is complete
            return around
        own = HARD if name in UNSEEN else self._own_state(name, tag)
        return around if own is None else own

    def _own_state(self, name: str, tag: str) -> int | None:
        if BARE_HIDDEN.search(QUOTED_VALUE.sub("", tag).lower()) and "until-found" not in tag:
            return HARD
        if not self.rules and "style" not in tag.lower():
            return None
        attributes = attributes_of(tag)
        declared = _declared(attributes.get("style", ""))
        if declared.get("mso-hide") == "all" and name != "a":  # a link may have another form for Outlook
            return HARD
        if ZERO.fullmatch(declared.get("max-height", "")):
            return HARD
        if "display" in declared or "visibility" in declared:
            return _state(declared)
        if size := declared.get("font-size"):
            return SOFT if ZERO.fullmatch(size) else SHOWN
        marks = [f"#{attributes.get('id', '')}", *(f".{one}" for one in attributes.get("class", "").split())]
        selectors = (*(name + mark for mark in marks), *marks, name)
        return next((self.rules[one] for one in selectors if one in self.rules), None)

    def add_rules(self, styles: str) -> None:
        """Take over the rules of a style sheet for one element, class or id, but not those for some media."""
        first, *others = styles[:MAX_STYLES].split("/*")
        depth, selectors = 0, ""
        parts = EDGE.split(first + "".join(one.partition("*/")[2] for one in others))
        for text, edge in zip(parts[::2], parts[1::2], strict=False):
            if edge == "{":
                depth += 1
                selectors = text.rpartition(";")[2] if depth == 1 else selectors
                continue
            declared = _declared(text) if depth == 1 and "@" not in selectors else {}
            if "display" in declared or "visibility" in declared:
                found = filter(SELECTOR.fullmatch, map(str.strip, selectors.split(",")))
                self.rules |= dict.fromkeys(found, _state(declared))
            depth = max(depth - 1, 0)


def attributes_of(tag: str) -> dict[str, str]:
    """The attributes of a tag that have values, by names in lower case; references are not decoded."""
    return {one[1].lower(): one[2] or one[3] or one[4] or "" for one in ATTRIBUTE.finditer(tag)}


def _declared(style: str) -> dict[str, str]:
    """The values of the properties in a style, in lower case."""
    pairs = (one.lower().partition(":") for one in style.split(";") if ":" in one)
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs}


def _state(declared: dict[str, str]) -> int | None:
    """What ``display`` and ``visibility`` say; None where they leave it to the elements around."""
    if declared.get("display") == "none":
        return HARD
    return {"hidden": SOFT, "collapse": SOFT, "visible": SHOWN}.get(declared.get("visibility", ""))
