"""Fields and languages of documents, from texts that may be hostile."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.parsers import parse


def front(yaml: str):
    return parse("a.md", f"---\n{yaml}\n---\n\n# Heading\n".encode())


def fields_of(yaml: str) -> dict:
    return dict(front(yaml).fields)


# --- languages -------------------------------------------------------------------------------------


def test_the_language_follows_the_suffix_in_any_case():
    languages = {
        "a.py": "python", "A.PYI": "python", "a.js": "javascript", "a.mjs": "javascript",
        "a.ts": "typescript", "a.go": "go", "a.rs": "rust", "a.java": "java", "a.h": "c", "a.cc": "cpp",
        "a.rb": "ruby", "a.zsh": "shell", "a.sql": "sql", "a.yml": "yaml", "a.jsonl": "json",
        "a.toml": "toml", "a.htm": "html", "a.MD": "markdown", "a.rst": "rst", "a.txt": "", "Makefile": "",
        "a.unheard-of": "", ".py": "", "a.py.bak": "",
    }  # fmt: skip
    assert {path: parse(path, b"words").language for path in languages} == languages


def test_code_has_a_language_and_markup_is_no_code():
    assert {parse(f"a{suffix}", b"x").format for suffix in (".cxx", ".cjs", ".hh", ".tf")} == {"code"}
    assert parse("a.xhtml", b"x").format == "html"


# --- YAML ------------------------------------------------------------------------------------------


def test_front_matter_becomes_fields_and_words_that_find_the_document_but_no_text():
    document = front("Title: On loops\nauthor: Ann\ntags: [a, 'B c']\ndraft: true\nversion: 2\nratio: 0.5")
    assert dict(document.fields) == {
        "title": ("On loops",), "author": ("Ann",), "tags": ("a", "B c"), "draft": (True,), "version": (2.0,),
        "ratio": (0.5,),
    }  # fmt: skip
    assert document.text == "\n# Heading\n"
    assert document.names == ("2", "a", "0.5", "Ann", "B c", "On loops")
    assert [heading.title for heading in document.headings] == ["Heading"]
    assert (document.title, document.notes) == ("On loops", ())


def test_dates_and_times_are_iso_texts_and_numbers_in_quotes_are_texts():
    yaml = "a: 2024-01-31\nb: 2001-12-14 21:59:43 -5\nc: 12:30\nd: '12'\ne: 2024-02-30\nf: 010"
    assert fields_of(yaml) == {
        "a": ("2024-01-31",), "b": ("2001-12-14T21:59:43-05:00",), "c": ("12:30",), "d": ("12",),
        "e": ("2024-02-30",), "f": (8.0,),
    }  # fmt: skip


def test_nested_mappings_are_joined_with_dots_and_null_is_nothing():
    assert fields_of("Site:\n  Owner:\n    name: Ann\n  url:\n  langs: [en, ~, de]\n1: x") == {
        "site.owner.name": ("Ann",),
        "site.langs": ("en", "de"),
        "1": ("x",),
    }


def test_block_texts_are_folded_and_a_folded_title_is_the_title():
    document = front("title: >\n  Two\n  lines\nabstract: |\n  a\n  b")
    assert (document.title, document.fields["abstract"]) == ("Two lines", ("a\nb",))


def test_lists_within_lists_are_one_list_and_mappings_in_them_have_names():
    document = front("a: [1, [2, 3], {b: 4}]\nrelated: [[Note]]")
    assert dict(document.fields) == {"a": (1.0, 2.0, 3.0), "a.b": (4.0,), "related": ("Note",)}
    assert document.notes == ()


@pytest.mark.parametrize("yaml", ["title: On: loops", "just prose", f"a: {'x' * 2_000}", "a: !x 1", "- a"])
def test_front_matter_that_cannot_be_kept_as_fields_stays_text(yaml):
    document = front(f"{yaml}")
    assert (document.text, document.names) == (f"---\n{yaml}\n---\n\n# Heading\n", ())


def test_words_of_fields_find_the_document_or_stay_in_its_text():
    assert front("version: 1.10\npages: 0x1F").names == ("0x1F", "1.10")  # as they are written
    assert front(f"a: {'x ' * 300}\nb: {'y ' * 150}").text == "\n# Heading\n"
    long = f"a: {'x ' * 300}\nb: {'y ' * 300}"
    assert front(long).text == f"---\n{long}\n---\n\n# Heading\n"
    assert front("draft: true").text == "\n# Heading\n"


def test_tags_in_one_text_are_a_list():
    assert fields_of("tags: rye, dark bread;oven\nkeywords: a\ncategories: ['b, c', d]") == {
        "tags": ("rye", "dark bread", "oven"), "keywords": ("a",), "categories": ("b, c", "d"),
    }  # fmt: skip
    page = b'<meta name="Keywords" content="rye, dark bread">x'
    assert dict(parse("a.html", page).fields) == {"keywords": ("rye", "dark bread")}


def test_front_matter_alone_stays_text():
    assert parse("a.md", b"---\na: 1\n---\n\n").text == "---\na: 1\n---\n\n"
    assert parse("a.md", b"---\na: 1\n---\n\nb").text == "\nb"


@pytest.mark.parametrize("body", ["", "# only a comment", "just prose", "- a\n- b", "42", "Prose: so: it is"])
def test_yaml_that_is_not_a_mapping_has_no_fields_and_no_note(body):
    document = front(f" {body}")
    assert (dict(document.fields), document.notes) == ({}, ())


def test_a_rule_with_a_blank_line_below_begins_no_front_matter():
    document = parse("a.md", b"---\n\n# One\n\na: 1\n\n---\n\n# Two\n")
    assert [heading.title for heading in document.headings] == ["One", "Two"]
    assert (dict(document.fields), document.notes) == ({}, ())


def test_broken_yaml_costs_its_fields_and_says_where():
    document = front("title: On: loops\nauthor: Ann")
    assert dict(document.fields) == {}
    assert document.notes == ("front matter is not YAML (line 2): its fields are left out",)
    assert document.title == "On: loops"


def test_windows_line_ends_and_marks_change_nothing():
    document = parse("a.md", b"\xef\xbb\xbf---\r\nauthor: Ann\r\ntags:\r\n- a\r\n---\r\ntext")
    assert dict(document.fields) == {"author": ("Ann",), "tags": ("a",)}


# --- hostile YAML -----------------------------------------------------------------------------------


def test_tags_run_nothing(tmp_path):
    marker = tmp_path / "ran"
    document = front(f"""a: !!python/object/apply:os.system ["touch {marker}"]
b: !!python/name:os.system
c: !!python/object/new:subprocess.Popen [[touch, {marker}]]
d: !custom text
e: !!int "12"
f: !!str 12
g: !!binary aGk=
h: kept""")
    assert not marker.exists()
    assert document.fields["h"] == ("kept",)
    assert document.fields["f"] == ("12",)
    assert not document.fields.keys() & {"b", "d", "e", "g"}
    assert len(document.notes) == 1


ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)
)
MERGES = "a0: &a0 {x: 1}\n" + "\n".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12)
)
MAPPINGS = "a0: &a0 {}\n" + "\n".join(
    f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}" for i in range(1, 12)
)


@pytest.mark.parametrize("yaml", [
    ALIASES, MERGES, MAPPINGS, "a: &a {b: *a}", 'a: &a {"": *a}', "a: &a [*a]", "&a {a: *a, b: 1}",
    "a: " + "[" * 30_000, "a: " + "{a: " * 9_000, "\n".join(" " * i + f"a{i}:" for i in range(300)),
    "a: " + "9" * 6_000, "? " * 20_000, "a: *nowhere", 'a: "\\UFFFFFFFF"', "a: !!int ''", "a: 0b_", "a: .nan",
    "a: !!timestamp x", "a: !!bool x", "%YAML 9.9", "a: 1e999", "\t", "a: &a &b c", "? [a]\n: b",
    "? {a: b}\n: c",
    "<<: {a: 1}", "=: 1", "a: =", "a: 0x", "a: 1__", "a: 0o8", "a: -.inf", "!!set {a, b}", "!!omap [a: 1]",
    "a: 0001-01-01 00:00:00 +23:00", "a: 9999-12-31 23:59:59 -23:00", "a: 2001-12-14t21:59:60Z",
])  # fmt: skip
def test_nothing_hostile_fails_or_takes_long(yaml):
    start = time.process_time()
    document = front(yaml)
    assert time.process_time() - start < 5
    assert sum(map(len, document.fields.values())) <= 200
    assert document.text.endswith("# Heading\n")


def test_aliases_of_plain_values_are_those_values():
    assert fields_of("a: &x Ann\nb: *x\nc: [*x, Bob]") == {"a": ("Ann",), "b": ("Ann",), "c": ("Ann", "Bob")}


def test_values_names_and_their_number_have_bounds_and_notes():
    document = front("long: " + "x" * 1_500 + "\n" + "n" * 101 + ": 1\nmany: [" + "1, " * 250 + "]")
    assert {name: len(values) for name, values in document.fields.items()} == {"long": 1, "many": 199}
    assert document.fields["long"] == ("x" * 1_000,)
    assert document.notes == (
        "metadata: 52 left out, too many, too deep or not plain values",
        "metadata: 1 cut to 1,000 characters",
    )


def test_front_matter_of_more_than_64_kb_is_not_read():
    document = front("a: 1\nb: " + "x" * 70_000)
    assert dict(document.fields) == {}
    assert document.notes == ("front matter of more than 64 KB: its fields are left out",)
    assert [heading.title for heading in document.headings] == ["Heading"]


def test_no_half_characters_and_no_nul_reach_a_field():
    fields = fields_of('a: "x\\ud800\\0"\n"\\ud800": y')
    assert fields == {"a": ("x\ufffd\ufffd",), "\ufffd": ("y",)}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([
    "a: ", "b:\n  ", "- ", "[", "]", "{", "}", "&x ", "*x", "!!python/name:os ", "!!int ", "'", '"', "|\n",
    "\n", ">-\n", "? ", ": ", "<<: ", ", ", "1", "2024-01-01", "yes", "~", "# c", "\t", "\\U0011", "%", "@",
    "é", "\x85", "\x07", "0x", "1:30", ".inf", "x",
]), max_size=25))  # fmt: skip
def test_any_front_matter_is_read_or_noted_and_values_are_plain(parts):
    document = front("a: 1\n" + "".join(parts))
    for name, values in document.fields.items():
        assert name == name.lower() != ""
        assert all(type(value) in (str, float, bool) for value in values)


# --- TOML -------------------------------------------------------------------------------------------

needs_tomllib = pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no tomllib yet")


def toml(text: str):
    return parse("a.md", f"+++\n{text}\n+++\n# Heading\n".encode())


@needs_tomllib
def test_toml_between_plus_signs_becomes_fields_and_its_comments_no_headings():
    document = toml(
        '# Comment\ntitle = "On loops"\ndate = 2024-01-31\ntags = ["a", "b"]\nn = 2\n[params]\nDraft = false'
    )
    assert dict(document.fields) == {
        "title": ("On loops",), "date": ("2024-01-31",), "tags": ("a", "b"), "n": (2.0,),
        "params.draft": (False,),
    }  # fmt: skip
    assert [heading.title for heading in document.headings] == ["Heading"]
    assert document.title == "On loops"


@needs_tomllib
@pytest.mark.parametrize("text", ["a = ", "a = " + "[" * 20_000, "a = 1\na = 2", "a = 0001-99-99"])
def test_broken_toml_costs_its_fields(text):
    document = toml(text)
    assert dict(document.fields) == {}
    assert "its fields are left out" in document.notes[0]


@needs_tomllib
def test_tables_in_lists_have_the_names_of_both():
    document = toml("a = [[1], {b = 2}, 3]\n[[c]]\nd = 1")
    assert dict(document.fields) == {"a": (1.0, 3.0), "a.b": (2.0,), "c.d": (1.0,)}


# --- HTML and reStructuredText -----------------------------------------------------------------------


def test_meta_tags_and_the_title_of_a_page_are_fields():
    page = (
        b"<html><head><title>On &amp; off</title><META NAME='Author' content=\"Ann &lt;3\">"
        b"<meta charset=utf-8><meta content=plain name=rating /><meta name=keywords content='a, b c,, d'>"
        b"<meta property=og:x content=y><meta name=empty content=''></head><body>"
        b"words<template><p>x</template></body></html>"
    )
    document = parse("a.html", page)
    assert dict(document.fields) == {
        "author": ("Ann <3",), "rating": ("plain",), "keywords": ("a", "b c", "d"), "title": ("On & off",),
    }  # fmt: skip
    assert document.text == "words"


def test_a_page_of_meta_tags_is_bounded():
    start = time.process_time()
    document = parse(
        "a.html", b"<meta name=a content=b>" * 20_000 + b"<meta name='" + b"x" * 100_000 + b"'>words"
    )
    assert time.process_time() - start < 5
    assert len(document.fields["a"]) == 200
    assert document.notes == ("metadata: 19800 left out, too many, too deep or not plain values",)


def test_field_lists_at_the_top_of_rst_are_fields():
    text = ".. comment\n   more\n\n:orphan:\n:Author: Ann\n   and Bob\n:date: 2024\n\nText\n\n:not: this\n"
    assert dict(parse("a.rst", text.encode()).fields) == {
        "orphan": ("",), "author": ("Ann and Bob",), "date": ("2024",),
    }  # fmt: skip


def test_docinfo_stands_below_the_title():
    top = ":tocdepth: 2\n\n.. _label:\n\n=====\nTitle\n=====\n\n"
    text = f"{top}:Author: Ann\n:Version: 2\n\nSub\n---\n\n:no: x\n"
    document = parse("a.rst", text.encode())
    assert dict(document.fields) == {"tocdepth": ("2",), "author": ("Ann",), "version": ("2",)}
    assert (document.title, document.names) == ("Title", ("2", "Ann"))
    assert document.text == "\n.. _label:\n\n=====\nTitle\n=====\n\n\nSub\n---\n\n:no: x\n"


def test_the_directive_meta_is_fields_and_a_field_may_be_the_title():
    text = ".. meta::\n   :description: On rye\n   :keywords: dark, oven\n\n:Title: Bread\n\nText\n"
    document = parse("a.rst", text.encode())
    assert dict(document.fields) == {
        "description": ("On rye",), "keywords": ("dark", "oven"), "title": ("Bread",),
    }  # fmt: skip
    assert (document.text, document.title) == ("\n\nText\n", "Bread")


def test_docinfo_may_be_a_list_and_stays_where_it_is_prose_or_everything():
    document = parse(
        "a.rst", "T\n=\n\n:Authors:\n    - Ann\n    - Bob Ö\n:Tags: rye, oven\n\nText\n".encode()
    )
    assert dict(document.fields) == {"authors": ("Ann", "Bob Ö"), "tags": ("rye", "oven")}
    assert document.text == "T\n=\n\n\nText\n"
    abstract = f":Abstract: {'Rye ' * 60}\n"
    assert parse("a.rst", f":Date: 1\n{abstract}\nText\n".encode()).text == f"{abstract}\nText\n"
    alone = b"T\n=\n\n:Author: Ann\n"
    assert parse("a.rst", alone).text == alone.decode()


@pytest.mark.parametrize("unit", [":a:\n", ".. a\n", ".. a\n \n", " \n", ":a: b\n  c\n", ":", ".. \n\n"])
def test_a_megabyte_of_any_field_list_takes_linear_time(unit):
    start = time.process_time()
    parse("a.rst", (unit * (1_000_000 // len(unit))).encode())
    assert time.process_time() - start < 8


@pytest.mark.parametrize("top", [".. note:: x\n", ".. a\n b\n", ":a: b\n", ":a: b\n c\n", ""])
@pytest.mark.parametrize("blank", [" ", "\t", " \t", "\v", "\u3000"])
def test_200_kilobytes_of_blanks_at_the_end_take_linear_time(top, blank):
    start = time.process_time()
    parse("a.rst", (top + blank * (200_000 // len(blank)) + "end").encode())
    assert time.process_time() - start < 5  # about 0.1 s; half a minute, if quadratic


def test_text_and_code_have_no_fields():
    for path in ("a.txt", "a.py", "a.yaml"):
        assert dict(parse(path, b"---\na: 1\n---\n").fields) == {}


# --- imports ------------------------------------------------------------------------------------------


def test_only_front_matter_imports_yaml():
    program = (
        "import sys; from minisearch.parsers import parse\n"
        "parse('a.md', b'# words'), parse('a.html', b'<meta name=a content=b>')\n"
        "assert 'yaml' not in sys.modules and 'tomllib' not in sys.modules\n"
        "parse('a.md', b'---\\na: 1\\n---\\n')\n"
        "assert 'yaml' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
