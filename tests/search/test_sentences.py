from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.search.sentences import MAX_SENTENCE_CHARACTERS, kinds_of_sentences, sentences


def said(text: str, *, heading: str = "") -> list[str]:
    return [text[start:end] for start, end in sentences(text, heading=heading)]


@pytest.mark.parametrize("text", ["", "  \n\n\t "])
def test_nothing_has_no_sentence(text: str) -> None:
    assert sentences(text) == []


@pytest.mark.parametrize("text", ["word", "---", "...", "| - |"])
def test_anything_else_has_one(text: str) -> None:
    assert said(f"\n {text}\n") == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rains. Stay in! Why? (No.) End", ["It rains.", "Stay in!", "Why?", "(No.)", "End"]),
        ('He said "go." Then he went.', ['He said "go."', "Then he went."]),
        ("Version 1.2 of e.g. this, i.e. 3. Here", ["Version 1.2 of e.g. this, i.e. 3. Here"]),
        ("A wrapped\n  paragraph. Of two\nsentences.", ["A wrapped\n  paragraph.", "Of two\nsentences."]),
        ("One paragraph\n\nAnother", ["One paragraph", "Another"]),
        ("One\r\nstill one\r\n\r\nTwo\r\rThree", ["One\r\nstill one", "Two", "Three"]),
        ("だしは土台である。「水」が要る。」と", ["だしは土台である。", "「水」が要る。」", "と"]),
        ("- one\n- two\n  goes on. Further\n* three", ["one", "two\n  goes on.", "Further", "three"]),
        ("1. first\n2) second\n10. tenth", ["first", "second", "tenth"]),
        ("Er kam\nerst am\n3. Oktober an.", ["Er kam\nerst am\n3. Oktober an."]),
        ("3. Mai ist heute. Er kam.", ["3. Mai ist heute.", "Er kam."]),
        ("1. Mai (the cook) boils\n2. Maine lobster", ["1. Mai (the cook) boils", "Maine lobster"]),
        ("Ask Dr.\nWeber. He knows.\n- Mr. Lee\n- Dr.", ["Ask Dr.\nWeber.", "He knows.", "Mr. Lee", "Dr."]),
        ("> quoted. And\n> more", ["quoted.", "And\n> more"]),
        ("| a | b |\n|---|---|\n| c d | e |", ["c d | e"]),
        ("| a | b |\n| c d | e |", ["a | b", "c d | e"]),
        ("====  ====\nA     B\n====  ====", ["A     B"]),
    ],
)
def test_prose_lists_and_tables(text: str, expected: list[str]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (  # of HTML and spreadsheets: the header is none where there are rows
            "Tariff; Base fee; Notice\nTariff: Basic; Base fee: 9.90; Notice: 4 weeks\n"
            "Tariff: Owl; Base fee: 14.50; Notice: 3 months",
            [
                "Tariff: Basic; Base fee: 9.90; Notice: 4 weeks",
                "Tariff: Owl; Base fee: 14.50; Notice: 3 months",
            ],
        ),
        ("name; city\notter; city: Leiden\nweb; city: Bonn", ["otter; city: Leiden", "web; city: Bonn"]),
        ("name; city", ["name; city"]),
        ("We came late; we\nleft early; it rained.", ["We came late; we\nleft early; it rained."]),
        (
            "E04 Flow too low\nE23 Sensor broken\nIt waits.",
            ["E04 Flow too low", "E23 Sensor broken", "It waits."],
        ),
        ("Have a second source\nBook early", ["Have a second source", "Book early"]),
        ("He wrote to\nMary at once.", ["He wrote to\nMary at once."]),
        ("He wrote to\nMary\nat once.", ["He wrote to\nMary\nat once."]),
        ("Last in 2018, next in 2028.\nAllergic to it.", ["Last in 2018, next in 2028.", "Allergic to it."]),
    ],
)
def test_rows_and_lines_of_lists_without_marks_stand_for_themselves(text: str, expected: list[str]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title\n\nText.", ["Text."]),
        ("# Title\nText.", ["Text."]),
        ("Title\n=====\nText.", ["Text."]),
        ("*****\nTitle\n*****\n\nText.\n\n----\n\nMore.", ["Text.", "More."]),
        ("A paragraph\nof two lines\n\n---\nMore.", ["A paragraph\nof two lines", "More."]),
        ("# Title", ["Title"]),
        ("## One\n### Two", ["One", "Two"]),
        ("Title\n-----", ["Title"]),
        (".. _label:\n\nTitle\n=====\n\n.. contents::\n   :local:\n\nText.", ["Text."]),
    ],
)
def test_headings_are_no_evidence_unless_there_is_nothing_else(text: str, expected: list[str]) -> None:
    assert said(text) == expected


def test_a_plain_heading_is_known_by_the_path_of_titles() -> None:
    text = "Rate limits\n\nThe server says 429."
    assert said(text, heading="Guide > Rate limits") == ["The server says 429."]
    assert said(text, heading="Guide") == ["Rate limits", "The server says 429."]
    assert said("Rate limits", heading="Guide > Rate limits") == ["Rate limits"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Run\nit:\n```sh\n# no title\nls -l\ncat x\n```\nDone\nnow.",
            "Run\nit:|no title|ls -l|cat x|Done\nnow.",
        ),
        (
            "ls x\ncat x\n```\nAfter\nthe cut.",
            "ls x|cat x|After\nthe cut.",
        ),
        (
            "Like\nthis::\n\n    - name: x\n\n      host: y\n\nAnd\nso.",
            "Like\nthis::|name: x|host: y|And\nso.",
        ),
        (
            ".. code-block:: sh\n   :linenos:\n\n   ls -l\n   cat x\n\nAnd\nso on.",
            "ls -l|cat x|And\nso on.",
        ),
        (".. versionadded:: 2.4 It can\n   do so.", "2.4 It can\n   do so."),
        (".. function:: f(x)\n\n   Return x (or\n   more). Or less.", "Return x (or\n   more).|Or less."),
        ("plain\n`````\n\nNames and\npasswords.\n\nmore\n~~~~\n\nOr\nnot.", "Names and\npasswords.|Or\nnot."),
        ("````\n}\nls x\n````\nAfter\nit.", "ls x|After\nit."),
        (
            ".. note::\n   It goes\n   on.",
            "It goes\n   on.",
        ),
        (
            "def f(x):\n    # adds one\n    return x + 1",
            "def f(x):|adds one|return x + 1",
        ),
        (
            "for x in y:\n    foo(x)\n    bar = x",
            "for x in y:|foo(x)|bar = x",
        ),
        (
            "key: value\nother: 1\nlist:\n  - item",
            "key: value|other: 1|list:|item",
        ),
        (
            "int x = 1; // one\nfoo(x);\n}",
            "int x = 1; // one|foo(x);",
        ),
        (
            "It waits\nfor rain\nor (perhaps)\nfor wind it is.",
            "It waits\nfor rain\nor (perhaps)\nfor wind it is.",
        ),
    ],
)
def test_lines_of_code_stand_for_themselves(text: str, expected: str) -> None:
    assert said(text) == expected.split("|")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- Extract a tar archive:\n\n`tar xf {{x}}`", "Extract a tar archive:"),
        ("`tar cf x`\n\n- Extract an archive:\n\n``tar xf x``.", "Extract an archive:"),
        ("> Archiving utility.\n> More information: <https://x.org/tar>.", "Archiving utility."),
        ("It packs.\n\nhttps://x.org/a", "It packs."),
        ("It packs as https://x.org/a says.", "It packs as https://x.org/a says."),
        ("- `-v`: verbose\n- `-q`", "`-v`: verbose"),
        ("Look at :ref:`packing`\n\n:ref:`unpacking`", "Look at :ref:`packing`|:ref:`unpacking`"),
        ("`展開`する\n\n`tar xf x`", "`展開`する"),
        ("As follows::\n\n    loop:\n    loop: x", "As follows::|loop: x"),
        ("`tar xf x`\n\n`tar cf x`", "`tar xf x`|`tar cf x`"),
        ("# tar\n\n`tar xf x`", "`tar xf x`"),
        ("loop:\nwith_items:", "loop:|with_items:"),
    ],
)
def test_a_bare_command_or_address_gives_way_to_words(text: str, expected: str) -> None:
    assert said(text) == expected.split("|")


FRONT_MATTER = "---\ntitle: Tar and time\ntags: [tar, archive]\ndate:\n  - 2024-01-01\n# draft\n---\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FRONT_MATTER + "# Tar\n\nIt packs.", ["It packs."]),
        (FRONT_MATTER.replace("\n", "\r\n") + "\r\nIt packs.", ["It packs."]),
        ("+++\ntitle = 'Tar'\n[extra]\nb = 1\n+++\nIt packs.", ["It packs."]),
        ("---\nTitle: Tar\n...\nIt packs.", ["It packs."]),
        ("---\n\nNote: this is no field.\n\n---\nMore.", ["Note: this is no field.", "More."]),
        (
            "---\nIt is said: nothing.\nSo it goes.\n---\nMore.",
            ["It is said: nothing.", "So it goes.", "More."],
        ),
        ("---\na: b\nNo end.", ["a: b\nNo end."]),
        ("---", ["---"]),
        ("---\n---\nA.", ["A."]),
    ],
)
def test_front_matter_is_no_evidence_where_there_is_a_sentence(text: str, expected: list[str]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize("below", ["", "# Tar", "```sh\ntar xf x\n```"])
def test_front_matter_is_evidence_where_nothing_else_is_said(below: str) -> None:
    assert "title: Tar and time" in said(FRONT_MATTER + below)[0]


def test_documents_of_yaml_are_no_front_matter() -> None:
    assert said("---\nkind: Pod\nname: x\n---\nkind: Job\nname: y") == [
        "kind: Pod",
        "name: x",
        "kind: Job",
        "name: y",
    ]


def kinds(text: str, *, heading: str = "") -> list[tuple[str, str]]:
    return [(text[one.start : one.end], one.kind) for one in kinds_of_sentences(text, heading=heading)]


def test_code_is_told_from_words() -> None:
    text = "Pack it:\n\n```sh\n# all but the logs\ntar cf x .\n```\n\n- name: x\n  tags: y\n\nDone now."
    assert kinds(text) == [
        ("Pack it:", "lead-in"),
        ("all but the logs", "prose"),
        ("tar cf x .", "code"),
        ("name: x", "code"),
        ("tags: y", "code"),
        ("Done now.", "prose"),
    ]


def test_questions_lead_ins_and_titles_are_told_from_answers() -> None:
    text = "Small troubles\n\nWhat buzzes? Look for:\n\n- a pencil\n\nIt is rarely the piano."
    assert kinds(text) == [
        ("Small troubles", "title"),
        ("What buzzes?", "question"),
        ("Look for:", "lead-in"),
        ("a pencil", "prose"),
        ("It is rarely the piano.", "prose"),
    ]


@pytest.mark.parametrize(
    "line",
    ["October: added proxies", "borg list /mnt/repo", "tar --exclude=logs cf x", "IBAN DE89 3704 0044 0532"],
)
def test_labels_commands_and_numbers_are_no_titles(line: str) -> None:
    assert kinds(f"{line}\n\nThe rest follows.")[0] == (line, "prose")


def test_what_a_lead_in_leads_to_is_no_title() -> None:
    assert kinds("Do this:\n\nPack the logs\n\nThen go.")[1] == ("Pack the logs", "prose")


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("One. Two\nwrapped. Three.\n\nFour.", ["One.|Two\nwrapped.|Three.", "Four."]),
        ("As follows:\n- one. More\n- two", ["As follows:", "one.|More", "two"]),
        ("| a | b |\n| c | d |", ["a | b", "c | d"]),
        ("| a | b |\n+---+---+\n| c | d |\n|   | e |", ["a | b", "c | d |\n|   | e"]),
        ("Host: a; Disk: 1\nHost: b; Disk: 2", ["Host: a; Disk: 1", "Host: b; Disk: 2"]),
        ("Run it:\n```\nls a\nls b\n```", ["Run it:|ls a|ls b"]),
        ("tom: is ill\nana: is here", ["tom: is ill|ana: is here"]),
    ],
)
def test_paragraphs_items_and_rows_are_blocks(text: str, blocks: list[str]) -> None:
    found: dict[int, list[str]] = {}
    for one in kinds_of_sentences(text):
        found.setdefault(one.block, []).append(text[one.start : one.end])
    assert ["|".join(block) for block in found.values()] == blocks


def test_a_directive_does_not_part_code_from_what_leads_to_it() -> None:
    first, second = kinds_of_sentences("Run it:\n\n.. code-block:: sh\n\n   ls -l\n   ls")[:2]
    assert (first.kind, second.kind) == ("lead-in", "code") and second.block == first.block + 1


@pytest.mark.parametrize(
    "aside",
    [
        "Figure 2. The drip tray.",
        "Dear all,",
        "Hi Piet,",
        "Best wishes,\nHannah",
        "Kind regards\nVerena Koch\nProperty management",
        "Mit freundlichen Grüßen",
        "On Mon, 13 Jan 2025, Piet wrote:",
        "From: Ana <ana@x.example>\nSubject: Pump\nDate: Tue, 14 Jan 2025",
        "See also: chapter 6",
        "For more details, see :ref:`checkpoints`.",
        "[3] Knuth, TAOCP.",
        "Gilmour, D. (1988). The Last Leopard. Quartet.",
        "Introduction . . . . . . . . . . 3",
        "Prev  Up  Next",
        "Item; Price\nItem: Pump; Price: 40",
    ],
)
def test_asides_are_no_evidence_unless_there_is_nothing_else(aside: str) -> None:
    first = aside.split("\n")[0]
    assert first not in said(f"{aside}\n\nThe pump is broken.")
    assert "The pump is broken." in said(f"{aside}\n\nThe pump is broken.")
    assert said(aside), "nothing else"


def test_a_line_with_a_colon_in_a_note_is_no_mail_header() -> None:
    assert said("Date: the 25th is free.\n\nCome.") == ["Date: the 25th is free.", "Come."]


def test_numbered_headings_and_those_of_the_path_are_headings() -> None:
    text = "2.5. MEMORY MANAGEMENT\n\nIt needs 2300k."
    assert said(text) == ["It needs 2300k."]
    text = "Rate limits¶\n\nHosts\n\nIt says 429."
    assert said(text, heading="Guide¶ > Rate limits¶ > Hosts¶") == ["It says 429."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'def f(x):\n    """Adds one.\n\n    It wraps\n    at ten.\n    """\n    return x + 1\n    y = 2',
            ["def f(x):", "Adds one.", "It wraps\n    at ten.", "return x + 1", "y = 2"],
        ),
        ('    """Only this."""\n    x = 1\n    y = 2', ["Only this.", "x = 1", "y = 2"]),
        (
            "x = 1\n# It takes about\n# two lines. And\n# more here.\ny = 2\nz = 3",
            ["x = 1", "It takes about\n# two lines.", "And\n# more here.", "y = 2", "z = 3"],
        ),
        (
            "    :param a: The first\n        one. Or none.\n    :param b: The second.",
            [":param a: The first\n        one.", "Or none.", ":param b: The second."],
        ),
        (
            "tab (int, optional): Width of\n    a tab.\nwrap (bool): Whether.",
            ["tab (int, optional): Width of\n    a tab.", "wrap (bool): Whether."],
        ),
        ("digits -- all of\n  them\nblank -- none", ["digits -- all of\n  them", "blank -- none"]),
        ("tom: out sick\nana: it works now. the disk\nwas full", None),
    ],
)
def test_docstrings_comments_and_labels_are_read_as_prose(text: str, expected: list[str] | None) -> None:
    assert said(text) == (expected or ["tom: out sick", "ana: it works now.", "the disk\nwas full"])


def test_one_label_does_not_part_a_wrapped_paragraph() -> None:
    assert said("He said\nthis: no more\nof it.") == ["He said\nthis: no more\nof it."]


def test_a_long_sentence_is_cut_at_a_word() -> None:
    text = " ".join(["word"] * 400)
    pieces = said(text)
    assert " ".join(pieces) == text
    assert all(piece.startswith("word") and piece.endswith("word") for piece in pieces)
    assert [len(piece) for piece in pieces] == [599, 599, 599, 199]
    assert [len(piece) for piece in said("x" * 1300)] == [600, 600, 100]
    assert len(said("x" * 1_200_000)) == 2_000


TEXTS = st.text(st.sampled_from("ab.!? \n\r\t#-=|`:*>1。」_(\u3000")) | st.text()


@settings(deadline=None)
@given(TEXTS, st.sampled_from(["", "a", "b > ab"]))
def test_spans_are_in_order_and_say_something(text: str, heading: str) -> None:
    spans = sentences(text, heading=heading)
    assert bool(spans) == bool(text.strip())
    end_before = 0
    for start, end in spans:
        assert end_before <= start < end <= len(text)
        assert end - start <= MAX_SENTENCE_CHARACTERS
        assert text[start:end] == text[start:end].strip()
        end_before = end
    if len(spans) > 1:
        assert all(any(c.isalnum() for c in text[start:end]) for start, end in spans)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["alpha", "beta.", "Gamma", "\n", "\n\n", "12", "-", "é"])))
def test_no_word_of_prose_is_lost(words: list[str]) -> None:
    text = " ".join(words)
    covered = " ".join(text[start:end] for start, end in sentences(text))
    for word in ("alpha", "beta.", "Gamma", "é"):
        assert covered.split().count(word) == text.split().count(word)
