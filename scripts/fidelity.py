"""Words of real files that minisearch loses or invents, compared with independent readers.

    python scripts/fidelity.py FOLDER --files    # --files: also a line a file that differs

PDF is read by pdftotext, DOCX by python-docx, PPTX by python-pptx, XLSX by openpyxl, HTML and EPUB by
BeautifulSoup, mail by Python's `email`, CSV by `csv`, notebooks by `json`, Markdown as it stands.  A format
whose reader is not installed is named and not compared.  Words are compared as multisets, in NFKC and without
case, accents apart; a hyphen between letters is no border, since one at the end of a line may belong to the
word or not; each Chinese, Japanese or Korean character is a word.  Shares are those of the reader's words.

Lost: words that stand more often in the reader's text than in minisearch's text, title and fields.
Invented: words that stand only in minisearch's text.  A word that it has more often is none: it repeats the
names of columns in each row of a table, for example.  In office files these are mostly words that the reader
leaves out: headers, notes, comments, text boxes, numbering.  Not counted as lost:

- a line that stands at the head or foot of several pages of a PDF, from the second time on, and numbers of
  pages: minisearch leaves them out;
- in sheets, words without a letter: minisearch writes numbers and dates as they are shown, openpyxl does not;
- in notebooks, the codes that colour a terminal;
- in HTML and EPUB, scripts, styles, templates, and elements that are hidden by an attribute of their own.

A file is garbled without a note if minisearch reads it, notes nothing, and a fiftieth of its characters are
replacement characters, control characters or of private use, or a tenth of its letters and digits are others
than the reader's.  A file that minisearch refuses counts as lost, unless the reader fails too.
"""

from __future__ import annotations

import csv
import email
import email.policy
import io
import json
import re
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from measuring import machine, option_parser, table

from minisearch.errors import IngestError
from minisearch.parsers import parse, read_bytes

# --- words -----------------------------------------------------------------------------------------------

CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
HYPHEN = re.compile(r"(?<=[^\W\d_])(?:[-\u2010\u2011]\s?|\u00ad\n?)(?=[^\W\d_])|[\u200b\u2060\ufeff]")
WORD = re.compile(rf"[{CJK}]|(?:(?![{CJK}])[^\W_])+")
STRANGE = re.compile("[\ufffd\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uefff\uf100-\uf8ff]")
MAX_STRANGE, MAX_OTHER = 0.02, 0.1


def words_of(text: str) -> Counter[str]:
    """How often each word stands in a text."""
    plain = HYPHEN.sub("", unicodedata.normalize("NFKC", text))
    return Counter(word.casefold() for word in WORD.findall(plain))


@dataclass(frozen=True, slots=True)
class Difference:
    """What minisearch makes of a file: words of the reader, words lost and invented, a remark if any."""

    path: Path
    n_words: int
    lost: Counter[str]
    invented: Counter[str]
    remark: str = ""


def difference(
    path: Path, expected: str, found: str, *, more: str = "", has_note: bool = False
) -> Difference:
    """Compare the reader's text with minisearch's, and with ``more``: its title and fields."""
    reader, ours = words_of(expected), words_of(found)
    if path.suffix == ".xlsx":
        reader, ours = with_letters(reader), with_letters(ours)
    invented = Counter({word: n for word, n in ours.items() if word not in reader})
    other = characters_of(reader) - characters_of(ours + words_of(more))
    is_strange = len(STRANGE.findall(found)) > MAX_STRANGE * len(found)
    is_garbled = is_strange or other.total() > MAX_OTHER * characters_of(reader).total()
    remark = "garbled without a note" if is_garbled and not has_note else ""
    return Difference(path, reader.total(), reader - ours - words_of(more), invented, remark)


def with_letters(words: Counter[str]) -> Counter[str]:
    """The words that have a letter."""
    return Counter({word: n for word, n in words.items() if any(map(str.isalpha, word))})


def characters_of(words: Counter[str]) -> Counter[str]:
    """How often each letter or digit stands in words."""
    found: Counter[str] = Counter()
    for word, n in words.items():
        for character in word:
            found[character] += n
    return found


# --- readers ---------------------------------------------------------------------------------------------


def read_pdf(path: Path) -> str:
    """The text by pdftotext, without what runs along the pages."""
    if not shutil.which("pdftotext"):
        raise ImportError("pdftotext")
    command = ["pdftotext", "-q", str(path), "-"]
    text = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    pages = [[line.strip() for line in page.split("\n") if line.strip()] for page in text.split("\f")]
    edges = [{*lines[:2], *lines[-2:]} for lines in pages]
    n_pages = Counter(re.sub(r"\d+", "#", line) for lines in edges for line in lines)
    seen: set[str] = set()
    kept = []
    for lines, at_edge in zip(pages, edges, strict=True):
        for line in lines:
            key = re.sub(r"\d+", "#", line)
            if line in at_edge and n_pages[key] > 1 and (key in seen or not any(map(str.isalpha, key))):
                continue
            seen |= {key} if line in at_edge else set()
            kept.append(line)
    return "\n".join(kept)


def read_docx(path: Path) -> str:
    """Paragraphs and tables by python-docx."""
    return "\n".join(_docx_texts(import_module("docx").Document(str(path))))


def _docx_texts(container: Any) -> Iterator[str]:  # noqa: ANN401 - a document or a cell
    for block in container.iter_inner_content():
        if hasattr(block, "rows"):
            cells = {id(cell._tc): cell for row in block.rows for cell in row.cells}  # a merged cell once
            yield from chain.from_iterable(map(_docx_texts, cells.values()))
        else:
            yield block.text


def read_pptx(path: Path) -> str:
    """Shapes, tables and notes by python-pptx."""
    slides = import_module("pptx").Presentation(str(path)).slides
    shapes = "\n".join(text for slide in slides for text in _pptx_texts(slide.shapes))
    notes = [slide.notes_slide.notes_text_frame for slide in slides if slide.has_notes_slide]
    return "\n".join([shapes, *(frame.text for frame in notes if frame)])


def _pptx_texts(shapes: Iterable[Any]) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _pptx_texts(shape.shapes)
        elif shape.has_text_frame:
            yield shape.text_frame.text
        elif getattr(shape, "has_table", False):
            yield from (cell.text for cell in shape.table.iter_cells())


def read_xlsx(path: Path) -> str:
    """Cells by openpyxl."""
    sheets = import_module("openpyxl").load_workbook(path, data_only=True).worksheets
    rows = (row for sheet in sheets for row in sheet.iter_rows(values_only=True))
    return "\n".join(" ".join(str(cell) for cell in row if cell is not None) for row in rows)


def read_html(path: Path) -> str:
    """What is not hidden, by BeautifulSoup."""
    return _html_text(path.read_bytes())


# Two of these side by side are one word: H<sub>2</sub>O.
IN_A_LINE = {
    "abbr", "b", "bdi", "cite", "code", "em", "font", "i", "mark", "q", "s",
    "small", "span", "strong", "sub", "sup", "tt", "u", "var", "wbr",
}  # fmt: skip


def _html_text(data: bytes | str) -> str:
    soup = import_module("bs4").BeautifulSoup(data, "html.parser")
    for element in soup(["script", "style", "template", "noscript"]):
        element.extract()
    for element in soup.select('[hidden], [style*="display:none"], [style*="display: none"]'):
        element.extract()
    for element in soup(True):
        if element.name not in IN_A_LINE:
            element.insert_before(" ")
            element.insert_after(" ")
    return str(soup.get_text())


def read_epub(path: Path) -> str:
    """The chapters by BeautifulSoup."""
    with zipfile.ZipFile(path) as book:
        names = [name for name in book.namelist() if name.endswith((".xhtml", ".html", ".htm"))]
        return "\n".join(_html_text(book.read(name)) for name in names)


def read_mail(path: Path) -> str:
    """Subject and bodies by Python's `email`; of alternatives, the plain text."""
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = mail.get_body(("plain", "html"))
    text = body.get_content() if body else ""
    is_html = body is not None and body.get_content_subtype() == "html"
    return f"{mail['subject'] or ''}\n{_html_text(text) if is_html else text}"


def read_csv(path: Path) -> str:
    """The cells by `csv`."""
    rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")))
    return "\n".join(" ".join(row) for row in rows)


TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")


def read_notebook(path: Path) -> str:
    """The sources of the cells and the texts that they put out."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    sheets = notebook.get("worksheets") or [notebook]
    texts = []
    for cell in chain.from_iterable(sheet.get("cells", []) for sheet in sheets):
        texts.append(cell.get("source", cell.get("input", "")))
        outputs = cell.get("outputs", [])
        texts += [output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs]
    return TERMINAL_CODE.sub("", "\n".join(map("".join, texts)))


READERS: dict[str, Callable[[Path], str]] = {
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".pptx": read_pptx,
    ".xlsx": read_xlsx,
    ".html": read_html,
    ".htm": read_html,
    ".epub": read_epub,
    ".eml": read_mail,
    ".csv": read_csv,
    ".ipynb": read_notebook,
    ".md": lambda path: path.read_text(encoding="utf-8"),
}


# --- the comparison --------------------------------------------------------------------------------------


def compared(path: Path) -> Difference | str:
    """Compare one file; the name of the missing library or program where its reader is not installed."""
    try:
        expected = READERS[path.suffix.lower()](path)
    except ImportError as error:
        return error.name or str(error)
    except Exception as error:  # readers raise whatever they like
        return Difference(path, 0, Counter(), Counter(), f"not read by its reader ({type(error).__name__})")
    try:
        document = parse(str(path), read_bytes(str(path)))
    except IngestError as error:
        words = words_of(expected)
        return Difference(path, words.total(), words, Counter(), f"refused: {error}")
    more = "\n".join([document.title, *map(str, chain.from_iterable(document.fields.values()))])
    return difference(path, expected, document.text, more=more, has_note=bool(document.notes))


def row(name: str, found: list[Difference]) -> list[str]:
    """A format's row of the table."""
    n_words = sum(one.n_words for one in found)
    n_lost = sum(one.lost.total() for one in found)
    shares = [n / max(n_words, 1) for n in (n_lost, sum(one.invented.total() for one in found))]
    worst = max(found, key=lambda one: one.lost.total())
    name_of_worst = f"{worst.path.name} ({worst.lost.total():,})" if n_lost else ""
    return [name, str(len(found)), f"{n_words:,}", *(f"{share:.2%}" for share in shares), name_of_worst]


def main(arguments: list[str]) -> int:
    """Print the table, what was not compared, and what there is to say of single files."""
    parser = option_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--files", action="store_true", help="also a line for each file that differs")
    options = parser.parse_args(arguments)
    by_format: dict[str, list[Difference]] = {}
    missing: dict[str, str] = {}
    for path in sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in READERS):
        name = path.suffix.lower()[1:]
        found = compared(path)
        if isinstance(found, str):
            missing[name] = found
        else:
            by_format.setdefault(name, []).append(found)
    everything = [one for found in by_format.values() for one in found]
    for one in sorted(everything, key=lambda one: -one.lost.total()):
        if options.files and (one.lost or one.invented):
            n_lost, n_invented = one.lost.total(), one.invented.total()
            print(f"{one.path}: {n_lost} of {one.n_words:,} words lost ({' '.join(one.lost)[:200]})", end="")
            print(f", {n_invented} invented ({' '.join(one.invented)[:200]})")
    rows = [row(name.upper(), found) for name, found in sorted(by_format.items())]
    header = ["format", "files", "words", "lost", "invented", "most words lost"]
    print(f"Machine: {machine()}")
    print(table(header, [*rows, *([row("all", everything)] if everything else [])]))
    print(
        "".join(
            f"\n{name.upper()} is not compared: {what} is not installed" for name, what in missing.items()
        )
    )
    print("\n".join(f"{one.path}: {one.remark}" for one in everything if one.remark))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
