"""The file formats: a suffix goes in, the row of its format comes out.

To add a format, add its row here and its parser in `parsers.registry`.  A suffix without a row is plain text.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """What the parts of the package ask about the files of a format.

    ``name`` is that of the parser, ``suffixes`` are in lower case, with their dots and separated by spaces.
    ``language`` is the programming or markup language, ``grammar`` the tree-sitter grammar if it has another
    name.  ``is_prose`` where a line break is no structure, ``is_binary`` where a text is extracted.
    Readers find a place by ``page`` and ``line``, the words for them: "" where there are no pages, or where
    lines are those of the text.  ``has_lines`` is false where a place has neither.  ``bytes_per_chunk`` is
    the usual size of a file for each of its chunks: more where it holds pictures or markup.
    """

    name: str
    suffixes: str = ""
    language: str = ""
    grammar: str = ""
    is_prose: bool = False
    is_binary: bool = False
    page: str = ""
    line: str = ""
    has_lines: bool = True
    bytes_per_chunk: int = 600


PLAIN = Format("text")

FORMATS = (
    Format("text", ".mdown .text .textile .txt .wiki", is_prose=True),
    Format("markdown", ".markdown .md .mdx .qmd .rmd", "markdown", is_prose=True),
    Format("rst", ".rst", "rst", is_prose=True),
    Format("markup", ".adoc .asciidoc", "asciidoc", is_prose=True),
    Format("markup", ".org", "org", is_prose=True),
    Format("markup", ".tex", "latex", is_prose=True),
    Format("html", ".htm .html .xhtml", "html", is_prose=True, bytes_per_chunk=1_500),
    Format("email", ".eml .mbox .mht .mhtml", is_prose=True, has_lines=False),
    Format("cards", ".ics .vcf"),
    Format("table", ".csv .tsv"),
    Format("json", ".json", "json"),
    Format("jsonl", ".jsonl .ndjson", "json"),
    Format("notebook", ".ipynb", bytes_per_chunk=3_000),
    # --- binary formats ---
    Format("pdf", ".pdf", is_prose=True, is_binary=True, page="p.", bytes_per_chunk=10_000),
    Format("docx", ".docx .docm", is_prose=True, is_binary=True, line="paragraph", bytes_per_chunk=4_000),
    Format("pptx", ".pptx .pptm .ppsx", is_prose=True, is_binary=True, page="slide", bytes_per_chunk=20_000),
    Format("xlsx", ".xlsx .xlsm", is_binary=True, page="sheet", line="row", bytes_per_chunk=2_000),
    Format("epub", ".epub", is_prose=True, is_binary=True, has_lines=False, bytes_per_chunk=1_000),
    Format("odf", ".odt .ott .fodt", is_prose=True, is_binary=True, line="paragraph", bytes_per_chunk=4_000),
    Format("odf", ".odp .otp .fodp", is_prose=True, is_binary=True, page="slide", bytes_per_chunk=20_000),
    Format("odf", ".ods .ots .fods", is_binary=True, page="sheet", line="row", bytes_per_chunk=2_000),
    Format("rtf", ".rtf", is_prose=True, is_binary=True, line="paragraph", bytes_per_chunk=3_000),
    Format("msg", ".msg .oft", is_prose=True, is_binary=True, has_lines=False, bytes_per_chunk=20_000),
    # --- programming languages and data ---
    Format("code", ".c", "c"),
    Format("code", ".h", "c", grammar="cpp"),  # also of C++, as which C parses well enough
    Format("code", ".cc .cpp .cxx .hh .hpp", "cpp"),
    Format("code", ".cs", "csharp"),
    Format("code", ".css", "css"),
    Format("code", ".go", "go"),
    Format("code", ".cfg .conf .ini", "ini"),
    Format("code", ".java", "java"),
    Format("code", ".cjs .js .jsx .mjs", "javascript"),
    Format("code", ".kt", "kotlin"),
    Format("code", ".lua", "lua"),
    Format("code", ".pl", "perl"),
    Format("code", ".php", "php"),
    Format("code", ".ps1", "powershell"),
    Format("code", ".py .pyi", "python"),
    Format("code", ".r", "r"),
    Format("code", ".rb", "ruby"),
    Format("code", ".rs", "rust"),
    Format("code", ".scala", "scala"),
    Format("code", ".bash .sh .zsh", "shell"),
    Format("code", ".sql", "sql"),
    Format("code", ".swift", "swift"),
    Format("code", ".tf", "terraform"),
    Format("code", ".toml", "toml"),
    Format("code", ".cts .mts .ts", "typescript"),
    Format("code", ".tsx", "typescript", grammar="tsx"),
    Format("code", ".xml", "xml"),
    Format("code", ".yaml .yml", "yaml"),
)
BY_SUFFIX = {suffix: one for one in FORMATS for suffix in one.suffixes.split()}
PROSE_LANGUAGES = frozenset(one.language for one in FORMATS if one.is_prose)


def suffix_of(path: str) -> str:
    """The suffix of a file name in lower case, with its dot; "" if it has none."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 - a plain string; pathlib would cost 5 µs per file


def format_of(path: str) -> Format:
    """The format of a file of this name."""
    return BY_SUFFIX.get(suffix_of(path), PLAIN)
