"""HTML that nobody sees is no text: hidden elements, styles, and the first lines of mail programs."""

import random

import pytest

from minisearch.parsers import parse
from minisearch.types import Document
from tests.parsers.anchors import check_anchors, in_source


def page(text: str) -> Document:
    document = parse("a.html", text.encode())
    check_anchors(document)
    return document


@pytest.mark.parametrize("mark", [
    "hidden", "hidden=''", "HIDDEN=hidden", "style='display:none'",
    'style="color:red; DISPLAY : none !important"',
    "style='visibility: hidden'", "style='font-size:0px'", "style='max-height:0;overflow:hidden'",
    "style='mso-hide:all'", "class='a x'", "id=y", "class=z", "class='only'",
])  # fmt: skip
@pytest.mark.parametrize("name", ["p", "div", "span", "section", "h2"])
def test_hidden_elements_are_no_text(mark, name):
    style = "<style>/* .k{display:none} */ .x, #y {display:none}"
    style += "p.z,div.z,span.z,section.z,h2.z{visibility:hidden}"
    style += " @media print {.k{display:none}} .only{display:none}</style>"
    style += "<style media=print>.k{display:none}</style>"
    document = page(f"{style}<p class=k>Seen <{name} {mark}>no <b>not</b><br>either</{name}>too.</p><p>End")
    assert document.text.split() == ["Seen", "too.", "End"]
    assert document.headings == ()
    assert in_source(document, "too").startswith("too.</p>")


@pytest.mark.parametrize("mark", [
    "title='the hidden one'", "aria-hidden=true", "data-hidden", "class=hidden",
    "style='display:block' class=x",
    "hidden=until-found", "class=k", "style='font-size:0.9em'", "style='max-height:0.5em'",
])  # fmt: skip
def test_what_only_looks_hidden_is_text(mark):
    style = "<style>.x{display:none} .k{display:none} .k{display:block} a .k{display:none}</style>"
    assert page(f"{style}<p {mark}>Seen</p>").text == "Seen"


@pytest.mark.parametrize(("html", "text"), [
    ("<ul><li hidden>no<li>a<li>b</ul>", "a b"),
    ("<div><p hidden>no<div>a</div></div>b", "a b"),
    ("<p hidden>no<p>a", "a"),
    ("<table><tr hidden><td>no<td>no<tr><td>a</table>b", "a b"),
    ("<table><tr><td hidden>no<td>a<tr><td>b</table>", "a b"),
    ("<div><span hidden>no</div>a", "a"),
    ("<div hidden>no</i><div>no</div>no</div>a", "a"),
    ("<p hidden>no<img alt='no'><br>no</p><img alt=a>", "a"),
    ("<p>a<img hidden alt=no><input hidden>b", "ab"),
    ("<td style='font-size:0'>no<div style='font-size:14px'>a</div>no</td>", "a"),
    ("<div style='visibility:hidden'>no<b style='visibility:visible'>a</b>no</div>", "a"),
    ("<div hidden>no<b style='visibility:visible'>no</b></div>a", "a"),
    ("<body style='display:none'>a</body>", "a"),
    ("<details><summary>a</summary>b</details><noscript>no</noscript>", "a b"),
    ("<a style='mso-hide:all'>a</a>", "a"),
    ("<template>no<template>no</template>no</template>a", "a"),
])  # fmt: skip
def test_a_hidden_element_ends_where_a_browser_ends_it(html, text):
    assert page(html).text.split() == text.split()


@pytest.mark.parametrize(("html", "text"), [
    ("<ul><li>a<b hidden>no<li>b</ul>c", "a b c"),
    ("<span hidden>no<ul><li>no</span>no</ul></span>a", "a"),
    ("<div hidden>no<ul><li>no</div>a<ul><li>b</ul>", "a b"),
    ("<p hidden>no<ul><li>a</ul>", "a"),
    ("a<div/>b<p hidden/>c", "a b c"),
    ("<b><ul><li>a</b>b</ul>c", "ab c"),
])  # fmt: skip
def test_elements_that_nest_badly_end_where_a_browser_ends_them(html, text):
    assert page(html).text.split() == text.split()


def test_a_note_counts_the_words_that_nobody_sees_from_twenty_on():
    assert page(f"<p>a</p><div hidden>{'no ' * 19}</div>").notes == ()
    (note,) = page(f"<p>a</p><div hidden>{'no ' * 12}<b>{'no ' * 8}</b></div>").notes
    assert note == "hidden words left out: 20"


def test_the_rows_of_a_table_lose_their_hidden_cells():
    document = page(
        "<style>.h{display:none}</style><table><tr><th>Name<th>City</tr>"
        "<tr><td>Ada<b class=h>no</b><td>Paris</tr><tr class=h><td>no<td>no</tr></table>"
    )
    assert document.text == "Name; City\nName: Ada; City: Paris"


def test_words_around_hidden_elements_are_kept_on_random_pages():
    dice = random.Random(6)
    for _ in range(40):
        shown: list[str] = []

        def element(depth: int, *, is_hidden: bool, shown: list[str] = shown) -> str:
            name, hides = dice.choice(["div", "span", "section", "b"]), dice.random() < 0.3
            word = f"w{dice.randrange(10**6)}"
            shown += [word] * (not (is_hidden or hides))
            inner = "".join(element(depth - 1, is_hidden=is_hidden or hides) for _ in range(depth))
            return f" <{name}{' hidden' * hides}>{word} {inner}</{name}>"

        document = parse("a.html", f"{element(3, is_hidden=False)}<p>end".encode())
        assert document.text.split() == [*shown, "end"]


@pytest.mark.parametrize("unit", [
    "<div hidden>", "<p hidden>", "<p hidden></p>", "<style>/*", "<style>{", "<style>a{display:none}</style>",
    "/*", "{", "<b style='", "a,", "</div>", "<li hidden>", "<a id=x class='a b c'>",
])  # fmt: skip
def test_hostile_pages_end(unit):
    for head in ("", "<style>x{display:none}"):
        parse("a.html", (head + unit * (50_000 // len(unit))).encode())
