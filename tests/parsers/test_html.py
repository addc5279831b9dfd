"""HTML: the visible text is that of a browser, mapped to the source, however broken the markup is."""

import html.parser
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch.chunking.positions import Positions
from minisearch.parsers import parse
from minisearch.types import Document


def page(text: str) -> Document:
    return parse("a.html", text.encode())


def test_html_shows_what_a_person_would_see():
    document = page(
        "<!DOCTYPE html><html><head><title>The &amp; title</title><style>b{}</style>\n"
        "<script>if (a<b) '</p>'</script></head><body>\n<h1>Head <em>ing</em></h1><!-- no -->"
        "<p>One\n  para&shy;graph, A&amp;B &lt;tag&gt;.</p>"
        "<ul><li>a<li>b</ul><template>no<template>no</template>no</template><pre>x\n  y</pre>"
        "<table><tr><td>1</td><td>2</td></tr><tr><td>3</table>end<br/>of it</body></html>"
    )
    assert document.title == "The & title"
    assert document.text == (
        "Head ing\n\nOne para\u00adgraph, A&B <tag>.\n\na\nb\n\nx\n  y\n\n1 2\n3\n\nend\nof it"
    )
    assert [(heading.level, heading.title) for heading in document.headings] == [(1, "Head ing")]
    assert document.headings[0].start == 0


def test_html_text_keeps_its_place_in_the_source():
    source = "<p>Caf&eacute;  au\n lait <b>bold</b>&nbsp;&#x1F600;</p>\n<h2 title='a>b'>Über</h2>"
    document = page(source)
    assert document.text == "Café au lait bold\u00a0😀\n\nÜber"
    for word, in_source in {
        "Caf": "Caf",
        "au": "au",
        "lait": "lait",
        "bold": "bold",
        "😀": "&#x1F6",
        "Über": "Über",
    }.items():
        (offset,) = Positions(document).byte_offsets(np.array([document.text.index(word)]))
        assert source.encode()[offset:].startswith(in_source.encode())


def test_a_picture_in_html_says_what_its_author_wrote_of_it():
    source = (
        '<p>see<img src="a.png" alt="a &quot;steam&quot;  engine">here<img alt=""><img alt="7">'
        "<IMG SRC='data:x,%s' ALT='turned > off'/><noscript><img alt='no'></noscript>"
        "<img alt='_images/lemon-cell.svg'>"
        "<img title='x' alt=plain><img data-alt='no'><img alt></p>" % ("A" * 100_000)
    )
    document = page(source)
    assert document.text == 'see a "steam" engine here turned > off plain'
    (offset,) = Positions(document).byte_offsets(np.array([document.text.index("engine")]))
    assert source.encode()[offset:].startswith(b"engine")


@pytest.mark.parametrize(("html", "text"), [
    ("<nav><a href=/>Home</a><a href=/a>About</a></nav>x", "Home About x"),
    ("<nav><div><a>Home</a><a>About</a><span><a>Team</a></span></div></nav>", "Home About Team"),
    ("<nav><span>Home</span><span>About</span></nav>", "Home About"),
    ("<div class=m><a>Home</a><a>About</a></div>", "Home About"),
    ("Pick<select><option>One<option>Two</select>now<button>Send</button>it", "Pick One Two now Send it"),
    ("Name<input name=n>and<textarea>words</textarea>then", "Name and words then"),
    ("<label>Name</label><label>City</label>", "Name City"),
    ("<details><summary>More</summary>text</details>", "More text"),
    ("<dl><dt>a<dd>b<dt>c<dd>d</dl>", "a b c d"),
    ("a<iframe src=x></iframe>b", "a b"),
    ("<span style='display:block'>a</span><span style='display:block'>b</span>c", "a b c"),
    ("<div style='display:flex'><span>a</span><span>b<i>c</i></span></div>", "a bc"),
    ("<style>.row{display:grid} i{display:inline-block}</style><p class=row><b>a</b><b>b</b></p><i>c</i>d",
     "a b c d"),
    ("un<b>broken</b> <i>w</i>or<a>d</a>s<span style='display:inline'>!</span>", "unbroken words!"),
    ("<svg><desc>a</desc><text>b</text><text>c</text></svg><math><mi>d</mi><annotation>e</annotation></math>",
     "a b c d e"),
    ("a<input hidden>b<button style='display:none'>no</button>c", "abc"),
])  # fmt: skip
def test_what_a_browser_draws_apart_is_not_one_word(html, text):
    document = page(html)
    assert document.text.split() == text.split()


@pytest.mark.parametrize(("html", "text", "headings"), [
    ("<nav><a href=/>Home</a><a href=/a/>Oven</a></nav><h1>Rye</h1>Dark.",
     "Home\nOven\n\nRye\n\nDark.", [(2, "N"), (1, "Rye")]),
    ("<h1>Rye</h1>Dark.<div role=navigation><span><a>A</a></span> <span><a>B</a></span></div>And sour.",
     "Rye\n\nDark.\nA\nB\nAnd sour.", [(1, "Rye"), (2, "N"), (2, "")]),
    ("<h1>Rye</h1><h2>Bake</h2>Hot.<aside><h3>More</h3><p><a>Oven</a><p><a>Stone</a></aside>"
     "<footer><ul><li><a>Imprint</a><li><a>Terms</a></ul></footer>",
     "Rye\n\nBake\n\nHot.\n\nMore\n\nOven\n\nStone\n\nImprint\nTerms",
     [(1, "Rye"), (2, "Bake"), (3, "N"), (3, "N"), (3, "")]),
    # No lists of links: prose with links, a title with its author, a list in the content, one link.
    ("<aside>Rye is <a>dark</a> and sour, says Ada.</aside>x", "Rye is dark and sour, says Ada.\n\nx", []),
    ("<header><h2><a>Rye</a></h2><a>Ada</a></header>x", "Rye\n\nAda\n\nx", [(2, "Rye")]),
    ("<main><ul><li><a>Rye</a><li><a>Oats</a></ul></main>", "Rye\nOats", []),
    ("<nav><a>Home</a></nav>x", "Home\n\nx", []),
])  # fmt: skip
def test_lists_of_links_around_the_content_are_sections_of_their_own(html, text, headings):
    document = page(html)
    assert document.text == text
    found = [(one.level, one.title.replace("Navigation links", "N")) for one in document.headings]
    assert found == headings


def test_the_title_of_a_drawing_is_not_that_of_the_page():
    assert page("<svg><title>Menu</title></svg><h1>Rye</h1>x").title == "Rye"
    assert page("<svg><title>Menu</title></svg><title>Rye</title>x").title == "Rye"


def test_nested_lists_of_links_take_linear_time():
    start = time.process_time()
    page("<nav><h2>a</h2><a href=/>b</a>" * 20_000 + "<a>c</a>" * 20_000)
    assert time.process_time() - start < 8


class VisibleWords(html.parser.HTMLParser):
    """The standard library's reading, for pages that are well formed."""

    def __init__(self):
        super().__init__()
        self.words = []

    def handle_data(self, data):
        if self.lasttag not in {"script", "style", "title"} or not self.hidden:
            self.words += data.split()

    def handle_starttag(self, tag, _attributes):
        self.hidden = tag in {"script", "style", "title"}

    def handle_endtag(self, _tag):
        self.hidden = False


def test_html_words_are_those_of_the_standard_library_on_random_pages():
    dice = random.Random(0)
    words = ["word", "&amp;", "&eacute;", "a&lt;b", "über", "&#65;", "x"]
    for _ in range(200):
        source, open_tags = "", []
        for _ in range(dice.randint(1, 40)):
            match dice.randrange(5):
                case 0:
                    open_tags.append(dice.choice(["p", "div", "h2", "li", "td", "section", "ul"]))
                    source += f"<{open_tags[-1]} class='a > b' title=\"it's\">"
                case 1 if open_tags:
                    source += f"</{open_tags.pop()}>"
                case 2:
                    source += dice.choice(
                        ["<!-- <p> -->", "<script>a < '<p>'</script>", "<style>p {}</style>", "<hr>"]
                    )
                case _:
                    source += " " * dice.randint(0, 2) + dice.choice(words) + dice.choice([" ", "\n", "<br>"])
        oracle = VisibleWords()
        oracle.hidden = False
        oracle.feed(source)
        oracle.close()
        assert page(source).text.split() == oracle.words, source


@given(st.text("<>ab/!-&;'\" \nh1", max_size=80))
def test_no_markup_however_broken_breaks_the_html_reader(source):
    document = page(source)
    anchors = document.origin.anchors.text
    assert list(anchors) == sorted(set(anchors))
    assert list(document.origin.anchors.source) == sorted(document.origin.anchors.source)
    assert all(0 <= heading.start < len(document.text) for heading in document.headings)
