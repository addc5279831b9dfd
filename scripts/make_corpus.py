"""data/docs -> data/corpus.jsonl: the small collection as one BEIR document a line.

``_id`` is the path below data/docs, ``title`` the first heading (of HTML the <title>, of plain text and
source code the first line that says anything), ``text`` the file as it stands, of HTML only what a browser
shows.  The lines are sorted by ``_id``, so the same files always make the same corpus.  It shares no code
with the readers of the package on purpose: what tests them must not lean on them.

    python scripts/make_corpus.py            write data/corpus.jsonl
    python scripts/make_corpus.py --check    only say whether it is up to date
"""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"

# Elements whose text is never part of the article, and those that end a line on the screen.
UNSEEN = {"head", "nav", "script", "style"}
BLOCKS = {
    "article",
    "div",
    "footer",
    "h1",
    "h2",
    "h3",
    "header",
    "li",
    "main",
    "ol",
    "p",
    "table",
    "tr",
    "ul",
}


class VisibleText(HTMLParser):
    """A saved page as a reader sees it: ``title`` from the head, ``text`` with blank lines between blocks."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.title = ""
        self._open: list[str] = []
        self._lines = [""]
        self.feed(page)
        self.close()
        self.text = "\n\n".join(line for line in map(_one_line, self._lines) if line) + "\n"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Begin a block, or a stretch that stays unseen."""
        if tag in UNSEEN or tag == "title":
            self._open.append(tag)
        self._break_line(tag)

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        if self._open and self._open[-1] == tag:
            self._open.pop()
        self._break_line(tag)

    def handle_data(self, data: str) -> None:
        """Keep what is seen, and the title."""
        if self._open and self._open[-1] == "title":
            self.title = _one_line(self.title + data)
        elif not self._open:
            self._lines[-1] += data

    def _break_line(self, tag: str) -> None:
        if tag in BLOCKS:
            self._lines.append("")
        elif tag in ("td", "th"):
            self._lines[-1] += " "  # cells of a row stay on one line, apart from each other


def title_and_text(path: Path) -> tuple[str, str]:
    """What a document is called and what it says."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        page = VisibleText(text)
        return page.title, page.text
    return _first_words(text), text


def corpus_lines(docs: Path) -> list[str]:
    """The corpus made from a folder: one JSON object a document, sorted by id."""
    paths = {path.relative_to(docs).as_posix(): path for path in docs.rglob("*") if path.is_file()}
    return [_line(name, *title_and_text(paths[name])) for name in sorted(paths)]


def main(arguments: list[str]) -> int:
    """Write the corpus, or with --check compare it; 1 when it is out of date."""
    target = DATA / "corpus.jsonl"
    corpus = "".join(line + "\n" for line in corpus_lines(DATA / "docs"))
    if arguments == ["--check"]:
        is_current = target.is_file() and target.read_text(encoding="utf-8") == corpus
        print(f"{target} is {'up to date' if is_current else 'out of date; run scripts/make_corpus.py'}")
        return 0 if is_current else 1
    if arguments:
        print("usage: make_corpus.py [--check]", file=sys.stderr)
        return 2
    target.write_text(corpus, encoding="utf-8", newline="\n")
    return 0


def _line(name: str, title: str, text: str) -> str:
    return json.dumps({"_id": name, "title": title, "text": text}, ensure_ascii=False)


def _first_words(text: str) -> str:
    """The first line that says anything, without the signs of headings and comments."""
    lines = (line for line in text.splitlines() if not line.startswith("#!"))
    titles = (line.strip(" #/\"'").rstrip(".") for line in lines)
    return next((title for title in titles if title), "")


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
