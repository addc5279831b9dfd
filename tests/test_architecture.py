"""The shape of the package: which room may import which, how large rooms may be, and what is loaded when."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minisearch import MiniSearch, SentenceTransformer

PACKAGE = Path(__file__).parents[1] / "minisearch"

WORDS = {
    "formats",
    "types",
    "results",
    "errors",
    "text",
    "globs",
    "filters",
    "manifest",
    "paths",
    "threads",
}
SKILLS = {"files", "parsers", "chunking", "minilm", "vectors", "stores"}
VERBS = {"search", "indexing", "maintenance", "evaluation", "analysis"}
BELOW = WORDS | SKILLS - {"vectors"}  # which only the local store uses

# A room may import itself, and these.
MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(WORDS, WORDS),
    "paths": {"errors", "types"},
    **dict.fromkeys(SKILLS, WORDS),
    "stores": WORDS | {"vectors"},
    "search": BELOW,
    "indexing": BELOW | {"search"},
    "maintenance": BELOW | {"indexing"},
    "rag": WORDS | {"search", "stores"},
    "analysis": BELOW | {"search", "rag"},
    "engine": BELOW | VERBS | {"rag"},
    "evaluation": BELOW | VERBS | {"engine"},
    "training": WORDS | {"minilm", "evaluation"},
    # Of the skills only names to list, such as those of checkpoints.
    "cli": WORDS | VERBS | {"engine", "rag", "files", "minilm", "server", "training"},
    "server": WORDS | {"engine", "rag", "analysis", "__version__"},
    "integrations": WORDS | {"engine"},
    "__main__": {"cli"},
    "__init__": {"engine", "minilm"} | WORDS,
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(module: Path) -> set[str]:
    """Rooms of this package that a module imports, also inside functions."""
    names = imported_names(ast.parse(module.read_text(encoding="utf-8")), of_type_checking=True)
    rooms = {name.split(".")[1] for name in names if name.startswith("minisearch.")}
    return rooms - {"__version__", "__name__"}


def imported_names(node: ast.AST, *, of_type_checking: bool) -> set[str]:
    """Dotted names of everything that a module imports, also inside functions and ``if TYPE_CHECKING``."""
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"a relative import, line {node.lineno}"
        return {f"{node.module}.{alias.name}" for alias in node.names}
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    is_type_checking = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    if is_type_checking and not of_type_checking:
        return set()
    inner = [imported_names(child, of_type_checking=of_type_checking) for child in ast.iter_child_nodes(node)]
    return set().union(*inner)


def imports_of_modules() -> dict[str, set[str]]:
    """The modules of the package, and which of the others each of them imports when it runs."""
    paths = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in MODULES}
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    imports: dict[str, set[str]] = {}
    for module, path in paths.items():
        names = imported_names(ast.parse(path.read_text(encoding="utf-8")), of_type_checking=False)
        found = {name if name in paths else name.rpartition(".")[0] for name in names}
        imports[module] = (found & paths.keys()) - {module}
    return imports


def circles(imports: dict[str, set[str]]) -> set[str]:
    """The modules that import themselves by way of others."""
    reached = {module: set(direct) for module, direct in imports.items()}
    for between in imports:  # Warshall's algorithm
        for module in imports:
            if between in reached[module]:
                reached[module] |= reached[between]
    return {module for module in imports if module in reached[module]}


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {"a", "b", "c"}
    assert not circles(imports_of_modules())


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_a_room_imports_only_what_the_table_allows(module: Path) -> None:
    room = room_of(module)
    forbidden = imported_rooms(module) - MAY_IMPORT[room] - {room}
    assert not forbidden, f"{room} may not know of {sorted(forbidden)}"


def test_the_table_names_every_room() -> None:
    assert {room_of(module) for module in MODULES} <= MAY_IMPORT.keys()


# Guards against growth; a larger number needs a reason in the message of the commit that raises it.
MAX_TOP_LEVEL = 29
MAX_MODULES = {"parsers": 30}  # one module a format
MAX_MODULES_ELSEWHERE = 14
MAX_LINES = 450


def test_the_package_has_few_top_level_entries() -> None:
    entries = {module.relative_to(PACKAGE).parts[0] for module in MODULES}
    assert len(entries) <= MAX_TOP_LEVEL, sorted(entries)


@pytest.mark.parametrize("folder", sorted({module.parent for module in MODULES}), ids=lambda path: path.name)
def test_a_folder_has_few_modules(folder: Path) -> None:
    n = len([path for path in folder.glob("*.py") if path.name != "__init__.py"])
    assert folder == PACKAGE or n <= MAX_MODULES.get(folder.name, MAX_MODULES_ELSEWHERE)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_a_module_is_not_too_long(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


# What is defined in these and nowhere else.
SINGLE = ("text.py", "globs.py")
CJK_RANGE = re.compile(r"\\u(?:2[ef]|3[0-9a-f]|[4-9][0-9a-f]|a[c-f]|[bc][0-9a-f]|d[0-7])[0-9a-f]{2}-")


def defined_names(module: Path) -> set[str]:
    """Public functions, classes and variables of a module."""
    names: set[str] = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def word_lists(module: Path) -> list[set[str]]:
    """Lists of words that are written as one string and split."""
    return [
        set(str(node.func.value.value).split())
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "split"
        and isinstance(node.func.value, ast.Constant)
    ]


def test_scripts_words_and_patterns_are_defined_once() -> None:
    single = [PACKAGE / name for name in SINGLE if (PACKAGE / name).exists()]
    names = {name for module in single for name in defined_names(module)}
    for module in sorted(set(MODULES) - set(single)):
        again = defined_names(module) & names
        assert not again, f"{module} defines {sorted(again)} a second time"
        assert not CJK_RANGE.search(module.read_text(encoding="utf-8")), f"{module}: take the range from text"
        assert not [words for words in word_lists(module) if {"the", "and"} <= words], f"{module}: stop words"


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Top-level modules loaded after running some code in a fresh process."""
    report = "; import sys; sys.stderr.write(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + report, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    return set(done.stderr.split())


FRAMEWORKS = {"langchain_core", "llama_index", "haystack"}
HEAVY = {"torch", "transformers", "sentence_transformers", "faiss", "annoy", "huggingface_hub", "rich"}
STORING = {"sqlite_utils"}  # what only a change to an index needs
RUN = "from minisearch.cli import cli; cli({!r}, standalone_mode=False)"


def test_importing_the_package_loads_next_to_nothing() -> None:
    loaded = loaded_by("import minisearch")
    assert not loaded & (HEAVY | STORING | {"numpy", "click"})


def test_opening_an_index_loads_no_framework() -> None:
    loaded = loaded_by(
        "import minisearch.integrations; from minisearch import MiniSearch; MiniSearch.open('.')"
    )
    assert "numpy" in loaded
    assert not loaded & FRAMEWORKS


@pytest.mark.parametrize(
    "command", [[], ["index"], ["query"], ["status"], ["eval"]], ids=lambda command: " ".join(command)
)
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    assert not loaded_by(RUN.format([*command, "--help"])) & (HEAVY | STORING | {"numpy", "sqlite3"})


def test_status_loads_nothing_heavy(tmp_path: Path) -> None:
    index = (
        "from minisearch import MiniSearch; from tests.fakes import HashingEncoder;"
        f"MiniSearch.open({str(tmp_path)!r}, encoder=HashingEncoder()).index('LICENSE', backend='flat')"
    )
    subprocess.run([sys.executable, "-c", index], check=True, cwd=PACKAGE.parent)
    loaded = loaded_by(RUN.format(["status", "--index", str(tmp_path / ".minisearch")]))
    assert "sqlite3" in loaded
    assert not loaded & (HEAVY | STORING)


def test_a_query_loads_neither_torch_nor_faiss(tmp_path: Path, minilm: SentenceTransformer) -> None:
    with MiniSearch.open(tmp_path, encoder=minilm) as ms:
        ms.index(PACKAGE.parent / "LICENSE")
    assert [path.suffix for path in (tmp_path / ".minisearch").glob("vectors-*")] == [".npy"]
    loaded = loaded_by(RUN.format(["query", "may I sell it?", "--index", str(tmp_path / ".minisearch")]))
    assert {"numpy", "tokenizers", "sqlite3"} <= loaded
    assert not loaded & (HEAVY | STORING)


def test_counting_tokens_does_not_load_torch() -> None:
    code = "from minisearch.minilm import MiniLMTokenizer; MiniLMTokenizer(offline=True).spans(['a'])"
    assert not loaded_by(code) & {"torch", "transformers"}


def test_embedding_loads_neither_transformers_nor_sentence_transformers() -> None:
    code = (
        "from minisearch import SentenceTransformer;"
        "SentenceTransformer.from_pretrained('all-MiniLM-L6-v2', offline=True).encode(['a'])"
    )
    loaded = loaded_by(code)
    assert "torch" in loaded
    assert not loaded & {"transformers", "sentence_transformers"}


def test_the_public_names_are_these() -> None:
    import minisearch

    assert (
        minisearch.__all__
        == sorted(minisearch.__all__)
        == [
            "IndexStatus",
            "IngestReport",
            "MiniSearch",
            "MinisearchError",
            "Query",
            "SearchResult",
            "SearchResults",
            "SentenceTransformer",
            "Settings",
            "TextDocument",
        ]
    )
    for name in minisearch.__all__:
        assert getattr(minisearch, name).__name__ == name
    assert minisearch.Question is minisearch.Query, "an old name"
