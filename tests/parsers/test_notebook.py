"""Cells are pages; sources and outputs are in the text in the file's order, mapped to its lines."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.chunking.chunker import chunk
from minisearch.parsers import parse
from minisearch.types import Document
from tests.fakes import WordTokenizer
from tests.parsers.anchors import check_anchors, in_source, line_of


def cell(kind: str, source: str, *outputs: dict, **more: object) -> dict:
    code = {"execution_count": 1, "outputs": list(outputs)} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True), **code, **more}


def stream(text: str) -> dict:
    return {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}


def result(**forms: object) -> dict:
    data = {name.replace("_", "/"): text for name, text in forms.items()}
    return {"data": data, "metadata": {}, "output_type": "execute_result"}


def notebook(*cells: dict, **metadata: object) -> bytes:
    """As Jupyter writes it: an indent of one, keys in order."""
    whole = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False).encode()


def read(*cells: dict, **metadata: object) -> Document:
    return parse("a.ipynb", notebook(*cells, **metadata))


ANALYSIS = (
    cell("markdown", "# Sales\n\nWhat was sold.\n\n## By month"),
    cell(
        "code",
        "total = sum(sales)\nprint(total)",
        stream("42\n"),
        result(text_plain="'ééé'", image_png="iVBO"),
    ),
    cell("raw", ""),
    cell("markdown", "Done, with a [link](x)."),
)


def test_cells_are_pages_and_markdown_cells_give_the_outline():
    document = read(*ANALYSIS, language_info={"name": "Python"})
    assert document.text == (
        "# Sales\n\nWhat was sold.\n\n## By month\n\nOutput:\n42\n\n\n'ééé'\n\n"
        "Code:\ntotal = sum(sales)\nprint(total)\n\nDone, with a [link](x)."
    )
    assert (document.format, document.title, document.language) == ("notebook", "Sales", "python")
    assert [(heading.level, heading.title) for heading in document.headings] == [
        (1, "Sales"),
        (2, "By month"),
    ]
    assert [document.text[heading.start] for heading in document.headings] == ["#", "#"]
    assert document.notes == ("outputs that are not text are left out: 1 image/png",)
    pages = {piece.page for piece in chunk(document, WordTokenizer(), max_tokens=10, overlap_tokens=0)}
    assert pages == {1, 2, 4}  # the third is empty, but counts


def test_every_line_of_a_cell_stands_on_its_line_of_the_file():
    data = notebook(*ANALYSIS)
    document = parse("a.ipynb", data)
    lines = data.decode().split("\n")
    for words in ("# Sales", "What was sold", "## By", "42", "total = ", "print(total)", "Done,"):
        assert words in lines[line_of(document, words) - 1]
    assert in_source(document, "print(total)").startswith('print(total)"\n')
    check_anchors(document)


def test_an_output_that_comes_after_its_code_follows_it():
    data = json.dumps(
        {"cells": [{"cell_type": "code", "source": "1 + 1", "outputs": [result(text_plain="2")]}]}
    )
    assert parse("a.ipynb", data.encode()).text == "1 + 1\n\nOutput:\n2"


def test_a_traceback_is_kept_without_its_colours():
    traceback = ["\x1b[0;31mValueError\x1b[0m: no", "\x1b]8;;x\x07  at <cell 1>\x1b[K"]
    output = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": traceback}
    document = read(cell("code", "f()", output))
    assert document.text == "Output:\nValueError: no  at <cell 1>\n\nCode:\nf()"
    assert in_source(document, "ValueError").startswith("ValueError\\u001b[0m: no")
    check_anchors(document)
    document = read(cell("code", "f()", {**output, "traceback": []}))
    assert document.text == "Output:\nValueError\n\nno\n\nCode:\nf()"


def test_outputs_left_out_are_counted_by_form():
    html = result(text_html="<b>x</b>", application_json="{}")
    both = result(text_html="<b>x</b>", text_plain="x")
    image = cell("markdown", "![](attachment:a.png)", attachments={"a.png": {"image/png": "iVBO"}})
    assert read(cell("code", "f()", html, both), image).notes == (
        "outputs that are not text are left out: 1 application/json, 1 image/png, 1 text/html",
    )


def test_the_language_is_the_kernels():
    assert read(language_info={"name": "R"}).language == "r"
    assert read(kernelspec={"language": "C++", "name": "xcpp"}).language == "cpp"
    assert read().language == ""


def test_a_file_that_is_not_a_notebook_is_read_as_json_or_plain_lines():
    for data in (b"{}", b"[1]", b'{"cells": 3}', b'"cells"'):
        assert parse("a.ipynb", data).notes == ("no cells in it: read as JSON",)
    document = parse("a.ipynb", b'{"cells": [')
    assert (document.format, document.notes) == ("code", ("not JSON (line 1): read as plain lines",))
    assert parse("a.ipynb", b'{"cells": []}').text == ""
    assert parse("a.ipynb", b"").text == ""


# --- against the standard library's parser ---------------------------------------------------------

texts = st.text(st.sampled_from('ab #\n\r\té😀[1m\\"\ud800'), max_size=12)
outputs = st.one_of(
    texts.map(stream), texts.map(lambda text: result(text_plain=text)), st.just({}), st.just(3)
)
cells = st.builds(
    lambda kind, text, out: cell(kind, text, *(out if kind == "code" else [])),
    st.sampled_from(["code", "markdown", "raw"]), texts, st.lists(outputs, max_size=2),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(cells, max_size=4), st.booleans())
def test_every_text_of_every_cell_is_in_the_text_in_order(cells, ascii_only):
    whole = json.dumps({"cells": cells, "metadata": {}}, indent=1, sort_keys=True, ensure_ascii=ascii_only)
    document = parse("a.ipynb", whole.encode("utf-8", "replace"))
    check_anchors(document)
    assert len(document.pages) == len(cells)
    position = 0
    for one in json.loads(whole.encode("utf-8", "replace"))["cells"]:
        outputs = [output for output in one.get("outputs", []) if isinstance(output, dict)]
        printed = [output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs]
        for text in (*map("".join, printed), "".join(one["source"])):
            words = re.sub("[\0\ud800-\udfff]", "\ufffd", text)
            if words.strip():
                assert words in document.text[position:]
                position = document.text.index(words, position) + len(words)


junk = st.recursive(
    st.one_of(st.none(), st.integers(), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(
            ["cells", "worksheets", "source", "outputs", "text", "data", "text/plain", "traceback", "ename",
             "evalue",             "cell_type", "metadata", "attachments", "level"]), inner, max_size=4),
    ),
    max_leaves=15,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(junk)
def test_no_notebook_however_odd_breaks_the_reader(inner):
    check_anchors(
        parse("a.ipynb", json.dumps({"cells": [inner, {"outputs": [inner], "source": inner}]}).encode())
    )
    check_anchors(parse("a.ipynb", json.dumps(inner).encode()))


@pytest.mark.parametrize("source", ["\x1b[", "\x1b]", "# a\n", "\\", "é\n", "\x1b[1m"])
def test_time_is_linear_in_hostile_cells(source):
    data = notebook(cell("markdown", source * 5_000), cell("code", "x", stream(source * 5_000)))
    start = time.process_time()
    parse("a.ipynb", data)
    assert time.process_time() - start < 5


def test_a_depth_of_twenty_thousand_causes_no_recursion():
    for data in (b'{"cells":[' * 20_000, b'{"cells":[' * 20_000 + b"]}" * 20_000):
        assert len(parse("a.ipynb", data).text) <= len(data)
