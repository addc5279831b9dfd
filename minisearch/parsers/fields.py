"""Metadata of a document as fields: front matter in YAML or TOML, and what other readers find.

Untrusted text goes in; names in lower case with their plain values come out, and notes on what was left out.
No code in a text is run, and no text takes long: its length, the names, the values and the nodes of a tree
that are visited are bounded.  What fields are used for is left to others.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from minisearch.text import storable

if TYPE_CHECKING:
    import yaml

Value = str | float | bool

MAX_FRONT_MATTER = 64 * 1024  # characters; PyYAML needs about half a second for them
MAX_VALUES = 200
MAX_VALUE = 1_000  # characters
MAX_NAME = 100
MAX_NODES = 5_000  # of a YAML tree: aliases make endless ones of a few lines
TOO_LONG = f"front matter of more than {MAX_FRONT_MATTER // 1024} KB: its fields are left out"

KEY = re.compile(r"^[\w-]+:", re.MULTILINE)


class Fields:
    """Collects fields; values beyond the bounds are left out and counted."""

    def __init__(self) -> None:
        self._values: dict[str, list[Value]] = {}
        self._n_values = 0
        self._n_left_out = 0
        self._n_cut = 0

    def add(self, name: str, value: object) -> None:
        """Add one value of a field; dates become ISO text, None is ignored."""
        name = " ".join(storable(name).lower().split())
        plain = _plain(value)
        if value is None or not name:
            return
        if plain is None or self._n_values == MAX_VALUES or len(name) > MAX_NAME:
            self.leave_out()
            return
        if isinstance(plain, str) and len(plain) > MAX_VALUE:
            plain = plain[:MAX_VALUE]
            self._n_cut += 1
        self._values.setdefault(name, []).append(plain)
        self._n_values += 1

    def add_all(self, name: str, values: Iterable[object]) -> None:
        """Add each value of a list."""
        for value in values:
            self.add(name, value)

    def leave_out(self) -> None:
        """Count a value that cannot be kept."""
        self._n_left_out += 1

    def found(self) -> dict[str, tuple[Value, ...]]:
        """Each name with its values, in the order in which they were added."""
        return {name: tuple(values) for name, values in self._values.items()}

    def text(self, name: str) -> str:
        """The first value of a field if it is a text, else ""."""
        first = self._values.get(name, [""])[0]
        return first if isinstance(first, str) else ""

    def notes(self) -> tuple[str, ...]:
        """What was left out, in words for the user."""
        notes = []
        if self._n_left_out:
            notes.append(f"metadata: {self._n_left_out} left out, too many, too deep or not plain values")
        if self._n_cut:
            notes.append(f"metadata: {self._n_cut} cut to {MAX_VALUE:,} characters")
        return tuple(notes)


def _plain(value: object) -> Value | None:
    """The value as it is stored; None where it is not a plain one."""
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:  # more than 308 digits
            return None
        return number if math.isfinite(number) else str(number)
    return storable(value).strip() if isinstance(value, str) else None


# --- front matter ------------------------------------------------------------------------------------------


def yaml_front_matter(text: str) -> tuple[Fields, tuple[str, ...]]:
    """The fields of a YAML mapping, and notes; no fields where it is something else.

    PyYAML composes the tree but constructs plain values only, so no tag in it creates an object.
    """
    fields = Fields()
    if len(text) > MAX_FRONT_MATTER:
        return fields, (TOO_LONG,)
    import yaml  # takes 20 ms, and few documents need it

    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if isinstance(root, yaml.MappingNode):
                _YamlTree(loader, fields).add(root, "")
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # "\UFFFFFFFF" raises no YAMLError
        if not KEY.search(text):
            return Fields(), ()  # prose between two rules
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 2})" if mark else ""
        return Fields(), (f"front matter is not YAML{where}: its fields are left out",)
    except RecursionError:
        return Fields(), ("front matter is nested too deep: its fields are left out",)
    return fields, fields.notes()


class _YamlTree:
    """Visits the nodes of a YAML tree, a bounded number of them: an alias may lead back to a node above."""

    def __init__(self, loader: yaml.SafeLoader, fields: Fields) -> None:
        self._loader = loader
        self._fields = fields
        self._n_nodes = 0

    def add(self, node: yaml.Node, name: str) -> None:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES or len(name) > MAX_NAME:
            self._fields.leave_out()
        elif node.id == "scalar":
            self._add_scalar(node, name)
        elif node.id == "sequence":
            self._n_nodes += len(node.value)
            for item in node.value:
                if item.id == "scalar":
                    self._add_scalar(item, name)
                else:
                    self._fields.leave_out()
        else:
            for key, value in node.value:
                if self._n_nodes <= MAX_NODES and key.id == "scalar" and key.value != "<<":
                    self.add(value, f"{name}.{key.value}" if name else key.value)
                else:
                    self._fields.leave_out()

    def _add_scalar(self, node: yaml.ScalarNode, name: str) -> None:
        is_plain = node.style is None
        implied = self._loader.resolve(type(node), node.value, (is_plain, not is_plain))
        is_time = ":" in node.value and implied.endswith((":int", ":float"))
        if node.tag == "tag:yaml.org,2002:str" or is_time:
            self._fields.add(name, node.value)  # 12:30 is a time, though in YAML 1.1 it is the number 750
        elif node.tag != implied:
            self._fields.leave_out()
        else:
            try:
                self._fields.add(name, self._loader.construct_object(node))
            except (ValueError, OverflowError):  # 2024-02-30, or 5,000 digits
                self._fields.add(name, node.value)


def toml_front_matter(text: str) -> tuple[Fields, tuple[str, ...]]:
    """The fields of a TOML document, and notes."""
    fields = Fields()
    if len(text) > MAX_FRONT_MATTER:
        return fields, (TOO_LONG,)
    try:
        _add_table(_toml_table(text), "", fields)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0][:100]
        return Fields(), (f"TOML front matter ({reason}): its fields are left out",)
    return fields, fields.notes()


def _toml_table(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    raise ValueError("reading it takes Python 3.11")


def _add_table(table: dict[str, Any], prefix: str, fields: Fields) -> None:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _add_table(value, f"{name}.", fields)
        elif isinstance(value, list):
            fields.add_all(name, value)
        else:
            fields.add(name, value)
