"""Every key and value of a JSON or JSONL file is in the text, mapped to the file, however broken it is."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.chunking.chunker import chunk
from minisearch.parsers import parse
from minisearch.parsers.json_ import NotJson, tokens
from minisearch.types import Document
from tests.fakes import WordTokenizer
from tests.parsers.anchors import check_anchors, in_source, line_of


def read(text: str, path: str = "a.json") -> Document:
    return parse(path, text.encode())


def is_json(text: str) -> bool:
    try:
        list(tokens(text))
    except NotJson:
        return False
    return True


def test_a_value_stands_with_the_keys_that_lead_to_it():
    document = read('{"a": {"b": {"c": "words", "n": 12}}, "tags": ["x", "y"], "ok": true}')
    assert re.sub("\n+", "\n", document.text) == "a.b.c: words\na.b.n: 12\ntags: x, y\nok: true"
    assert (document.format, document.language, document.notes) == ("json", "json", ())


def test_objects_stand_apart_and_long_values_on_lines_of_their_own():
    assert read('[{"n": "Ada", "b": 1815}, {"n": "Alan"}]').text == "n: Ada\nb: 1815\n\nn: Alan"
    sentence = "This is a sentence of more than forty letters."
    assert read(json.dumps({"p": [sentence, sentence]})).text == f"p: {sentence}\np: {sentence}"
    assert read('{"xy": [[1, 2], [3, 4]]}').text == "xy: 1, 2; 3, 4"


def test_an_empty_container_has_its_key():
    assert read('{"a": {}, "b": [], "c": "", "d": null}').text.split() == [
        "a:",
        "{}",
        "b:",
        "[]",
        "c:",
        "d:",
        "null",
    ]
    assert [read(text).text for text in ("{}", "[]", "3", '"x"', "[[]]")] == ["{}", "[]", "3", "x", "[]"]
    assert read(" \n").notes == ()


def test_strings_are_decoded_and_every_character_keeps_its_place():
    document = read('{"k":\n "a\\u00e9\\n\\ud83d\\ude00\\/ \\ud800 \\u0000 z",\n "é": 1}')
    assert document.text == "k: aé\n😀/ \ufffd \ufffd z\né: 1"
    for words, stands in {
        "é\n": "\\u00e9",
        "😀": "\\ud83d",
        "/": "\\/",
        " z": ' z"',
        "é: 1": 'é": 1',
    }.items():
        assert in_source(document, words).startswith(stands)
    assert [line_of(document, words) for words in ("k", "aé", "z", "é: 1")] == [1, 2, 2, 3]
    check_anchors(document)


def test_duplicate_keys_and_big_numbers_stay_as_they_are():
    number = "123456789" * 600 + ".5e-12345"
    assert read(f'{{"a": 1, "a": 2, "n": {number}}}').text == f"a: 1\na: 2\nn: {number}"


def test_the_title_is_a_top_level_title_or_name():
    assert read('{"name": "n", "title": " A\\nt\\u00eftle ", "x": {"title": "no"}}').title == "A tïtle"
    assert read('{"x": {"title": "no"}, "name": "minisearch"}').title == "minisearch"
    assert read('[{"title": "no"}]').title == read('{"title": 3}').title == ""
    assert read('{"title": "no"}\n{"title": "no"}', "a.jsonl").title == ""


def test_long_keys_are_whole_once_and_cut_where_they_are_repeated():
    key = "k" * 100
    text = read(json.dumps({key: {"a": {"b": 1, "c": 2}}})).text
    assert text.count(key) == 1
    assert text.endswith("k.a.b: 1\n…" + "k" * 57 + ".a.c: 2")
    assert len(max(text.split("\n")[1:], key=len)) < 80


@pytest.mark.parametrize("text, line", [
    ('{"a": 1,}', 1), ('{\n "a": 1 // why\n}', 2), ("{'a': 1}", 1), ('["\\x"]', 1), ('["open', 1),
    ("[1\n\n,]", 3),
    ("words", 1), ("[01]", 1), ("[1]]", 1), ('{"a" 1}', 1),
])  # fmt: skip
def test_a_file_that_is_not_json_is_read_as_plain_lines(text, line):
    document = read(text)
    assert document.text == text
    assert document.notes == (f"not JSON (line {line}): read as plain lines",)


def test_an_object_that_fits_is_never_cut_in_two_and_a_line_that_fits_neither():
    records = [{"id": i, "text": "Word. " * (i * 7 % 24), "more": {"n": i}} for i in range(200)]
    document = read("\n".join(map(json.dumps, records)), "a.jsonl")
    pieces = chunk(document, WordTokenizer(), max_tokens=60, overlap_tokens=10)
    for record in document.text.split("\n\nid: "):
        assert any(record in piece.text for piece in pieces), record
    lines = json.dumps({f"k{i}": "Word. " * (i * 7 % 24) for i in range(200)})
    pieces = chunk(read(lines), WordTokenizer(), max_tokens=60, overlap_tokens=10)
    for line in read(lines).text.split("\n"):
        assert any(line.strip() in piece.text for piece in pieces), line


def test_jsonl_is_read_line_by_line_and_a_broken_line_is_kept():
    text = '{"t": "one"}\r\n\r\n{"t": broken\r\n[1, 2]\r\n"x"\r\n{"t"'
    document = read(text, "a.jsonl")
    assert document.text == 't: one\n\n{"t": broken\n\n1, 2\n\nx\n\n{"t"'
    assert document.notes == ("2 lines are not JSON, the first is line 3: kept unchanged",)
    assert [line_of(document, words) for words in ("one", "broken", "1, 2", "x")] == [1, 3, 4, 5]
    assert read('{"a": 1}\n\n{"a": 2}\n').text == "a: 1\n\na: 2"  # whatever it is called
    assert read('{"a": 1}\n{"a": 2}\n', "a.ndjson").text == "a: 1\n\na: 2"


# --- against the standard library ------------------------------------------------------------------

texts = st.text(st.characters(exclude_characters="\x1b"), max_size=6)  # codes of terminals are left out
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
fragments = st.lists(st.sampled_from([
    "{", "}", "[", "]", ",", ":", '"', '"a"', '"k":', "1", "-0.5e+3", "01", "-", "true", "nul", "NaN",
    "-Infinity",
    " ", "\n", "\r\n", "\\u00e9", "\\ud83d\\ude00", "\\", '\\"', "é", "/* no */", "\t",
]), max_size=16).map("".join)  # fmt: skip


def scalars(value: object) -> list[str]:
    """Keys and plain values in order, as the text should say them."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in (key, *scalars(inner))]
    if isinstance(value, list):
        return [found for inner in value for found in scalars(inner)]
    return [value if isinstance(value, str) else json.dumps(value)]


@settings(max_examples=100, deadline=None)
@given(values, st.sampled_from([None, 1]), st.booleans())
def test_every_key_and_value_is_in_the_text_in_order(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = parse("a.json", text.encode("utf-8", "replace"))
    said, position = " ".join(document.text.split()), 0
    for words in scalars(json.loads(text.encode("utf-8", "replace"))):
        words = " ".join(re.sub("[\0\ud800-\udfff]", "\ufffd", words).split())
        assert words in said[position:]
        position = said.index(words, position) + len(words)
    check_anchors(document)


@settings(max_examples=400, deadline=None)
@given(fragments)
def test_the_standard_library_accepts_the_same_json(text):
    try:
        json.loads(text, strict=False)
    except ValueError:
        assert not is_json(text)
    else:
        assert is_json(text)


@settings(max_examples=100, deadline=None)
@given(fragments, st.sampled_from(["a.json", "a.jsonl"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_no_json_however_broken_breaks_the_reader(text, path, encoding):
    check_anchors(parse(path, text.encode(encoding)))


# --- hostile ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("head, middle, tail", [("[", "1", "]"), ('{"key": ', '"v"', "}")])
def test_what_is_nested_too_deep_is_read_as_plain_lines(head, middle, tail):
    document = read(head * 900 + middle + tail * 900)
    assert document.notes == ()
    assert len(document.text) < 200
    deep = head * 100_000 + middle + tail * 100_000
    assert (read(deep).text, read(deep).notes) == (deep, ("not JSON (line 1): read as plain lines",))


@pytest.mark.parametrize("unit", [
    "[", "{", '{"a":', '"', "\\", '"\\', "[1,", "1", "-", '"a",', '{"a":1}\n', "{\n", '["\\u0041",', " ",
    "\n", ",",
    '"\\ud83d', '[{"abcdefghijklmnopqrstuvwxyz":',
])  # fmt: skip
@pytest.mark.parametrize("path", ["a.json", "a.jsonl"])
def test_time_is_linear_in_hostile_json(unit, path):
    start = time.process_time()
    read(unit * (50_000 // len(unit)), path)
    assert time.process_time() - start < 3
