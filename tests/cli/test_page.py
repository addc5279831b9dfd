"""How results look: the lines around the evidence, places, links, scores, and hostile texts."""

from __future__ import annotations

import csv
import dataclasses
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.cli.page import as_csv, as_markdown, page
from minisearch.cli.passage import INDENT, PASSAGE_LINES, highlighted, shared
from minisearch.cli.terminal import Terminal, width
from minisearch.results import Evidence, Place, Query, SearchResult, SearchResults, Trace, full_heading

STYLED = Terminal(80, has_styles=True)
JAPANESE = (
    "パンを焼く前に、生地を一晩冷蔵庫で休ませる。こうすると酵母がゆっくり働き、味が深くなる。翌朝、生地を"
    "室温に戻してから成形する。オーブンは二百三十度に予熱しておく。"
)


def result(text: str = "Run a failed task again.", sentence: str = "", **changes: object) -> SearchResult:
    """A result; its evidence is ``sentence``, at line 7, column 3."""
    evidence = None
    if sentence:
        start = text.index(sentence)
        evidence = Evidence(sentence, start, start + len(sentence), 7, 3, 7, 3 + len(sentence), 0.5)
    made = SearchResult(1, 0.4321, "docs/tasks.md", 5, 9, "", text, 1, 1, evidence=evidence)
    return dataclasses.replace(made, **changes)


PLAIN = Terminal(80)


def shown(*hits: SearchResult, terminal: Terminal = PLAIN, asked: str = "", **options: bool) -> str:
    return page(SearchResults(hits, Query(asked)), terminal, **options)


def bold(text: str) -> str:
    """What is bold in what was written to a terminal, without the white space."""
    runs = re.findall("\x1b\\[1(?:;4)?m(.*?)\x1b\\[0m", text, re.DOTALL)
    return "".join("".join(runs).split())


def underlined(text: str) -> list[str]:
    return re.findall("\x1b\\[(?:1;)?4m(.*?)\x1b\\[0m", text)


def test_a_file_that_has_changed_or_is_gone_is_named_with_the_cure_below_the_page() -> None:
    changed, gone = result(file_state="changed"), result(file_state="deleted", path="b.md")
    lines = shown(changed, gone, result(file_state="unchanged"), remark="(note)").splitlines()
    assert lines[:2] == [" 1  0.432  docs/tasks.md:5", "    changed since it was indexed"]
    assert lines[4:6] == [" 1  0.432  b.md:5", "    no longer exists"]
    assert lines[8:10] == [" 1  0.432  docs/tasks.md:5", "    Run a failed task again."]
    assert lines[11:] == [
        "(files have changed: minisearch index updates the index, query --refresh does so",
        "first)",
        "",
        "(note)",
    ]
    assert "changed" not in shown(result(file_state="unchanged"), result())


# --- hostile texts ---------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.text(min_size=1, max_size=60), st.integers(24, 60))
def test_no_control_character_of_a_file_reaches_the_terminal(name: str, text: str, columns: int) -> None:
    hit = result(text, path=name, heading=name, title=text, merged=(Place(name, 1, 2, 3),))
    written = shown(hit, terminal=Terminal(columns, has_styles=True), asked=text, whole=True, why=True)
    ours = re.sub("\x1b\\[[0-9;]*m", "", written)
    allowed = {"\n", "\u200c", "\u200d"}
    assert all(char.isprintable() or char in allowed or char.isspace() for char in ours)
    assert not {char for char in ours if char < " "} - {"\n"}


def test_a_line_break_in_a_file_name_is_escaped() -> None:
    hit = result(path="a.md:1\n 2  0.999  trusted.md", heading="h\n\t1", merged=(Place("b\nc", 1, 2, 3),))
    lines = shown(hit).splitlines()
    assert [line.strip() for line in lines] == [
        r"1  0.432  a.md:1\n 2  0.999  trusted.md:5",
        r"h\n\t1",
        "Run a failed task again.",
        r"also: b\nc:1",
    ]


@pytest.mark.parametrize("columns", [24, 40, 80, 110])
def test_no_line_of_a_page_is_wider_than_the_terminal(columns: int) -> None:
    text = f"{JAPANESE}\n\n" + "Plain words of several lengths, one after another. " * 12
    hit = result(text, "翌朝、生地を室温に戻してから成形する。", heading="長い見出し " * 9, relevance=0.5)
    found = SearchResults((hit,), Query("w " * 90, ("phrase " * 20,)), is_confident=False, plan="scan")
    for whole in (False, True):
        lines = page(found, Terminal(columns), whole=whole, why=True).splitlines()
        first = "No clear answer found. Closest passages (best match 50%):"
        assert all(width(line) <= max(columns, len(first)) for line in lines)


# --- the passage around its evidence ---------------------------------------------------------------

SENTENCES = [
    f"Sentence number {n} says something of its own, at some length, about matter {n}." for n in range(20)
]
LONG = " ".join(SENTENCES)


@pytest.mark.parametrize("columns", [24, 40, 80])
@pytest.mark.parametrize("number", [0, 1, 7, 18, 19])
def test_the_sentence_that_matched_is_among_the_lines_shown(number: int, columns: int) -> None:
    hit = result(LONG, SENTENCES[number])
    written = shown(hit, terminal=Terminal(columns, has_styles=True))
    passage = written.splitlines()[1:]
    assert len(passage) == PASSAGE_LINES
    assert "".join(SENTENCES[number].split()).startswith(bold(written))
    assert len(bold(written)) > 40
    assert passage[0].startswith("  … ") == (number > (columns == 80))
    if columns == 80:
        assert passage[-1].endswith(" …") == (number < 18)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(LONG) - 1), st.integers(1, 300), st.integers(24, 100))
def test_exactly_the_evidence_is_bold(start: int, length: int, columns: int) -> None:
    evidence = dataclasses.replace(result(LONG, LONG).evidence, start=start, end=start + length)
    hit = result(LONG, evidence=evidence)
    written = shown(hit, terminal=Terminal(columns, has_styles=True), whole=True)
    assert bold(written) == "".join(LONG[start : start + length].split())


def test_evidence_is_marked_across_lines_that_its_author_wrapped() -> None:
    sentence = "Clear the failed task in the grid view to run it again, once its\ncause is known."
    text = f"# Tasks\n\nIt is worth knowing that a retried run keeps all of its logs, too.\n{sentence}\n"
    written = shown(result(text, sentence, title="Tasks"), terminal=STYLED)
    assert bold(written) == "".join(sentence.split())
    assert "once its \x1b[0m" not in written
    assert "\x1b[1monce its cause is known.\x1b[0m" in written or "its cause is known.\x1b[0m" in written


def test_marks_stay_with_their_letters_behind_control_characters_and_tabs() -> None:
    text = "\x1b[31mred\x07\tif failed:\r\n\tretry()\r\nend"
    written = shown(result(text, "retry()"), terminal=STYLED)
    assert "\x1b[1mretry()\x1b[0m" in written
    assert r"\x1b[31mred\x07" in written
    assert r"\r" not in written, "what ends a line is no part of it"


def test_a_repeated_heading_is_left_out_unless_it_is_the_evidence() -> None:
    text = "# Tasks\n\n## Retrying\n\nRun it again."
    headed = result(text, heading="Tasks > Retrying")
    assert shown(headed).splitlines()[1:] == [f"{INDENT}Tasks > Retrying", f"{INDENT}Run it again."]
    assert (
        bold(shown(result(text, "## Retrying", heading="Tasks > Retrying"), terminal=STYLED)) == "##Retrying"
    )


def test_a_document_without_headings_is_shown_with_its_title() -> None:
    assert shown(result(title="About tasks")).splitlines()[1] == f"{INDENT}About tasks"


def test_the_title_of_the_document_goes_before_its_headings_once() -> None:
    assert shown(result(title="Tasks", heading="Retry")).splitlines()[1] == f"{INDENT}Tasks > Retry"
    assert shown(result(title="Tasks", heading="tasks > Retry")).splitlines()[1] == f"{INDENT}tasks > Retry"


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("how do I retry a failed task", "Retrying tasks that fail: how to", ["Retrying", "tasks", "fail"]),
        ("caching", "Cache; the cached caches. Cacheus", ["Cache", "cached", "caches"]),
        ("the of and", "the end of the road and back", []),
        ("STRASSE", "Die Straße, die straße.", ["Straße", "straße"]),
        ("酵母の働き", "酵母がゆっくり働き、味", ["酵母", "働き"]),
        ("検索エンジン", "全文検索", ["検索"]),
        ("味", "味、深", ["味"]),
        ("naïve C3", "A naïve c3 C32", ["naïve", "c3"]),
        ("Lodz cafe", "In Łó\u00addź, a cafe\u0301.", ["Łó\u00addź", "cafe\u0301"]),
        ("отчет", "Отчёт готов", ["Отчёт"]),
        ("ประชุม", "การประชุมใหญ่", ["ปร", "ระ", "ะช", "ชุ", "ุม"]),
        ("", "nothing", []),
    ],
)
def test_the_queries_words_are_found_in_their_forms(query: str, text: str, marked: list[str]) -> None:
    assert [text[start:end] for start, end in shared(text, [query])] == marked


def test_words_are_underlined_within_the_evidence_and_outside_of_it() -> None:
    hit = result("A task. Retry the task now.", "Retry the task now.")
    written = shown(hit, terminal=STYLED, asked="retry task")
    assert underlined(written) == ["task", "Retry", "task"]
    assert bold(written) == "Retrythetasknow."


def test_concepts_that_pull_are_underlined_and_those_that_push_are_not() -> None:
    query = Query("bread", steers=(("crust", 1.0), ("yeast", -1.0)))
    written = page(SearchResults((result("bread crust yeast"),), query), STYLED)
    assert underlined(written) == ["bread", "crust"]


def test_the_words_of_a_whole_passage_are_not_underlined() -> None:
    assert underlined(shown(result("task"), terminal=STYLED, asked="task")) == ["task"]
    assert underlined(shown(result("task"), terminal=STYLED, asked="task " * 60)) == []


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_can_be_marked(text: str, query: str) -> None:
    marked = highlighted(text, words=[query], evidence=(0, 3))
    assert (marked.text, len(marked.marks)) == (text, len(text))


# --- places and links ------------------------------------------------------------------------------


def test_the_place_of_a_result_is_that_of_its_evidence_or_its_passage() -> None:
    assert shown(result("Run. Stop.", "Stop.")).splitlines()[0] == " 1  0.432  docs/tasks.md:7:3"
    assert shown(result()).splitlines()[0] == " 1  0.432  docs/tasks.md:5"


def test_relevance_takes_the_place_of_the_score_as_a_percentage() -> None:
    assert shown(result(relevance=0.874)).startswith(" 1   87%  docs/tasks.md:5")


def test_a_link_opens_the_file_at_the_line_where_the_terminal_can() -> None:
    hit = result("Run. Stop.", "Stop.", path="a dir/50%;\x1b\\é.md")
    target = f"{os.getcwd()}/a%20dir/50%25%3B%1B%5C%C3%A9.md"
    for link, expected in [
        ("file://{host}{path}", f"file://{os.uname().nodename}{target}"),
        ("file://{host}{path}#{line}", f"file://{os.uname().nodename}{target}#7"),
        ("vscode://file{path}:{line}:{column}", f"vscode://file{target}:7:3"),
    ]:
        first = shown(hit, terminal=Terminal(80, True, link)).splitlines()[0]
        assert first.startswith(f" 1  0.432  \x1b]8;;{expected}\x1b\\\x1b[36ma dir/50%;\\x1b\\é.md:7:3")
        assert first.endswith("\x1b]8;;\x1b\\")
        assert first.count("\x1b") == 6


def test_merged_places_are_listed_and_many_of_them_counted() -> None:
    merged = tuple(Place(f"docs/copy{n}.md", n, n, n) for n in range(1, 8))
    assert shown(result(merged=merged[:2])).splitlines()[-1] == "    also: docs/copy1.md:1; docs/copy2.md:2"
    lines = shown(result(merged=merged), terminal=Terminal(44)).splitlines()
    assert lines[2:] == [
        "    also: docs/copy1.md:1; docs/copy2.md:2;",
        "          docs/copy3.md:3; docs/copy4.md:4;",
        "          docs/copy5.md:5; docs/copy6.md:6 and 1 more",
    ]


def test_a_path_is_named_once_with_its_lines_or_pages() -> None:
    def also(path: str, *places: tuple[str, int, int | None]) -> str:
        merged = tuple(Place(name, line, line, n, page) for n, (name, line, page) in enumerate(places))
        return shown(result(path=path, line=1, merged=merged)).splitlines()[-1].strip()

    assert also("a.md", ("b.md", 9, None), ("a.md", 7, None), ("b.md", 3, None)) == "also: line 7; b.md:3, 9"
    assert also("a.md", ("a.md", 30, None), ("a.md", 4, None)) == "also: lines 4, 30"
    assert also("a.pdf", ("a.pdf", 30, 4), ("b.pdf", 4, 2), ("a.pdf", 60, 9)) == "also: p. 4, 9; b.pdf p. 2"
    assert also("a.md", ("b.docx", 30, None), ("b.docx", 4, None)) == "also: b.docx paragraph 4, 30"
    assert also("a.docx", ("a.docx", 30, None)) == "also: paragraph 30"
    assert also("a.md", ("b.epub", 30, None), ("b.epub", 4, None)) == "also: b.epub"
    assert "also" not in also("a.epub", ("a.epub", 30, None))


def test_equal_places_are_listed_once_without_that_of_the_result() -> None:
    merged = [Place("a.xlsx", n, n, n, page) for n, page in [(8, 1), (9, 2), (10, 2), (11, 1)]]
    merged += [Place("a.txt", 1, 1, n) for n in (12, 13)]
    lines = shown(result(path="a.xlsx", page=1, merged=tuple(merged))).splitlines()
    assert lines[-1] == "    also: sheet 1, row 8, 11; sheet 2, row 9, 10; a.txt:1"
    assert "also" not in shown(result(path="a.txt", line=1, merged=tuple(merged[4:])))
    at_evidence = Place("docs/tasks.md", 7, 7, 14)
    assert "also" not in shown(result("Run.", "Run.", merged=(at_evidence,)))


def test_output_that_is_not_a_terminal_is_plain_text() -> None:
    assert "\x1b" not in shown(
        result("Run. Stop.", "Stop.", merged=(Place("a", 1, 1, 1),)), asked="run", why=True
    )


def test_a_remark_is_dim_and_last() -> None:
    lines = page(SearchResults((result(),), Query("q")), STYLED, remark="(so it is)").splitlines()
    assert lines[-2:] == ["", "\x1b[2m(so it is)\x1b[0m"]


# --- pages of files that are no text ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "page_number", "place"),
    [
        ("a/paper.pdf", 12, "a/paper.pdf p. 12"),
        ("TALK.PPTX", 3, "TALK.PPTX slide 3"),
        ("sums.xlsx", 1, "sums.xlsx sheet 1, row 7"),
        ("book.epub", 9, "book.epub"),
        ("letter.docx", None, "letter.docx paragraph 7"),
        ("mail.eml", None, "mail.eml"),
        ("book.ipynb", 4, "book.ipynb:7:3"),
        ("paper.pdf", None, "paper.pdf:7:3"),
        ("paper.md", 2, "paper.md:7:3"),
    ],
)
def test_a_page_number_is_shown_for_files_without_lines(
    path: str, page_number: int | None, place: str
) -> None:
    hit = result("Run. Stop.", "Stop.", path=path, page=page_number)
    assert shown(hit).splitlines()[0] == f" 1  0.432  {place}"
    also = Place(path, 7, 8, 1, page_number)
    assert shown(result(merged=(also,))).splitlines()[-1] == f"    also: {place.removesuffix(':3')}"


@pytest.mark.parametrize("link", ["file://{host}{path}", "vscode://file{path}:{line}:{column}"])
def test_a_pdf_opens_at_its_page(link: str) -> None:
    hit = result(path="a b.pdf", page=12, merged=(Place("c.pdf", 1, 1, 1, 3), Place("d.pdf", 1, 1, 1)))
    written, host = shown(hit, terminal=Terminal(80, True, link)), os.uname().nodename
    assert f"\x1b]8;;file://{host}{os.getcwd()}/a%20b.pdf#page=12\x1b\\" in written
    assert f"\x1b]8;;file://{host}{os.getcwd()}/c.pdf#page=3\x1b\\" in written
    assert "d.pdf#page" not in written


# --- words left out ---------------------------------------------------------------------------------


def left_out(*excluded: str, terminal: Terminal = PLAIN, is_confident: bool | None = True) -> str:
    """What a page for a question with these words left out begins with, before its first result."""
    found = SearchResults((result(),), Query("rm build", (), excluded), is_confident=is_confident)
    return page(found, terminal).partition("\n\n 1 ")[0]


@pytest.mark.parametrize(
    ("excluded", "said"),
    [
        (["rf"], "Only passages without: rf (--literal treats it as text)"),
        (["rf", "it"], "Only passages without: rf, it (--literal treats them as text)"),
        (["rf", "spelt flour"], 'Only passages without: rf, "spelt flour" (--literal treats them as text)'),
        (["a\x1b[31m\nb"], r'Only passages without: "a\x1b[31m\nb" (--literal treats it as text)'),
        (["酵母"], "Only passages without: 酵母 (--literal treats it as text)"),
    ],
)
def test_excluded_words_are_shown(excluded: list[str], said: str) -> None:
    assert left_out(*excluded) == said


def test_excluded_words_are_dim_and_below_the_warning() -> None:
    styled = left_out("rf", terminal=STYLED, is_confident=False).splitlines()
    assert styled[-1] == "\x1b[2mOnly passages without: rf (--literal treats it as text)\x1b[0m"
    assert "No clear answer found" in styled[0]


def test_many_excluded_words_are_shortened() -> None:
    lines = left_out(*(f"word{number}" for number in range(3_000)), terminal=Terminal(40)).splitlines()
    assert max(map(len, lines)) <= 40
    assert len(lines) <= 9
    assert " ".join(lines).endswith("… (--literal treats them as text)")


def test_words_of_the_query_that_no_passage_has_are_named() -> None:
    found = SearchResults((result(),), Query("bread in kubernetes"), unknown_words=("kubernetes",))
    assert page(found, PLAIN).splitlines()[0] == "No passage has the word: kubernetes"
    several = dataclasses.replace(found, unknown_words=("helm", "a\x1b[31m"))
    assert page(several, PLAIN).splitlines()[0] == r"No passage has the words: helm, a\x1b[31m"


def test_a_query_without_limits_shows_none() -> None:
    query = Query("rm build", (), (), (("crust", -0.5),))
    assert "with" not in page(SearchResults((result(),), query), PLAIN)


def test_required_phrases_are_shown() -> None:
    """A message that was pasted with its quotes may not have meant to require them."""

    def said(*required: str, excluded: tuple[str, ...] = ()) -> str:
        found = SearchResults((result(),), Query("rm build", required, excluded))
        return page(found, PLAIN).partition("\n\n 1 ")[0]

    assert said("exit code") == 'Only passages with: "exit code" (--literal treats it as text)'
    assert (
        said("exit", excluded=("rf",))
        == "Only passages with: exit; without: rf (--literal treats them as text)"
    )


# --- why -------------------------------------------------------------------------------------------


def test_why_shows_the_scores_of_each_step() -> None:
    trace = Trace(2, 0.61, 1, 12.345, 0.931, 4, 8.2149, 0.414, 1.0)
    hit = result("Run. Stop.", "Stop.", trace=trace, relevance=0.87)
    query = Query("stop run", ("stop",), ("rye",), (("oven", -0.5),))
    found = SearchResults((hit,), query, "hybrid", True, "scan", 1234, 30)
    assert page(found, Terminal(80), why=True).splitlines() == [
        "Only passages with: stop; without: rye (--literal treats them as text)",
        "",
        "searched  hybrid: 'stop run'",
        "steered   -0.5 oven",
        "filter    exact scan of the 1,234 passages it leaves",
        "reranked  the first 30; the others follow in their order",
        "",
        " 1   87%  docs/tasks.md:7:3",
        ">   Run. Stop.",
        "    dense     rank 2, cosine 0.610",
        "    lexical   rank 1, BM25 12.35, 41% of a perfect match of the words",
        "    exact     100% of the query's exact tokens or its name",
        "    fused     rank 4, 0.931",
        "    rerank    score 8.215",
        "    evidence  cosine 0.500",
        "    relevance 0.870",
    ]


def test_why_names_a_search_that_did_not_find_the_result() -> None:
    only_words = result(trace=Trace(None, 0.2, 3, 4.0, 0.1))
    assert "    dense     not among the first, cosine 0.200" in shown(only_words, why=True).splitlines()
    only_meaning = result(trace=Trace(1, 0.2, None, None, 0.1))
    assert "    lexical   none of the words" in shown(only_meaning, why=True).splitlines()
    lexical_mode = shown(result(trace=Trace(lexical_rank=1, bm25=4.0)), why=True)
    assert lexical_mode.splitlines()[-1] == "    lexical   rank 1, BM25 4.00"
    assert not {"dense", "fused", "rerank", "filter"} & set(lexical_mode.split())


def test_results_without_a_clear_answer_begin_with_a_warning() -> None:
    hits = (result(relevance=0.42), result(relevance=0.31))
    lines = page(SearchResults(hits, Query("x"), is_confident=False), Terminal(80)).splitlines()
    assert lines[:2] == ["No clear answer found. Closest passages (best match 42%):", ""]
    for is_confident in (True, None):
        assert "clear answer" not in page(SearchResults(hits, is_confident=is_confident), Terminal(80))


# --- CSV and Markdown ------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.text(alphabet=st.characters(exclude_categories=["C"]), max_size=40), st.text("a,\"'\n;= ", max_size=20)
)
def test_a_csv_reader_gives_the_cells_back(name: str, text: str) -> None:
    found = SearchResults((result(text, path=name, title=text), result(rank=2, page=3, relevance=0.5)))
    rows = list(csv.DictReader(as_csv(found, query=text).splitlines(keepends=True)))
    assert [(row["query"], row["path"], row["text"], row["title"]) for row in rows] == [
        (text, name, text, text),
        (text, "docs/tasks.md", "Run a failed task again.", ""),
    ]
    assert [(row["rank"], row["line"], row["page"], row["relevance"]) for row in rows] == [
        ("1", "5", "", ""),
        ("2", "5", "3", "0.5"),
    ]
    assert as_csv(found, has_header=False) == as_csv(found).partition("\n")[2]
    at_evidence = SearchResults((result("Run it again.", "Run it again."),))
    (row,) = csv.DictReader(as_csv(at_evidence).splitlines())
    in_json = at_evidence[0].to_dict()
    assert {name: str(in_json[name]) for name in ("line", "place")} == {
        "line": row["line"],
        "place": row["place"],
    }
    assert row["place"] != f"{row['path']}:{row['line']}", "the place is that of the evidence"
    assert as_csv(SearchResults()) == ""


def test_markdown_has_links_and_quotations() -> None:
    text = "Run it again.\nThen wait."
    hits = (
        result(text, text, path="my docs/ü.md", title="Tasks [1]", heading="A*b", relevance=0.61),
        result(text, rank=2, path="a.pdf", page=3),
    )
    assert as_markdown(SearchResults(hits, is_confident=False), query="again") == (
        "## again\n\n"
        "No clear answer found. Closest passages (best match 61%):\n\n"
        r"1. [Tasks \[1\] > A\*b](my%20docs/%C3%BC.md#L7) my docs/ü.md:7, 61%"
        "\n\n   > Run it again.\n   > Then wait.\n\n"
        "2. [a.pdf](a.pdf#page=3) a.pdf p. 3\n\n   > Run it again.\n   > Then wait.\n"
    )
    assert as_markdown(SearchResults()) == ""


def test_a_title_that_only_repeats_the_name_is_left_out() -> None:
    assert full_heading("to do", "", "notes/to-do.md") == ""
    assert full_heading("to do", "Monday", "notes/to-do.md") == "Monday"
    assert full_heading("Chores", "Monday", "notes/to-do.md") == "Chores > Monday"
