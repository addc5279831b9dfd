"""A passage on a page: which lines are put together, where an excerpt is cut, how evidence is marked."""

from __future__ import annotations

import dataclasses
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.cli.passage import PASSAGE_LINES, passage
from minisearch.cli.terminal import Terminal
from minisearch.results import Evidence, Query, SearchResult
from minisearch.search.evidence import best_sentences

PLAIN = Terminal(80)
STYLED = Terminal(80, has_styles=True)

# Long lines that end and begin as those of a wrapped paragraph do.
ONE = "parser.add_argument('--first', help='a long text that explains what it does')"
TWO = "parser.add_argument('--second', help='another text that is as long as that one')"
WRAPPED = ["It is worth knowing that a retried run keeps all of the logs that it had,", "and its name."]
JOINED = "It is worth knowing that a retried run keeps all of the logs that it had, and its name."


def result(text: str, sentence: str = "", path: str = "a.md", title: str = "") -> SearchResult:
    evidence = None
    if sentence:
        start = text.index(sentence)
        evidence = Evidence(sentence, start, start + len(sentence), 1, 1, 1, 1, 0.5)
    return SearchResult(1, 0.5, path, 1, 9, "", text, 1, 1, title=title, evidence=evidence)


def shown(hit: SearchResult, terminal: Terminal = PLAIN, *, whole: bool = True) -> list[str]:
    return list(passage(hit, Query("q"), terminal, whole=whole))


def written(*lines: str, path: str = "a.md", columns: int = 110) -> list[str]:
    """The lines of a whole passage, without the margin."""
    return [line[4:] for line in shown(result("\n".join(lines), path=path), Terminal(columns))]


# --- what keeps its line breaks ---------------------------------------------------------------------


def test_a_paragraph_that_its_author_wrapped_is_put_together() -> None:
    assert written(*WRAPPED) == [JOINED]
    assert written(*WRAPPED, path="LICENSE") == [JOINED]


PROSE = (
    "When you run a playbook, the values of (nested) variables are read, 3 times at most. `Facts` are "
    'gathered first; "magic" variables are set by Ansible itself and cannot be changed. See :ref:`facts` '
    "and [the guide](guide.md) for more, or ask in the forum: somebody will know."
)


@pytest.mark.parametrize("path", ["a.md", "notes.txt", "a.rst", "a.docm", "a.ppsx"])
@pytest.mark.parametrize("columns", [*range(32, 100, 7)])
def test_a_paragraph_wrapped_at_any_width_is_put_together(columns: int, path: str) -> None:
    wrapped = textwrap.wrap(PROSE, columns, break_on_hyphens=False)
    assert written(*wrapped, path=path, columns=400) == [PROSE]
    below = ["", *textwrap.wrap("One more paragraph of only two lines that is wrapped.", columns)[:2]]
    joined = written(*wrapped, *below, path=path, columns=400)
    assert len(joined) == 3, "a short paragraph beside it is wrapped at the same column"


@pytest.mark.parametrize(
    "lines",
    [
        ["Ada Lovelace", "12 St James's Square", "London"],
        ["Roses are red,", "violets are blue,", "sugar is sweet,", "and so are you."],
        ["Name: Ada Lovelace, the first programmer, from London", "Phone: 12", "Fax: none"],
        ["Name: " + "a long name " * 6, "Phone: 12", "Fax: none"],
        ["A line that ends in two spaces is a line break in Markdown, so it stays  ", "and so on."],
        ["> A quotation of a line that is long enough to be taken for a wrapped one,", "> and its end."],
    ],
    ids=lambda lines: lines[0][:12],
)
def test_short_lines_and_lines_with_a_meaning_are_kept(lines: list[str]) -> None:
    assert written(*lines) == [line.rstrip() for line in lines]


@pytest.mark.parametrize(
    "lines",
    [
        [
            "so: nobody worked past midnight, and there was a checklist on paper, and pizza",
            "so: " + "x " * 70,
        ],
        ["a thought that is rather long, and that nobody has ever wrapped by hand " + "so " * 20, "the next"],
        [
            "a short thought of only fifty columns, or of some more",
            "the next one " * 9,
            "and one more thought",
            "the last",
        ],
    ],
)
def test_lines_of_a_note_that_nobody_wrapped_are_kept(lines: list[str]) -> None:
    assert written(*lines, path="note.txt", columns=400) == [line.rstrip() for line in lines]


def test_an_address_does_not_part_a_wrapped_paragraph() -> None:
    lines = ["Nobody has ever measured how long it takes to walk all the", f"way to https://{'x' * 80} on"]
    lines += ["foot, since the road is closed in winter and in the summer", "it is too hot."]
    assert written(*lines, path="note.md", columns=400) == [" ".join(lines)]


def test_lines_of_markup_alone_are_left_out_of_an_excerpt_and_kept_in_the_whole() -> None:
    text = (
        ".. _loops:\n\nLoops\n=====\n\n.. versionadded:: 1.4\n\nRun it until it ends.\n\n"
        ".. code-block:: yaml\n   :caption: An example of it\n\n   until: done\n"
    )
    hit = result(text, path="a.rst", title="Loops")
    assert shown(hit, whole=False) == ["    Run it until it ends.", "       until: done"]
    assert "    .. code-block:: yaml" in shown(hit)
    assert shown(result("# ---\n=====\nx = 1", path="a.py"), whole=False) == [
        "    # ---",
        "    =====",
        "    x = 1",
    ]


def test_a_script_without_spaces_is_put_together_without_one() -> None:
    first, second = "検索" * 15 + "。", "全文" * 15
    assert written(first, second[:20], "short", columns=140) == [first + second[:20], "short"]
    assert written(first, "and Latin", columns=140) == [first + " and Latin"]


@pytest.mark.parametrize(
    "lines",
    [
        ["```python", ONE, TWO, "```"],
        ["~~~", ONE, "```", TWO, "~~~"],
        ["````", "```", ONE, TWO, "```", ONE, TWO, "````"],
        ["    " + ONE, "    " + TWO],
        ["\t" + ONE, "\t" + TWO],
        ["Here is an example::", "", "  " + ONE, "  " + TWO],
        [".. code-block:: python", "", "  " + ONE, "", "  " + TWO],
        ["| a column of a table | " + "x" * 50, "b is without a border | " + "y" * 50],
        ["====== ======", "a  " + " " * 55 + "b", "c  " + " " * 55 + "d", "====== ======"],
        ["- " + "an item of a list " * 4, "- " + "the next item of it " * 4],
        ["1. " + "an item of a list " * 4, "2. " + "the next item of it " * 4],
        [ONE, TWO, "return parser"],
        ["# A heading that is so long that one might take it for a wrapped line", "and its text"],
    ],
    ids=lambda lines: lines[0].strip()[:20],
)
def test_what_is_laid_out_by_hand_keeps_its_lines(lines: list[str]) -> None:
    assert written(*lines) == [line.expandtabs(4).rstrip() for line in lines]
    joined = written(*lines, "", *WRAPPED)
    assert joined[-1] == JOINED, "a paragraph below it is still one"


@pytest.mark.parametrize("path", ["a.py", "A.GO", "a.json", "a.csv", "b/Main.java", "x.unknown"])
def test_lines_of_code_and_data_are_kept(path: str) -> None:
    assert written(*WRAPPED, "", "", ONE, TWO, path=path) == [*WRAPPED, "", "", ONE, TWO]


def test_code_that_began_before_the_passage_keeps_its_lines() -> None:
    assert written(ONE, TWO, "```", "", *WRAPPED) == [ONE, TWO, "```", "", JOINED]


def test_an_item_that_its_author_wrapped_is_put_together_and_hangs_where_it_is_wrapped_anew() -> None:
    lines = written("- " + WRAPPED[0], "  " + WRAPPED[1], "    - nested", columns=60)
    assert lines == [
        "- It is worth knowing that a retried run keeps all of",
        "  the logs that it had, and its name.",
        "    - nested",
    ]


def test_a_long_line_of_code_is_set_in_where_an_excerpt_wraps_it_and_whole_with_full() -> None:
    text = "if x:\n    return compute(the_first_argument, the_second_argument)\nend"
    hit = result(text, path="a.py")
    assert shown(hit, Terminal(44), whole=False) == [
        "    if x:",
        "        return compute(the_first_argument,",
        "          the_second_argument)",
        "    end",
    ]
    assert shown(hit, Terminal(44)) == [f"    {line}" for line in text.splitlines()]


def test_blank_lines_are_left_out_of_an_excerpt_and_kept_within_the_whole() -> None:
    hit = result("\n\none\n\n\ntwo  \n\n")
    assert shown(hit, whole=False) == ["    one", "    two"]
    assert shown(hit) == ["    one", "", "", "    two"]
    assert shown(result(" \n\n")) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([*WRAPPED, ONE, "```", "~~~ x", "    y", "- z", "", "a::", "|", "\t"]), max_size=9
    )
)
def test_a_whole_passage_has_every_word_in_its_order(lines: list[str]) -> None:
    assert " ".join(written(*lines)).split() == " ".join(lines).split()


# --- where an excerpt is cut ------------------------------------------------------------------------

words = st.text("abcdefghij", min_size=1, max_size=10)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=30, max_size=90), st.data(), st.integers(24, 100))
def test_an_excerpt_begins_and_ends_with_a_whole_word(
    given_words: list[str], data: st.DataObject, columns: int
) -> None:
    """Whatever is shown is a stretch of the text's words, and each line fits."""
    text = " ".join(given_words)
    start = data.draw(st.integers(0, len(text) - 1))
    hit = dataclasses.replace(result(text), evidence=Evidence("", start, start + 40, 1, 1, 1, 1, None))
    lines = shown(hit, Terminal(columns), whole=False)
    assert all(len(line) <= columns for line in lines)
    found = " ".join(line.lstrip("> …").removesuffix(" …") for line in lines).split()
    assert any(found == given_words[n : n + len(found)] for n in range(len(given_words)))
    assert len(lines) <= PASSAGE_LINES
    assert lines[0][2] == "…" or found == given_words[: len(found)]
    assert lines[-1].endswith(" …") == (found[-1:] != given_words[-1:] or not text.endswith(" ".join(found)))


def test_japanese_is_cut_between_any_two_characters() -> None:
    text = "全文検索" * 40
    lines = shown(result(text), Terminal(24), whole=False)
    assert lines[-1].endswith(" …")
    assert "".join(line.strip(" …") for line in lines) == text[:39], "20 columns a line, of the last 18"


def test_no_line_above_the_evidence_is_spent_on_a_bracket() -> None:
    text = "First.\n}\nRun it again.\nWait.\nThen stop.\nLast."
    assert shown(result(text, "Run it again.", path="a.go"), whole=False) == [
        "> … Run it again.",
        "    Wait.",
        "    Then stop.",
        "    Last.",
    ]
    assert shown(result(text.replace("}", "Yes"), "Run it again."), whole=False)[0] == "  … Yes"


# --- the mark of the evidence -----------------------------------------------------------------------


def test_without_colour_the_lines_of_the_evidence_and_no_others_begin_with_a_mark() -> None:
    text = "\n".join(f"Line {number} says so." for number in range(6))
    hit = result(text, "Line 1 says so.\nLine 2 says so.", path="a.log")
    assert shown(hit, whole=False) == [
        "    Line 0 says so.",
        ">   Line 1 says so.",
        ">   Line 2 says so.",
        "    Line 3 says so. …",
    ]
    assert [line for line in shown(hit) if line.startswith(">")] == [
        ">   Line 1 says so.",
        ">   Line 2 says so.",
    ]


def test_a_colour_terminal_and_a_passage_without_evidence_get_no_mark() -> None:
    text = "One says so.\nTwo says so."
    assert shown(result(text, "One says so.", path="a.log"), STYLED) == [
        "    \x1b[1mOne says so.\x1b[0m",
        "    Two says so.",
    ]
    assert not any(">" in line for line in shown(result(text)))


def test_the_text_stands_in_the_same_columns_with_and_without_a_mark() -> None:
    hit = result("\n".join(WRAPPED), WRAPPED[1])
    assert [line[4:] for line in shown(hit)] == [line[4:] for line in shown(result(hit.text))]


def test_front_matter_is_above_no_evidence_below_it_and_whole_in_a_whole_passage() -> None:
    text = "---\ntitle: The garden\ntags: [roses]\n---\n\nRoses want sun.\n"
    hit = result(text, "Roses want sun.")
    assert shown(hit, whole=False) == [">   Roses want sun."]
    assert [line[4:] for line in shown(hit)][:4] == ["---", "title: The garden", "tags: [roses]", "---"]


# --- lines that are records --------------------------------------------------------------------------------

EXPENSES = """\
rent january 950 euro
groceries at the market 43.20 euro
new tyres for the bicycle 61 euro
dentist, filling upper left 120 euro
train to Vienna 38 euro
repair of the washing machine 180 euro
winter coat 149 euro"""
LOG = """\
[08:00:01] INFO server started, it listens on port 8080 of all the addresses that it has
[08:03:11] WARN slow query: it took 2300 ms, and the pool of connections was empty for long
[08:07:13] ERROR payment gateway refused the card of customer 4711, who was sent a mail
[08:09:00] INFO user bob logged in from a new address, and the old session was closed
[08:11:00] WARN disk is 91 percent full, of which 40 percent are logs of last year"""


@pytest.mark.parametrize(
    "text", [EXPENSES, LOG, "Name: Ada; Room: 12, which is at the end of the corridor\n" * 3]
)
def test_lines_that_are_records_are_not_joined(text: str) -> None:
    rows = text.splitlines()
    assert written(*rows, path="a.txt") == rows


@pytest.mark.parametrize(
    ("text", "query", "answer"),
    [
        (EXPENSES, "washing machine repair", "repair of the washing machine 180 euro"),
        (LOG, "payment card refused", LOG.splitlines()[2]),
        (LOG, "disk full", LOG.splitlines()[4]),
    ],
)
def test_of_records_the_one_that_answers_is_marked_and_shown(text: str, query: str, answer: str) -> None:
    ((start, end, _),) = best_sentences(query, [text])
    assert text[start:end].strip("[") in answer and answer in text[start - 1 : end]
    assert any(
        answer in line for line in shown(result(text, text[start:end], "a.txt"), Terminal(110), whole=False)
    )


def test_of_long_evidence_the_lines_with_the_words_of_the_query_are_shown() -> None:
    rows = [f"call({number}, {'wanted' if number == 8 else 'other'})" for number in range(12)]
    hit = result("\n".join(rows), "\n".join(rows), "a.py")
    lines = list(passage(hit, Query("wanted"), PLAIN, whole=False))
    assert any("wanted" in line for line in lines)
