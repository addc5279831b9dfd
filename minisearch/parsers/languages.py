"""Which language a file is written in, by its suffix: of programming, of data, or of markup.

One table. What it does not know is plain text, and has no language. That a file holds code, whose lines are
its structure, follows from it too.
"""

from __future__ import annotations

_SUFFIXES = {
    "c": ".c .h",
    "cpp": ".cc .cpp .cxx .hh .hpp",
    "csharp": ".cs",
    "css": ".css",
    "go": ".go",
    "html": ".htm .html .xhtml",
    "ini": ".cfg .conf .ini",
    "java": ".java",
    "javascript": ".cjs .js .jsx .mjs",
    "json": ".json .jsonl .ndjson",
    "kotlin": ".kt",
    "lua": ".lua",
    "markdown": ".markdown .md .mdx",
    "perl": ".pl",
    "php": ".php",
    "powershell": ".ps1",
    "python": ".py .pyi",
    "r": ".r",
    "rst": ".rst",
    "ruby": ".rb",
    "rust": ".rs",
    "scala": ".scala",
    "shell": ".bash .sh .zsh",
    "sql": ".sql",
    "swift": ".swift",
    "terraform": ".tf",
    "toml": ".toml",
    "typescript": ".cts .mts .ts .tsx",
    "xml": ".xml",
    "yaml": ".yaml .yml",
}
_MARKUP = {"html", "markdown", "rst"}

# A suffix in lower case, with its dot, to the language's name.
LANGUAGES = {suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}

CODE_SUFFIXES = tuple(suffix for suffix, language in LANGUAGES.items() if language not in _MARKUP)
