"""The sentences that answer best, and their place in the file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.minilm import SentenceTransformer
from minisearch.results import Evidence
from minisearch.search.evidence import (
    MAX_MARK_CHARACTERS,
    MAX_MARK_SHARE,
    MAX_SENTENCES,
    SHORT_TEXT,
    WEIGHTS,
    Encode,
    best_sentences,
    compare,
    evidence,
    features,
    line_and_column,
    rare_words,
    shares,
    vectors_of,
)
from minisearch.search.sentences import kinds_of_sentences
from minisearch.types import FloatArray, IntArray
from tests.fakes import HashingEncoder

# --- the best of them ----------------------------------------------------------------------------------


def marked(query: str, text: str, *, heading: str = "", word_vectors: Encode | None = None) -> str:
    ((start, end, _),) = best_sentences(query, [text], headings=[heading], word_vectors=word_vectors)
    return text[start:end]


EITHER = pytest.mark.parametrize("word_vectors", [None, HashingEncoder().encode], ids=["words", "vectors"])
RAIN = "Rain falls in autumn over the hills of the north. Bread needs salt and time."


@EITHER
@pytest.mark.parametrize(
    ("query", "text", "answer"),
    [
        (
            "where the red fox sleeps",
            f"{RAIN} The red fox sleeps\nin a den. {RAIN}",
            "The red fox sleeps\nin a den.",
        ),
        ("fox", "Only one sentence", "Only one sentence"),
        (
            "rolled back to 4.11.3",
            f"{RAIN} We rolled back to 4.11.3 then. {RAIN}",
            "We rolled back to 4.11.3 then.",
        ),
        (
            "which host has 8 GB",
            "Host: otter; RAM: 16 GB; Disk: 8 TB\n\nHost: web; RAM: 8 GB",
            "Host: web; RAM: 8 GB",
        ),
        ("昆布はいつ出す", "水を入れる。昆布を出す。火を止める。", "昆布を出す。"),
    ],
)
def test_the_sentence_with_the_querys_rarer_words_is_in_the_mark(
    query: str, text: str, answer: str, word_vectors: Encode | None
) -> None:
    assert answer in marked(query, text, word_vectors=word_vectors)


@EITHER
@pytest.mark.parametrize(
    ("query", "text", "heading", "answer"),
    [
        (
            "does it need a licence",
            "## Does it need a licence?\n\nIt is free for all.",
            "",
            "It is free for all.",
        ),
        ("can I keep hens", "Can I keep hens here? Up to six.", "Rules", "Up to six."),
        ("rate limits", "Rate limits\n\nThe server says 429.", "Guide > Rate limits", "The server says 429."),
        ("which options are there", "The options are:\n\n- red\n- blue", "", "red"),
        ("Piet", "Hi Piet,\n\nthe pump is broken.\n\nBest wishes,\nPiet", "", "the pump is broken."),
        (
            "drip tray",
            "Figure 2. The drip tray.\n\nEmpty it daily.\n\nSee also: drip tray",
            "",
            "Empty it daily.",
        ),
        (
            "phone of keys",
            "| Task | Phone |\n|---|---|\n| keys | 0103 |\n| water | 0102 |",
            "",
            "keys | 0103",
        ),
    ],
)
def test_what_repeats_the_query_is_no_answer(
    query: str, text: str, heading: str, answer: str, word_vectors: Encode | None
) -> None:
    found = marked(query, text, heading=heading, word_vectors=word_vectors)
    assert answer in found
    for aside in ("##", "Rate limits", "Hi Piet", "Best wishes", "Figure", "See also", "Task |"):
        assert aside not in found


@pytest.mark.parametrize("text", ["Who is it?", "As follows:", "# Foxes", "Dear all,", "Figure 3: Foxes"])
def test_where_there_is_nothing_else_they_are_marked(text: str) -> None:
    assert marked("fox", text) == text.lstrip("# ")


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        (
            "E31 on the desk",
            f"{RAIN}\n\nE31 means that the fan has stopped. Switch off within ten minutes.\n\n{RAIN}",
            "E31 means that the fan has stopped. Switch off within ten minutes.",
        ),
        (
            "getting the smell out of cloth",
            "Spray it with vodka and hang it up. It kills the smell without wetting the cloth.",
            "Spray it with vodka and hang it up. It kills the smell without wetting the cloth.",
        ),
        (
            "how many entries does callbacks_cache hold",
            "import cache\n\ncallbacks_cache: Cache[Any] = (\n    Cache(limit=128)\n)\nanother_name = 3 * 4",
            "callbacks_cache: Cache[Any] = (\n    Cache(limit=128)",
        ),
    ],
)
def test_a_short_paragraph_is_marked_whole_and_a_line_with_the_bracket_it_opens(
    query: str, text: str, expected: str
) -> None:
    assert expected in marked(query, text)


def test_a_sentence_that_does_not_stand_alone_is_marked_with_the_one_before() -> None:
    text = f"{RAIN} The old cache was slow. It is removed now. {RAIN}"
    assert "The old cache was slow. It is removed now." in marked("is the old cache removed", text)


TEXTS = st.text(st.sampled_from("ab.!? \n\t#-=|`:*>1。_(")) | st.text()


@settings(deadline=None)
@given(st.text(), st.lists(TEXTS, max_size=4))
def test_a_mark_is_a_run_of_few_sentences_and_not_too_long(query: str, texts: list[str]) -> None:
    for text, (start, end, score) in zip(
        texts, best_sentences(query, texts, word_vectors=HashingEncoder().encode), strict=True
    ):
        assert 0 <= start <= end <= len(text) and score is not None
        inside = [one for one in kinds_of_sentences(text) if start <= one.start and one.end <= end]
        is_short = end - start <= SHORT_TEXT
        assert len(inside) <= MAX_SENTENCES or is_short or inside[-1].kind == "code"
        longest = min(MAX_MARK_CHARACTERS, MAX_MARK_SHARE * len(text))
        assert len(inside) <= 1 or is_short or end - start <= longest


PIECES = [
    "Red foxes.",
    "A den is here.",
    "Why?",
    "As follows:",
    "- an item",
    "2. two",
    "| a | b |",
    "\n",
    "\n\n",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1), st.sampled_from(["red fox", "why is a den", "item b"]))
def test_a_mark_leaves_its_paragraph_item_or_row_only_after_what_leads_on(
    pieces: list[str], query: str
) -> None:
    found = marked(query, "\n".join(pieces))
    lines = [line for line in found.split("\n") if line.strip()]
    borders = [
        number
        for number, (above, line) in enumerate(pairwise(lines))
        if f"{above}\n{line}" not in found or line.lstrip()[:1] in {"-", "2", "|"}
    ]
    assert borders in ([], [0])
    assert not borders or lines[0].endswith((":", "?"))


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("how to pack", "To pack it, do:\n\n```\ntar c a\ntar r b\n```\n\nDone.", "tar c a\ntar r b"),
        ("what buzzes", "What buzzes?\n\nA pencil. It lies inside.\n\nSend me the bill.", "A pencil."),
    ],
)
def test_what_leads_on_is_marked_with_what_it_leads_to(query: str, text: str, expected: str) -> None:
    found = marked(query, text)
    assert found.startswith(text.split("\n")[0]) and expected in found
    assert "Done" not in found and "bill" not in found


@EITHER
def test_the_mark_of_a_passage_does_not_depend_on_what_stands_beside_it(word_vectors: Encode | None) -> None:
    random = Random(7)

    def sentence() -> str:
        return " ".join(random.choices(["fox", "den", "rain", "salt", "12", "mice"], k=3)).capitalize() + "."

    for _ in range(60):
        texts = [" ".join(sentence() for _ in range(6)) for _ in range(6)]
        query = sentence()
        together = best_sentences(query, texts, word_vectors=word_vectors)
        alone = [best_sentences(query, [text], word_vectors=word_vectors)[0] for text in texts]
        assert [one[:2] for one in together] == [one[:2] for one in alone]


def test_the_score_is_the_cosine_of_the_nearest_sentence_in_the_mark() -> None:
    text, encode = "The red fox sleeps in a den.", HashingEncoder().encode
    ((_, _, score),) = best_sentences("red fox", [text], word_vectors=encode)
    of_query, of_text = (encode(words.split()).sum(axis=0) for words in ("red fox", text.lower().rstrip(".")))
    cosine = of_query @ of_text / np.linalg.norm(of_query) / np.linalg.norm(of_text)
    assert score == pytest.approx(float(cosine), abs=1e-6)
    assert best_sentences("red fox", [text])[0][2] is None


def test_no_passages_and_empty_ones_have_marks_too() -> None:
    assert best_sentences("q", []) == []
    assert best_sentences("", ["  "])[0][:2] == (0, 2)
    assert best_sentences("q", ['"""' * 1_000])[0][:2] == (0, MAX_MARK_CHARACTERS)


# --- what is known of a sentence ---------------------------------------------------------------------------


def known(query: str, text: str, name: str) -> list[float]:
    found = kinds_of_sentences(text)
    texts = [text[one.start : one.end] for one in found]
    columns = features(query, found, texts)
    assert columns.shape == (len(found), len(WEIGHTS))
    return columns[:, [*WEIGHTS].index(name)].tolist()


@pytest.mark.parametrize(
    ("query", "text", "name", "expected"),
    [
        ("red fox", "Foxes. A red fox. Red.", "words", None),
        ("why a red fox", "A red fox. It rains.\n\nA den.", "words before, for a reason", [0, 1, 0]),
        ("who is a red fox", "A red fox. It rains.", "words before, for a reason", [0, 0]),
        ("fox", "One. Two.", "is first", [1, 0]),
        ("fox", "A fox? Yes.", "is a question", [1, 0]),
        ("fox", "A fox is here.\n\n```\nfox = den(1)\n```", "is code", [0, 1]),
        ("fox", "For example, a fox. A den.", "is an example", [1, 0]),
        ("what is a fox", "A fox is red. It is a den.", "defines", [1, 0]),
        ("where is a fox", "A fox is red. It is a den.", "defines", [0, 0]),
        ("how many foxes", "Six. Some foxes. 12 foxes.", "counts", [1, 0, 1]),
        ("why foxes", "Since it rains. It rains.", "gives a reason", [1, 0]),
        ("may foxes sleep", "They may not. They sleep.", "decides", [1, 0]),
        ("where may foxes sleep", "They may not. They sleep.", "decides", [0, 0]),
    ],
)
def test_each_number_says_what_its_name_says(
    query: str, text: str, name: str, expected: list[float] | None
) -> None:
    found = known(query, text, name)
    assert found == expected if expected else found[1] == max(found) == 1 > found[2] > 0


def share(query: str, texts: list[str]) -> list[float]:
    return shares(compare(query, texts)[1])[0].tolist()


@EITHER
@pytest.mark.parametrize("query", ["", "  ", "..."])
@pytest.mark.parametrize("texts", [[], ["", "A fox."]])
def test_nothing_shared_is_nothing(query: str, texts: list[str], word_vectors: Encode | None) -> None:
    vectors = word_vectors and vectors_of(query, texts, word_vectors)
    for found in shares(compare(query, texts, vectors)[1]):
        assert found.tolist() == [0.0] * len(texts)


def test_another_code_is_not_the_code_of_the_query(minilm: SentenceTransformer) -> None:
    text = "E07 on the desk: the desk needs a new battery.\n\nE31: two lamps have one address."
    query = "E31 on the desk"
    rare = rare_words(query, None)
    assert rare == {"e31"}
    texts = text.split("\n\n")
    vectors = vectors_of(query, texts, minilm.word_vectors)
    of_code = compare(query, texts, vectors, rare)[1][:, -1].tolist()
    assert of_code == [0, 1]
    assert compare(query, texts[:1], vectors, rare)[1][0, -1] > 0  # no text has the code itself


def test_a_word_of_many_tokens_is_rare() -> None:
    class Letters:
        def spans(self, texts: list[str]) -> list[IntArray]:
            return [np.zeros((len(text), 2), np.int64) for text in texts]

    assert rare_words("an ox eats maxsurrogate", Letters()) == {"eats", "maxsurrogate"}


def test_words_count_by_their_rarity() -> None:
    texts = ["A red fox.", "The foxes are red.", "Redfoxes!", "It is."]
    alone, around = shares(compare("the red fox", texts)[1])
    red, fox = math.log(1 + 4 / 2) ** 2, math.log(1 + 4) ** 2  # in 2 and 1 of 4 sentences
    assert alone == pytest.approx([1, red / (red + fox), 0, 0])
    assert around == pytest.approx([1, 1, red / (red + fox), 0])


def test_function_words_count_where_there_are_no_others() -> None:
    assert share("what is it", ["It is.", "A fox."])[0] > 0
    assert share("are dogs allowed", ["Cats are here.", "Dogs."])[0] == 0


def test_words_that_are_nowhere_take_their_part() -> None:
    with_all, with_some = (share(query, ["A red fox."])[0] for query in ("red fox", "red fox gym"))
    assert with_all == pytest.approx(1) and 0 < with_some < 0.8


def test_a_number_is_not_part_of_another() -> None:
    assert share("4.11.3", ["Version 4.11.2 and 11.3.", "We have 4.11.3."]) == [0, 1]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("pool", "An HTTPSConnectionPool is open."),
        ("by id", "We call getUserById."),
        ("invoice", "See acmeInvoice_2025.txt."),
        ("acmeInvoice_2025.txt", "See acmeInvoice_2025.txt."),
        ("14 March 2026", "See 2026-03-14.md."),
        ("5034441", "It is in KB5034441."),
    ],
)
def test_a_part_of_an_identifier_or_of_a_file_name_is_found_in_its_sentence(query: str, text: str) -> None:
    passage = f"The first line is long enough.\n\n{text}\n\nThe last one says nothing of it either."
    ((start, end, _),) = best_sentences(query, [passage])
    assert passage[start:end] == text


def test_endings_are_cut_and_cjk_is_compared_by_pairs() -> None:
    assert share("serviced", ["The service."]) == [1]
    assert share("昆布", ["昆布を出す。", "水を入れる。"]) == [1, 0]


def test_words_of_like_meaning_count_by_the_square_of_their_cosine() -> None:
    meanings = {"lift": [1.0, 0.0], "elevator": [0.8, 0.6], "garden": [-0.6, 0.8]}

    def word_vectors(texts: Sequence[str]) -> FloatArray:
        return np.array([meanings.get(text, [0.0, 1.0]) for text in texts])

    texts = ["Elevator.", "Lifts!", "garden"]
    _, has = compare("lift", texts, vectors_of("lift", texts, word_vectors))
    assert has == pytest.approx(np.array([[0.64], [0.0], [0.0]]))
    _, has = compare("lifts", ["Lift", "LIFTS"])
    assert has.tolist() == [[0.0], [1.0]]
    nearness, _ = compare("lift", ["elevator", "x"], vectors_of("lift", ["elevator", "x"], word_vectors))
    assert nearness == pytest.approx([0.8, 0.0])


# --- places --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.text(st.sampled_from("ab\n\r é")), st.text(st.sampled_from("ab\n\r")))
def test_places_in_a_verbatim_text_are_counted_as_editors_do(before: str, text: str) -> None:
    def counted(position: int) -> tuple[int, int]:
        line, column, whole = 1, 1, before + text
        for i, character in enumerate(whole[:position]):
            is_end = character == "\n" or (character == "\r" and whole[i + 1 : i + 2] != "\n")
            line, column = (line + 1, 1) if is_end else (line, column + 1)
        return line, column

    if before.endswith("\r") and text.startswith("\n"):  # no passage begins inside a line end
        return
    anchors = ((0, *counted(len(before))),)
    for position in range(len(text) + 1):
        if text[position - 1 : position + 1] != "\r\n":
            assert line_and_column(anchors, text, position) == counted(len(before) + position)


def test_each_place_is_counted_from_the_last_anchor_before_it() -> None:
    anchors = ((0, 10, 5), (6, 12, 1), (12, 12, 30))
    text = "Hello\nthere world"
    assert [line_and_column(anchors, text, i) for i in (0, 4, 6, 11, 12, 16)] == [
        (10, 5),
        (10, 9),
        (12, 1),
        (12, 6),
        (12, 30),
        (12, 34),
    ]


def test_evidence_says_where_it_begins_and_ends() -> None:
    text = "One. Two goes\nover the line. Three."
    assert evidence(text, ((0, 7, 3),), 5, 28, 0.5) == Evidence(
        "Two goes\nover the line.", 5, 28, line=7, column=8, end_line=8, end_column=15, score=0.5
    )
