"""Which elements of an HTML page nobody sees: by attribute, inline style, or a simple rule of a style sheet.

A tag goes in; whether it hides its text, and its ``display``, come out.  What opens at a click (<details>)
and what only speech leaves out (aria-hidden) is seen; <noscript> is not.
"""

from __future__ import annotations

import re

ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
QUOTED_VALUE = re.compile(r"""=\s*(?:"[^"]*"|'[^']*')""")
BARE_HIDDEN = re.compile(r"\shidden(?=[\s/>=])")
EDGE = re.compile(r"([{}])")
SELECTOR = re.compile(r"(?:[A-Za-z][\w-]*)?(?:[.#][\w-]+)?")
ZERO = re.compile(r"0+(?:\.0+)?(?:px|pt|r?em|%)?")

UNSEEN = {"template", "noscript"}
MAX_STYLES = 200_000  # characters

SHOWN, SOFT, HARD = 0, 1, 2  # what is hidden softly may show elements inside
Style = tuple[int | None, str]  # one of these, None where the elements around decide; and ``display``


class Styles:
    """What tags and style sheets say of elements."""

    def __init__(self) -> None:
        self._rules: dict[str, Style] = {}  # by selectors

    def of(self, name: str, tag: str) -> Style:
        """What is said of one element; ``tag`` is the whole tag."""
        is_marked = BARE_HIDDEN.search(QUOTED_VALUE.sub("", tag).lower()) and "until-found" not in tag
        if is_marked or name in UNSEEN:
            return HARD, ""
        if not self._rules and "style" not in tag.lower():
            return None, ""
        attributes = attributes_of(tag)
        declared = _declared(attributes.get("style", ""))
        is_of_outlook = declared.get("mso-hide") == "all" and name != "a"  # it may have another form
        if is_of_outlook or ZERO.fullmatch(declared.get("max-height", "")):
            return HARD, ""
        if "display" in declared or "visibility" in declared:
            return _style(declared)
        if size := declared.get("font-size"):
            return SOFT if ZERO.fullmatch(size) else SHOWN, ""
        marks = [f"#{attributes.get('id', '')}", *(f".{one}" for one in attributes.get("class", "").split())]
        selectors = (*(name + mark for mark in marks), *marks, name)
        return next((self._rules[one] for one in selectors if one in self._rules), (None, ""))

    def add(self, styles: str) -> None:
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
                self._rules |= dict.fromkeys(found, _style(declared))
            depth = max(depth - 1, 0)


def attributes_of(tag: str) -> dict[str, str]:
    """The attributes of a tag that have values, by names in lower case; references are not decoded."""
    return {one[1].lower(): one[2] or one[3] or one[4] or "" for one in ATTRIBUTE.finditer(tag)}


def _declared(style: str) -> dict[str, str]:
    """The values of the properties in a style, in lower case."""
    pairs = (one.lower().partition(":") for one in style.split(";") if ":" in one)
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs}


def _style(declared: dict[str, str]) -> Style:
    """What ``display`` and ``visibility`` say."""
    display = declared.get("display", "")
    states = {"hidden": SOFT, "collapse": SOFT, "visible": SHOWN}
    return HARD if display == "none" else states.get(declared.get("visibility", "")), display
