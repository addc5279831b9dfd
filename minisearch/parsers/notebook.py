"""Jupyter notebooks: each cell a page, its source and its outputs, mapped to the lines of the JSON.

Markdown cells give the headings.  Within a cell the text keeps the file's order, since source positions never
decrease: Jupyter writes outputs before the code that printed them, so both have labels.  Outputs that are not
text are left out with a note; terminal colours are left out without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from minisearch.errors import listed
from minisearch.parsers.json_ import Node, NotJson, Token, copy_string, read_json, string_value, tree
from minisearch.parsers.markdown import read_markdown
from minisearch.parsers.source import (
    AnchoredText,
    DocumentBuilder,
    Source,
    TextBuilder,
    top_title,
)
from minisearch.types import Document

# Of an output in several forms, the first of these is taken.
TEXT_FORMS = ("text/plain", "text/markdown", "text/latex", "text")  # the last is what was printed
ALTERNATIVES = {*TEXT_FORMS, "text/html"}  # of the form that is taken: they say nothing more

LANGUAGES = dict.fromkeys(("c++", "c++11", "c++14", "c++17"), "cpp") | {"c#": "csharp", "ipython": "python"}

Strings = list[Token]


def read_notebook(source: Source) -> Document:
    """The notebook, titled by its metadata or its one level-1 heading; JSON without cells is read as JSON."""
    try:
        root = tree(source.text)
    except NotJson:
        return read_json(source)
    if not isinstance(root, dict) or not isinstance(root.get("cells"), list):
        document = read_json(source)
        return replace(document, notes=(*document.notes, "no cells in it: read as JSON"))
    notebook = _Notebook(source)
    for cell in _items(root["cells"]):
        if isinstance(cell, dict):
            notebook.add_cell(cell)
    metadata = _inner(root, "metadata")
    language = notebook.value(_inner(metadata, "language_info").get("name"))
    language = (language or notebook.value(_inner(metadata, "kernelspec").get("language"))).lower()
    notebook.language = LANGUAGES.get(language, language)
    notebook.title = notebook.value(metadata.get("title")).strip() or top_title(notebook.headings)
    return notebook.document()


class _Notebook(DocumentBuilder):
    """The cells read so far."""

    def __init__(self, source: Source) -> None:
        super().__init__(source, "notebook")
        self._text = source.text
        self._n_left_out: Counter[str] = Counter()

    def add_cell(self, cell: dict[str, Node]) -> None:
        """Add a page: the cell's source and outputs, in the file's order."""
        source = self._strings(cell.get("source"))
        outputs = [strings for output in _items(cell.get("outputs")) for strings in self._texts_of(output)]
        outputs.sort(key=lambda strings: strings[0].start)
        for attachment in _inner(cell, "attachments").values():
            self._n_left_out.update(list(attachment) if isinstance(attachment, dict) else ["attachment"])
        if len(self) and (outputs or source):
            self.begin_paragraph()
        start = len(self)
        self.pages.append(start)
        if outputs and source and outputs[0][0].start < source[0].start:
            self._add_outputs(outputs)
            self.begin_paragraph()
            self.insert("Code:\n", source[0].start)
            self._add_source(cell, source)
        else:
            if source:
                self._add_source(cell, source)
            if source and outputs:
                self.begin_paragraph()
            self._add_outputs(outputs)
        if len(self) > start and self.value(cell.get("cell_type")) == "code":
            self.blocks.append((start, len(self)))

    def value(self, node: Node | None) -> str:
        """The decoded string; "" for anything else."""
        if not isinstance(node, Token) or node.kind != "string":
            return ""
        return string_value(self._text, node)

    def document(self) -> Document:
        """The notebook, with a note on what was left out."""
        if self._n_left_out:
            counts = Counter(dict(sorted(self._n_left_out.items()))).most_common()
            named = listed([f"{n} {form[:80]}" for form, n in counts])
            self.notes.append(f"outputs that are not text are left out: {named}")
        return super().document()

    def _strings(self, node: Node | None) -> Strings:
        """The strings of a text, which may be one or a list of lines; none where all are blank."""
        strings = [token for token in _items(node) if isinstance(token, Token) and token.kind == "string"]
        return strings if any(map(str.strip, map(self.value, strings))) else []

    def _texts_of(self, output: Node) -> Iterator[Strings]:
        """The texts of an output, in one form each; other forms are counted."""
        if not isinstance(output, dict):
            return
        if traceback := self._strings(output.get("traceback")):
            yield traceback
            return
        for name in ("ename", "evalue"):
            if error := self._strings(output.get(name)):
                yield error
        forms = output.get("data", output)
        forms = forms if isinstance(forms, dict) else {}
        text = next((text for form in TEXT_FORMS if (text := self._strings(forms.get(form)))), [])
        if text:
            yield text
        self._n_left_out.update(form for form in forms if "/" in form and form not in ALTERNATIVES)
        if not text and "text/html" in forms:
            self._n_left_out["text/html"] += 1

    def _add_outputs(self, outputs: list[Strings]) -> None:
        for number, strings in enumerate(outputs):
            if number:
                self.begin_paragraph()
            else:
                self.insert("Output:\n", strings[0].start)
            start = len(self)
            self.add(self._decoded(strings))
            self.blocks.append((start, len(self)))

    def _add_source(self, cell: dict[str, Node], strings: Strings) -> None:
        start = len(self)
        source = self._decoded(strings)
        kind = self.value(cell.get("cell_type"))
        if kind == "markdown":
            read = read_markdown(Source.of_text(source.text))
            self.add_part(AnchoredText(read.text, read.origin.anchors).mapped_through(source), read)
            self.names += read.names
            for name, values in read.fields.items():
                self.fields.add_all(name, values)
        else:
            self.add(source)
            self.blocks.append((start, len(self)))

    def _decoded(self, strings: Strings) -> AnchoredText:
        decoded = TextBuilder()
        for token in strings:
            copy_string(decoded, self._text, token)
        return decoded.build()


def _inner(node: dict[str, Node], name: str) -> dict[str, Node]:
    inner = node.get(name)
    return inner if isinstance(inner, dict) else {}


def _items(node: Node | None) -> list[Node]:
    if isinstance(node, list):
        return node
    return [] if node is None or isinstance(node, dict) else [node]
