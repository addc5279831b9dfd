r"""AsciiDoc, Org and LaTeX: the text without its markup, with its headings, lists, tables, and fields.

For each language a pattern finds headings, one finds the lines between which code stands unchanged, and one
finds markup: of a match only its last group is kept.  Markup that no pattern knows is kept as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from unicodedata import normalize

from minisearch.formats import suffix_of
from minisearch.parsers.blocks import DrawnTable, SpannedCell, blocks, drawn_tables, row_edits
from minisearch.parsers.source import MAX_TITLE, Edit, Fields, Source, edited, outermost_first, top_title
from minisearch.text import newlines
from minisearch.types import Document, Heading


@dataclass(frozen=True, slots=True)
class _Language:
    """How a language marks headings (groups: marks and title), code, markup, and fields (name and value)."""

    heading: re.Pattern[str]
    fence: re.Pattern[str]
    markup: re.Pattern[str]
    field: re.Pattern[str]


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.MULTILINE)


# Braces in braces, as in \section{On \emph{rye}}.
INNER = r"((?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}\}){0,300}\}){0,1000})"
ARGUMENTS = r"\*?(?:\[[^]\n]{0,200}\])*"
DROPPED = (
    r"label|cite[a-z]*|(?:eq|page|auto|c)?ref|[vh]space|includegraphics|bibliography(?:style)?|usepackage|input"
    r"|include|title|author|date|href|textcolor|hypertarget"
)
ASCIIDOC = _Language(
    heading=_pattern(r"^(={1,6})[ \t]+(\S[^\n]*)$"),
    fence=_pattern(r"^(?:-{4,}|\.{4,})[ \t]*(?:\n|\Z)"),
    markup=_pattern(
        r"^={1,6}[ \t]+(?=\S)",
        r"footnote:[^\s\[]{0,300}\[([^]\n]{1,300})\]",
        r"^(?:[=*_+/]{4,}|--|\+|\|={3,}|//[^\n]*|\[[^]\n]{0,300}\])[ \t]*(?:\n|\Z)",
        r"^:[\w-]+!?:(?:[^\n]*[ \t]\\\n)*[^\n]*(?:\n|\Z)",
        r"^(?:include|ifn?def|endif|toc)::[^\n]*(?:\n|\Z)|\[\[[^]\n]{0,300}\]\]",
        r"\b(?:https?://|mailto:|link:|xref:|image:|kbd:|btn:)[^\s\[]{0,300}\[([^]\n]{1,300})\]",
        r"<<[^,>\n]{0,200},([^>\n]{1,300})>>",
        r"(?<![\w*])\*(\S[^*\n]*)\*(?!\w)",
        r"(?<!\w)_(\S[^_\n]*)_(?!\w)",
        r"`([^`\n]+)`",
    ),
    field=_pattern(r"^:([\w-]+):[ \t]+(\S(?:[^\n]*[ \t]\\\n)*[^\n]*)$"),
)
# The lines of people and of the version below the title of an AsciiDoc document.
PERSON = r"[^\W\d_][\w.'’-]*(?:[ \t]+[\w.'’-]+){0,3}(?:[ \t]+<[^<>\n]{1,200}>)?"
HEADER = re.compile(
    rf"""\A(?:[ \t]*\n|(?://|:)[^\n]*\n)*=[ \t][^\n]*\n(?:(?://|:)[^\n]*\n)*
    (?P<lines>(?P<people>{PERSON}(?:;[ \t]*{PERSON})*)[ \t]*(?:\n|\Z)
    (?:(?!\s)(?:(?:v(?=\d)|(?=\d[\w.-]*,))(?P<version>[\w.-]+),?[ \t]*)?
    (?P<date>\d[\w./\ -]{{0,50}}|[A-Z]\w{{2,20}}\ \d[\w,\ ]{{0,50}})?
    (?::[ \t]+(?P<remark>\S[^\n]*))?[ \t]*(?:\n|\Z))?)""",
    re.VERBOSE,
)
ORG = _Language(
    heading=_pattern(
        r"^(\*+)[ \t]+(?:(?:TODO|DONE)[ \t]+)?(?:\[#.\][ \t]+)?(\S[^\n]*?)(?:[ \t]+:([\w@:]+):)?[ \t]*$"
    ),
    fence=_pattern(r"^[ \t]*#\+(?i:begin|end)_(?i:src|example|export)\b[^\n]*(?:\n|\Z)"),
    markup=_pattern(
        r"^\*+[ \t]+(?:(?:TODO|DONE)[ \t]+)?(?:\[#.\][ \t]+)?(?=\S)|[ \t]+:[\w@:]+:[ \t]*$",
        r"^[ \t]*:(?:PROPERTIES|LOGBOOK):[ \t]*\n(?:[^\n]*\n){0,100}?[ \t]*:END:[ \t]*(?:\n|\Z)",
        r"(?P<rule>^[ \t]*\|-[-+]{0,500}\|[ \t]*$)",
        r"^[ \t]*#\+(?i:caption):[ \t]*([^\n]*)",
        r"^[ \t]*#(?:\+[^\n]*|[ \t][^\n]*)?(?:\n|\Z)",
        r"\[\[[^]\n]{0,300}\]\[([^]\n]{1,300})\]\]|\[\[([^]\n]{1,300})\]\]",
        r"(?<![\w*])\*(\S[^*\n]*)\*(?!\w)",
        r"(?<![\w/])/(\S[^/\n]*)/(?!\w)",
        r"(?<!\w)=(\S[^=\n]*)=(?!\w)|(?<!\w)~(\S[^~\n]*)~(?!\w)",
    ),
    field=_pattern(
        r"^#\+(?!(?i:options|startup|setupfile|include|bind|macro|property|\w*todo|(?:attr|html|latex)_\w+"
        r"|caption|name|headers?|results|call|plot|tblfm|toc):)"
        r"(\w+):[ \t]*(\S[^\n]*)$"
    ),
)
# A drawer of properties, and a date with its brackets.
DRAWER = _pattern(r"^[ \t]*:PROPERTIES:[ \t]*\n((?:[^\n]*\n){0,100}?)[ \t]*:END:[ \t]*$")
PROPERTY = _pattern(r"^[ \t]*:([\w-]+):[ \t]+(\S[^\n]*)$")
AND = re.compile(r"\\and(?![a-zA-Z])")  # between the authors of LaTeX
ORG_DATE = re.compile(r"[<\[](\d{4}-\d\d-\d\d)[^>\]\n]*[>\]]")
LATEX = _Language(
    heading=_pattern(
        rf"\\(part|chapter|section|subsection|subsubsection|paragraph)(?![a-z]){ARGUMENTS}\{{{INNER}\}}"
    ),
    fence=_pattern(r"\\(?:begin|end)\{(?:verbatim|lstlisting|minted|alltt)\*?\}[^\n]*(?:\n|\Z)"),
    markup=_pattern(
        r"^[ \t]*\\(?!item\b)[a-zA-Z]+[ \t]*(?:\n|\Z)|\\\\[ \t]*$",
        r"(?P<item>\\item(?![a-zA-Z])\s*)|(?P<note>\\(?:footnote|thanks)(?![a-zA-Z])\{)",
        rf"\\begin\{{(?:tabularx?|longtable|array)\*?\}}{ARGUMENTS}\{{{INNER[:-1][1:]}\}}",
        rf"\\(?:begin|end)\{{[^}}\n]{{0,100}}\}}{ARGUMENTS}",
        r"\\(?:maketitle|tableofcontents|(?:new|clear)page|centering|noindent|[sl]arge|hline)(?![a-zA-Z])",
        rf"\\(?:{DROPPED})(?![a-zA-Z]){ARGUMENTS}\{{{INNER[:-1][1:]}\}}",
        r"(\$[^$\n]{1,500}\$)",  # a formula is kept as it is
        rf"\\(?!begin|end)[a-zA-Z]+{ARGUMENTS}\{{|(?<!\\)[{{}}]",
        r"\\([%&_#${}])",
    ),
    field=_pattern(rf"\\(title|author|date)(?![a-z])\{{{INNER}\}}"),
)
BODY = r"\begin{document}"
# Comments; letters with accents, such as \"u and \c{c}, letters with names, and thin spaces.
SIGNS = "\"'`^~=.cvuHkrd"
COMBINING = "\u0308\u0301\u0300\u0302\u0303\u0304\u0307\u0327\u030c\u0306\u030b\u0328\u030a\u0323"
OVER_LETTERS = dict(zip(SIGNS, COMBINING, strict=True))
NAMES = "ss ae AE oe OE aa AA o O l L i j"
NAMED = dict(zip(NAMES.split(), "ßæÆœŒåÅøØłŁıȷ", strict=True))
LETTER = re.compile(
    r"""(?<!\\)\\(?: (?:(["'`^~=.])|([cvuHkrd])(?![a-zA-Z]))\s*(?:\{\\?([a-zA-Z])\}|\\?([a-zA-Z]))
    | (ss|ae|AE|oe|OE|aa|AA|[oOlLij])(?![a-zA-Z])(?:\{\}|[ \t]+)? | , )
    | (?P<comment>(?<!\\)%[^\n]*(?:\n|\Z))""",
    re.VERBOSE,
)
# The beginning of a table; what ends a cell, and a row; a cell of several columns.
TABULAR = _pattern(
    rf"\\begin\{{(tabular[xy]?|longtable|supertabular)\*?\}}(?:{ARGUMENTS}\{{{INNER[:-1][1:]}\}}){{1,2}}"
)
TABLE_EDGE = _pattern(
    r"(?<!\\)&|(?P<end>\\\\\*?(?:\[[^]\n]{0,30}\])?|\\tabularnewline)"
    r"|\\(?:hline|(?:top|mid|bottom)rule|end(?:first)?head|end(?:last)?foot|c(?:line|midrule)(?:\([lr]+\))?\{[^}\n]*\})"
)
SPANNING = re.compile(rf"\s*\\multicolumn\{{([0-9]{{1,2}})\}}\{{[^{{}}\n]{{0,100}}\}}\{{{INNER}\}}\s*")
TABLE_BEGIN = _pattern(r"(?:^\[([^]\n]{0,300})\][ \t]*\n)?(?:^\.\S[^\n]*\n)?^\|={3,}[ \t]*\n")
TABLE_END = _pattern(r"^\|={3,}[ \t]*$")
CELL_MARK = _pattern(
    r"(?:(?:^|(?<=\s))(?:(?P<columns>[0-9]{1,2})?(?P<rows>\.[0-9]+)?\+)?[<^>.]{0,3}[a-z]?|(?<!\\))\|"
)
COLUMNS = re.compile(r"""\bcols\s*=\s*["']?([^"'\]]{1,200})""")
LANGUAGES = {".org": ORG, ".tex": LATEX}
LEVELS = {"part": 0, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5}


def read_markup(source: Source) -> Document:
    """The document in the language of its suffix, titled by a field or by its one outermost heading."""
    language, document = LANGUAGES.get(suffix_of(source.path), ASCIIDOC), source.unchanged("markup")
    if language is LATEX:
        document = edited(document, list(_letters(newlines(document.text))))
    flat = newlines(document.text)
    readers = {ASCIIDOC: [_asciidoc_tables], LATEX: [_latex_tables]}.get(language, [])
    outside = list(_outside_code(language, flat, 0))
    own = [table for span in outside for read in readers for table in read(flat, *span)]
    document = replace(document, blocks=outermost_first(block for table in own for block in table.blocks()))
    document = edited(document, list(row_edits(flat, own)))
    flat = newlines(document.text)
    fields = _fields(language, flat)
    if language is ASCIIDOC and (header := HEADER.match(flat)):
        document = edited(document, [(*header.span("lines"), "")])
        flat = newlines(document.text)
    begin = flat.find(BODY) + len(BODY) if language is LATEX and BODY in flat else 0
    spans = list(_outside_code(language, flat, begin))
    headings = [one for start, end in spans for one in _headings(language, flat, start, end)]
    lowest = min((one.level for one in headings), default=1)
    document = replace(
        document,
        notes=(*document.notes, *fields.notes()),
        title=fields.text("title")[:MAX_TITLE],
        headings=tuple(replace(one, level=one.level - lowest + 1) for one in headings),
        fields=fields.found(),
        names=fields.names(),
    )
    document = edited(document, list(_edits(language, flat, spans)))
    flat = newlines(document.text)
    tables = drawn_tables(flat)
    title = document.title or top_title(document.headings)
    all_blocks = outermost_first([*document.blocks, *blocks(flat, tables)])
    document = replace(document, blocks=all_blocks, title=title)
    return edited(document, list(row_edits(flat, tables)))


def _fields(language: _Language, flat: str) -> Fields:
    """The fields of a document: attributes and people of AsciiDoc, commands of LaTeX, and what Org has."""
    fields = Fields()
    for name, words in dict.fromkeys(_pairs(language, flat)):
        fields.add(name, words or None)
    return fields


def _pairs(language: _Language, flat: str) -> Iterator[tuple[str, str]]:
    """The names and values of the fields."""
    for start, end in _outside_code(language, flat, 0):
        for found in language.field.finditer(flat, start, end):
            for words in AND.split(found[2].replace("\\\n", "")):
                yield from _org_pairs(found[1].lower(), _plain(language, words))
        for drawer in DRAWER.finditer(flat, start, end) if language is ORG else ():
            for name, words in PROPERTY.findall(drawer[1]):
                yield from _org_pairs(name, words)
        for heading in ORG.heading.finditer(flat, start, end) if language is ORG else ():
            yield from _org_pairs("filetags", heading[3] or "")
    if language is ASCIIDOC and (header := HEADER.match(flat)):
        for person in header["people"].split(";"):
            yield from zip(("author", "email"), person.rstrip("> \t").split("<"), strict=False)
        yield from ((name, header[name] or "") for name in ("version", "date", "remark"))


def _org_pairs(name: str, words: str) -> Iterator[tuple[str, str]]:
    """Each tag of ":rye:oven:", or the value, without the brackets around a date."""
    if name == "filetags":
        yield from (("tags", tag) for tag in words.split(":"))
    else:
        yield name, ORG_DATE.sub(r"\1", words)


def _letters(flat: str) -> Iterator[Edit]:
    """Edits that write the letters of LaTeX as Unicode has them, and leave out comments, outside of code."""
    for start, end in _outside_code(LATEX, flat, 0):
        for found in LETTER.finditer(flat, start, end):
            sign, name = found[1] or found[2], found[3] or found[4]
            letter = normalize("NFC", name + OVER_LETTERS[sign]) if sign else NAMED.get(found[5], " ")
            letter = "" if found["comment"] else letter
            yield *found.span(), letter


def _latex_tables(flat: str, start: int, end: int) -> Iterator[DrawnTable]:
    """Tables without tables inside; the first row is the header if a rule stands below it."""
    for begin in TABULAR.finditer(flat, start, end):
        close = flat.find("\\end{" + begin[1], begin.end(), end)
        if close < 0 or flat.find("\\begin{", begin.end(), close) >= 0:
            continue
        rows: list[list[SpannedCell]] = [[]]
        position, has_header = begin.end(), False
        for edge in TABLE_EDGE.finditer(flat, begin.end(), close):
            if edge[0] == "&" or edge["end"]:
                rows[-1].append(_latex_cell(flat, position, edge.start()))
                rows += [[]] * bool(edge["end"])
                rows[-1] = list(rows[-1])
            elif not flat[position : edge.start()].strip():
                has_header = has_header or len(rows) == 2
            position = edge.end()
        if flat[position:close].strip():
            rows[-1].append(_latex_cell(flat, position, close))
        yield DrawnTable.of_cells(begin.start(), close, rows, has_header=has_header)


def _latex_cell(flat: str, start: int, end: int) -> SpannedCell:
    spanning = SPANNING.fullmatch(flat, start, end)
    return (*spanning.span(2), int(spanning[1])) if spanning else (start, end, 1)


def _asciidoc_tables(flat: str, start: int, end: int) -> Iterator[DrawnTable]:
    """Tables between two lines ``|===``; the header is named as such, or followed by a blank line."""
    position = start
    while begin := TABLE_BEGIN.search(flat, position, end):
        close = TABLE_END.search(flat, begin.end(), end)
        position = close.end() if close else end
        marks = list(CELL_MARK.finditer(flat, begin.end(), close.start() if close else end))
        if not close or not marks or any(mark["rows"] for mark in marks):
            continue
        first_line = flat.find("\n", marks[0].start())
        columns = COLUMNS.search(begin[1] or "")
        named = columns[1].split(",") if columns else []
        n_columns = sum(int(one.partition("*")[0]) if "*" in one and one[0].isdigit() else 1 for one in named)
        n_columns = n_columns or sum(int(mark["columns"] or 1) for mark in marks if mark.start() < first_line)
        rows: list[list[SpannedCell]] = [[]]
        last = close.start() - 1
        for mark, after in zip(marks, [*(one.start() for one in marks[1:]), last], strict=True):
            if sum(n for _, _, n in rows[-1]) >= n_columns:
                rows.append([])
            rows[-1].append((mark.end(), after, int(mark["columns"] or 1)))
        is_first_alone = flat.startswith("\n", first_line + 1) and rows[0][-1][0] < first_line
        has_header = "header" in (begin[1] or "") or is_first_alone
        yield DrawnTable.of_cells(marks[0].start(), last, rows, has_header=has_header)


def _outside_code(language: _Language, flat: str, start: int) -> Iterator[tuple[int, int]]:
    """The spans around code, in order; a fence ends code that a fence of its kind begins."""
    closing = ""
    for fence in language.fence.finditer(flat, start):
        words = fence[0].strip().lower()
        if not closing:
            yield start, fence.start()
            closing = re.split(r"[\s\[]", words)[0].replace("begin", "end")
        elif words.startswith(closing):
            start, closing = fence.end(), ""
    yield (len(flat) if closing else start), len(flat)


def _headings(language: _Language, flat: str, start: int, end: int) -> Iterator[Heading]:
    for found in language.heading.finditer(flat, start, end):
        level = LEVELS.get(found[1], len(found[1]))
        yield Heading(found.start(), level, _plain(language, found[2])[:MAX_TITLE])


def _edits(language: _Language, flat: str, spans: list[tuple[int, int]]) -> Iterator[Edit]:
    """Edits that remove what stands before the text, the fences around code, and markup outside of code."""
    reached = 0
    for start, end in spans:
        if fences := list(language.fence.finditer(flat, reached, start)):
            yield (*fences[0].span(), "")
            yield from [(*fence.span(), "") for fence in fences[1:][-1:]]
        elif reached < start:
            yield reached, start, ""
        for found in language.markup.finditer(flat, start, end):
            first, last = found.span(found.lastindex or 0)
            if found.lastgroup or not found.lastindex:
                words = {"item": "- ", "note": " ", "rule": found[0].replace("+", "|")}
                yield *found.span(), words.get(found.lastgroup or "", "")
            else:
                yield found.start(), first, " " * found[0].startswith("footnote")
                yield last, found.end(), ""
        reached = end


def _plain(language: _Language, words: str) -> str:
    """A title without markup."""
    kept = language.markup.sub(
        lambda found: " " if found.lastgroup else found[found.lastindex] if found.lastindex else "", words
    )
    return " ".join(kept.split())
