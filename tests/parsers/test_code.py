"""Source code: where classes and functions begin, what belongs to them, and what they are cut into."""

import ast
import importlib
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.chunking.chunker import chunk
from minisearch.chunking.sections import SMALL_TOKENS
from minisearch.errors import IngestError
from minisearch.parsers import parse, registry
from minisearch.parsers.registry import read_code
from minisearch.parsers.sandbox import Limits, Sandbox
from minisearch.parsers.source import decode
from minisearch.types import Chunk
from tests.fakes import WordTokenizer


def outline(source: str, path: str) -> list[tuple[int, str, str]]:
    """Level, name and first line of every part."""
    document = parse(path, source.encode())
    assert document.notes == ()
    starts = [heading.start for heading in document.headings]
    assert all(start == 0 or source[start - 1] == "\n" for start in starts)
    lines = [source[start:].partition("\n")[0].strip() for start in starts]
    return [
        (heading.level, heading.title, line) for heading, line in zip(document.headings, lines, strict=True)
    ]


def cut(source: str, *, path: str = "a.py", max_tokens: int = 100, overlap_tokens: int = 0) -> list[Chunk]:
    return chunk(
        parse(path, source.encode()), WordTokenizer(), max_tokens=max_tokens, overlap_tokens=overlap_tokens
    )


# --- awkward ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source", ["", "\n \n", "x = 1", "# only a comment", "\ufeff", "}{)(", "\ufffd", "é"]
)
@pytest.mark.parametrize("path", ["a.py", "a.js", "a.rs", "a.h"])
def test_a_source_without_definitions_has_no_headings(path, source):
    assert parse(path, source.encode()).headings == ()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_positions_count_characters_whatever_the_bytes_are(newline):
    source = newline.join(
        ["ü = '😀é'", "def größe():", "    return '日本'", "", "def zwei():", "    pass", ""]
    )
    document = parse("a.py", source.encode())
    assert [(h.title, source[h.start : h.start + 8]) for h in document.headings] == [
        ("größe", "def größ"), ("zwei", "def zwei"),
    ]  # fmt: skip


def test_broken_source_gives_what_can_be_made_out():
    source = "def one(:\n    return (\n\nclass Two:\n    def three(self):\n        pass\n"
    assert "three" in [name for _, name, _ in outline(source, "a.py")]


def test_definitions_on_one_line_begin_apart():
    document = parse("a.js", b"class A { a() { return 1 } b() { return 2 } }\n")
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))


def test_headings_are_not_deeper_than_a_person_would_read():
    source = "\n".join(f"{'  ' * i}class C{i}:" for i in range(300)) + "\n" + "  " * 300 + "x = 1\n"
    document = parse("a.py", source.encode())
    assert max(heading.level for heading in document.headings) <= 6


hostile = [
    (".py", "(\n", 100_000), (".js", "[", 100_000), (".c", "{\n", 100_000), (".rs", "class A{\n", 20_000),
    (".go", "a.b(", 20_000), (".py", "/*\n", 20_000), (".ts", "`${\n", 20_000), (".java", "\n", 1_000_000),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "unit", "n"), hostile)
def test_no_source_keeps_or_breaks_the_process(suffix, unit, n):
    source = decode(f"a{suffix}", (unit * n).encode())
    document = read_code(source, Sandbox(Limits(wall_s=60, cpu_s=1, memory_bytes=400_000_000)))
    assert document.text == source.text
    for note in document.notes:
        assert note.startswith("cut at lines, not at functions: ")


def test_what_the_process_makes_up_is_not_believed():
    class Liar(Sandbox):
        def extract(self, format_, label, data):
            return {"parts": self.parts}

    source = decode("a.py", b"def f():\n    pass\n")
    for parts in (
        [[5, 1, "f"], [3, 1, "g"]],
        [[99, 1, "f"]],
        [[0, 0, "f"]],
        [[0, 1, 7]],
        [["0", 1, "f"]],
        7,
        [1],
    ):
        liar = Liar()
        liar.parts = parts
        document = read_code(source, liar)
        assert document.headings == ()
        assert "invalid answer" in document.notes[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([
            "class A:", "def f(x):", "    def g(self):", "        return 1", "    pass", "# note", "@deco",
            "x = (", ")", "", "'''doc", "'''", "\tdef t(): pass", "if x:", "é = '日本'", "async def h():",
            "    # inner",
        ]),
        max_size=30,
    ),
    st.sampled_from(["a.py", "a.js", "a.cpp", "a.rs"]),
    st.integers(4, 40),
    st.integers(0, 20),
)  # fmt: skip
def test_every_part_of_any_source_is_in_a_chunk_that_fits(lines, path, max_tokens, overlap_tokens):
    source = "\n".join(lines)
    chunks = cut(source, path=path, max_tokens=max_tokens, overlap_tokens=overlap_tokens)
    covered = set()
    for one in chunks:
        assert source[one.start : one.end] == one.text
        assert one.n_tokens == len(WordTokenizer().spans([one.text])[0]) <= max_tokens
        covered.update(range(one.start, one.end))
    assert all(character.isspace() for i, character in enumerate(source) if i not in covered)


# --- what is found ---------------------------------------------------------------------------------

SOURCES = {
    "a.py": (
        "import os\n\n# About one.\n@cache\n@other(\n    1\n)\ndef one():\n    def inner():\n        pass\n\n"
        "class Two(Base):\n    '''Doc.'''\n\n    # A comment.\n    async def three(self): return 3\n\n"
        "    x = 1\n\n\nz = 2\n",
        [
            (1, "one", "# About one."), (2, "inner", "def inner():"), (1, "Two", "class Two(Base):"),
            (2, "three", "# A comment."), (2, "", "x = 1"), (1, "", "z = 2"),
        ],
    ),
    "a.js": (
        "/** Doc. */\nexport default function one() {\n}\n\nclass Two {\n  three() {\n  }\n}\n\n"
        "const four = async (x) => {\n  return x\n}\n\nexports.five = function () {\n}\n\nlet six = 6\n",
        [
            (1, "one", "/** Doc. */"), (1, "Two", "class Two {"), (2, "three", "three() {"),
            (1, "four", "const four = async (x) => {"), (1, "exports.five", "exports.five = function () {"),
            (1, "", "let six = 6"),
        ],
    ),
    "a.ts": (
        "export interface One {\n  a: string\n}\n\n@Injectable()\nexport class Two {\n"
        "  private three(): void {\n  }\n}\n\n"
        "namespace Four {\n  export type Five = string\n}\n\nenum Six { A }\n",
        [
            (1, "One", "export interface One {"), (1, "Two", "@Injectable()"),
            (2, "three", "private three(): void {"), (1, "Four", "namespace Four {"),
            (2, "Five", "export type Five = string"), (1, "Six", "enum Six { A }"),
        ],
    ),
    "a.tsx": (
        "export function App() {\n  return <p>one</p>\n}\n",
        [(1, "App", "export function App() {")],
    ),
    "a.go": (
        "package a\n\n// One is.\n// It was.\nfunc One(x int) int {\n\treturn x\n}\n\n"
        "type Two struct {\n\ta int\n}\n\nfunc (t *Two) Three() {\n}\n",
        [
            (1, "One", "// One is."), (1, "Two", "type Two struct {"),
            (1, "Two.Three", "func (t *Two) Three() {"),
        ],
    ),
    "a.rs": (
        "use a;\n\n/// Doc.\n#[derive(Debug)]\npub struct One {\n    a: u8,\n}\n\n"
        "impl Two for One {\n    // Note.\n    fn three(&self) {\n    }\n}\n\n"
        "mod four {\n    pub fn five() {}\n}\n",
        [
            (1, "One", "/// Doc."), (1, "One", "impl Two for One {"), (2, "three", "// Note."),
            (1, "four", "mod four {"), (2, "five", "pub fn five() {}"),
        ],
    ),
    "A.java": (
        "package a;\n\n/** Doc. */\n@Deprecated\npublic class One {\n    private int x;\n\n"
        "    public One() {\n    }\n\n"
        "    @Override\n    public int two() {\n        return x;\n    }\n\n    enum Three { A }\n}\n",
        [
            (1, "One", "/** Doc. */"), (2, "One", "public One() {"), (2, "two", "@Override"),
            (2, "Three", "enum Three { A }"),
        ],
    ),
    "a.c": (
        "#include <a.h>\n\n/* Doc. */\nstatic int *one(int x)\n{\n    return 0;\n}\n\n"
        "struct two {\n    int a;\n};\n\n"
        "struct two three;\n\ntypedef struct {\n    int b;\n} four;\n",
        [
            (1, "one", "/* Doc. */"), (1, "two", "struct two {"), (1, "", "struct two three;"),
            (1, "four", "typedef struct {"),
        ],
    ),
    "a.hpp": (
        "namespace one {\n\n// Doc.\ntemplate <typename T>\nclass Two : public Base {\n"
        " public:\n  int three() const {\n"
        "    return 3;\n  }\n};\n\nint Two::four() {\n  return 4;\n}\n\n}  // namespace one\n",
        [
            (1, "one", "namespace one {"), (2, "Two", "// Doc."), (3, "three", "int three() const {"),
            (2, "Two::four", "int Two::four() {"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES)
def test_classes_and_functions_begin_at_what_stands_above_them(path):
    source, expected = SOURCES[path]
    assert outline(source, path) == expected


def test_a_header_is_read_as_both_languages_it_may_be_in():
    assert outline("class One {\n  int a;\n};\n", "a.h") == [(1, "One", "class One {")]
    assert outline("int one(void) {\n  return 1;\n}\n", "a.h") == [(1, "one", "int one(void) {")]


def test_a_comment_apart_or_behind_code_belongs_to_what_is_above():
    source = (
        "x = 1  # one\ndef f():\n    pass\n    # inside\ndef g():\n    pass\n\n# Apart.\n\ndef h(): pass\n"
    )
    assert outline(source, "a.py") == [
        (1, "f", "def f():"), (1, "g", "def g():"), (1, "", "# Apart."), (1, "h", "def h(): pass"),
    ]  # fmt: skip


@pytest.mark.parametrize("module", ["argparse", "typing", "json.decoder", "dataclasses", "http.client"])
def test_definitions_of_python_are_those_of_its_own_parser(module):
    source = Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
    expected = []

    def look(node, names):
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = [*names, child.name]
                expected.append(" > ".join(inner))
            look(child, inner)

    look(ast.parse(source), [])
    path, found = [], []
    for heading in parse("a.py", source.encode()).headings:
        del path[heading.level - 1 :]
        path.append(heading.title)
        if heading.title:
            found.append(" > ".join(path))
    assert sorted(found) == sorted(expected)


# --- what it is cut into ---------------------------------------------------------------------------


def function(name: str, n_lines: int, indent: str = "") -> str:
    """Five tokens, and three a line."""
    lines = [f"{indent}    {name}{i} = {i}" for i in range(n_lines)]
    return "\n".join([f"{indent}def {name}():", *lines])


def test_a_function_that_fits_is_one_chunk():
    sources = [function("one", 25), function("two", 30), function("three", 28)]
    chunks = cut("\n\n\n".join(sources))
    assert [one.text for one in chunks] == sources
    assert [one.heading for one in chunks] == ["one", "two", "three"]


def test_a_class_that_fits_is_one_chunk_with_its_methods():
    source = "class A:\n" + "\n\n".join(function(name, 6, "    ") for name in ("one", "two"))
    chunks = cut(f"{function('before', 25)}\n\n\n{source}\n\n\n{function('after', 25)}")
    assert [(one.heading, one.text) for one in chunks][1] == ("A", source)


def test_a_class_that_does_not_fit_is_cut_at_its_methods_and_they_know_it():
    methods = [function(name, 25, "    ") for name in ("one", "two")]
    chunks = cut("class A:\n    '''What it is.'''\n\n" + "\n\n".join(methods), max_tokens=81)
    assert [one.heading for one in chunks] == ["A", "A > one", "A > two"]
    assert [one.text for one in chunks[1:]] == methods


def test_a_long_function_is_cut_within_and_its_parts_have_its_name():
    chunks = cut(f"{function('one', 60)}\n\n\n{function('two', 25)}")
    assert [one.heading for one in chunks] == ["one", "one", "two"]
    assert all(one.text.startswith(("def ", "    one")) for one in chunks)


def test_small_neighbours_share_a_chunk_and_its_heading_is_what_they_stand_in():
    getters = [function(f"get_{i}", 1, "    ") for i in range(12)]  # 8 tokens each
    chunks = cut("class A:\n" + function("big", 30, "    ") + "\n\n" + "\n\n".join(getters))
    assert {one.heading for one in chunks} == {"A"}
    assert all(one.n_tokens >= SMALL_TOKENS for one in chunks)
    assert all(sum(getter in one.text for one in chunks) == 1 for getter in getters)


def test_neighbours_of_different_classes_share_none():
    body = function("long", 30, "    ")
    of_a, of_b = function("a", 1, "    "), function("b", 1, "    ")
    source = f"class A:\n{body}\n\n{of_a}\n\n\nclass B:\n{of_b}\n\n{body}\n"
    for one in cut(source, max_tokens=98):
        assert not ("def a" in one.text and "def b" in one.text)


def test_a_docstring_and_a_comment_are_never_cut_off_their_function():
    functions = [f"# About {i}.\n@decorated\n{function(f'f{i}', 22)}" for i in range(8)]
    chunks = cut("import x\n\n\n" + "\n\n\n".join(functions))
    for text in functions:
        assert any(text in one.text for one in chunks)


def test_chunks_of_code_are_in_order_and_share_no_line_but_in_an_overlap():
    source = Path(ast.__file__).read_text(encoding="utf-8")
    chunks = cut(source, max_tokens=254)
    assert all(before.end <= after.start for before, after in pairwise(chunks))
    assert len(chunks) > 50
    sizes = sorted(one.n_tokens for one in chunks)
    assert sizes[len(sizes) // 10] >= 32


# --- without the grammars --------------------------------------------------------------------------


def test_without_its_grammar_a_source_is_cut_at_lines(monkeypatch):
    monkeypatch.setitem(sys.modules, "tree_sitter_python", None)
    monkeypatch.setattr(registry, "is_installed", lambda grammar: grammar != "python")
    document = parse("a.py", b"def f():\n    pass\n")
    assert (document.headings, document.notes, document.format) == ((), (), "code")
    assert registry.is_cut_at_lines("a.py")
    assert not registry.is_cut_at_lines("a.js")
    assert not registry.is_cut_at_lines("a.lua") and not registry.is_cut_at_lines("a.md")


def test_a_reader_that_fails_leaves_the_text_and_a_note():
    class Failing(Sandbox):
        def extract(self, format_, label, data):
            raise IngestError("it is broken")

    document = read_code(decode("a.py", b"def f():\n    pass\n"), Failing())
    assert document.text == "def f():\n    pass\n"
    assert document.notes == ("cut at lines, not at functions: it is broken",)
