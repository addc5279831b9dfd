"""The sentence that answers best, and its place in the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.results import Evidence
from minisearch.search.evidence import (
    CODE_MARGIN,
    MARGIN,
    N_TRIED,
    NAME_WEIGHT,
    PAIR_WEIGHT,
    TITLE_MARGIN,
    Encode,
    Passage,
    best_sentences,
    evidence,
    has_names,
    likeliest_sentences,
    place,
    shares,
)
from minisearch.search.sentences import sentences
from minisearch.types import FloatArray
from tests.fakes import HashingEncoder

# --- the best of them ----------------------------------------------------------------------------------


class Counting:
    """An encoder that remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self._encoder = HashingEncoder()

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        self.calls.append(list(texts))
        return self._encoder.encode(texts)


PASSAGES = [
    "Rain falls in autumn. The red fox sleeps\nin a den. Bread needs salt. Nothing else matters here.",
    "Only one sentence",
    "# Foxes\n\n- A fox hunts mice.\n- A den has exits.\n- The red fox sleeps by day.\n- Cubs are blind.",
]
QUERY = "where the red fox sleeps"


def slow_best(passages: Sequence[str], vector: FloatArray) -> list[tuple[int, int, float]]:
    """By the model, among all sentences."""
    encoder = HashingEncoder()
    found = []
    for text in passages:
        scored = [
            (float(encoder.encode([" ".join(text[a:b].split())])[0] @ vector), -a, b)
            for a, b in sentences(text)
        ]
        score, start, end = max(scored)
        found.append((-start, end, score))
    return found


@pytest.mark.parametrize("has_word_vectors", [False, True])
def test_the_nearest_sentence_of_each_passage_is_found(has_word_vectors: bool) -> None:
    encode, words = Counting(), Counting()
    vector = HashingEncoder().encode([QUERY])[0]
    found = best_sentences(QUERY, PASSAGES, encode, vector, word_vectors=words if has_word_vectors else None)
    for (start, end, score), (slow_start, slow_end, slow_score) in zip(
        found, slow_best(PASSAGES, vector), strict=True
    ):
        assert (start, end) == (slow_start, slow_end)
        assert score == pytest.approx(slow_score, abs=1e-6)
    assert [text[slice(*span[:2])] for text, span in zip(PASSAGES, found, strict=True)] == [
        "The red fox sleeps\nin a den.",
        "Only one sentence",
        "The red fox sleeps by day.",
    ]
    assert len(encode.calls) == 1
    assert len(words.calls) == has_word_vectors


def test_no_more_sentences_are_encoded_than_may_be_tried() -> None:
    encode = Counting()
    vector = HashingEncoder().encode([QUERY])[0]
    for n_tried in (1, 2, N_TRIED):
        encode.calls.clear()
        best_sentences(QUERY, PASSAGES, encode, vector, n_tried=n_tried)
        assert [len(call) for call in encode.calls] == [1 + 2 * n_tried]


def test_what_is_far_behind_by_its_words_is_not_encoded() -> None:
    encode = Counting()
    text = "Near one. Near two. Far one."
    cosines = {"Near one.": 0.9, "Near two.": 0.9 - MARGIN + 0.01, "Far one.": 0.9 - MARGIN - 0.01}

    def words(texts: Sequence[str]) -> FloatArray:
        angles = np.arccos([1.0, *(cosines[text] for text in texts[1:])])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    best_sentences("q", [text], encode, np.ones(64, np.float32), word_vectors=words)
    assert encode.calls == [["Near one.", "Near two."]]


def test_a_single_sentence_with_a_cosine_costs_nothing() -> None:
    encode = Counting()
    vector = np.ones(64, np.float32)
    assert best_sentences("q", ["One here."], encode, vector, cosines=[0.25]) == [(0, 9, 0.25)]
    assert encode.calls == []
    found = best_sentences("q", ["One here.", "One. Two."], encode, vector, cosines=[None, 0.25])
    assert encode.calls == [["One here.", "One.", "Two."]]
    assert found[1][2] != 0.25  # the passage's cosine is not its sentence's


def test_a_sentence_that_is_a_part_of_its_passage_has_a_cosine_of_its_own() -> None:
    encode = Counting()
    text = "- One here:\n\n`a command that is longer`"
    ((start, end, score),) = best_sentences("q", [text], encode, np.ones(64, np.float32), cosines=[0.25])
    assert text[start:end] == "One here:"
    assert encode.calls == [["One here:"]]
    assert score != 0.25


@pytest.mark.parametrize(("lead", "expected"), [(-0.01, "Unpack it."), (0.01, "tar xf x")])
@pytest.mark.parametrize("has_word_vectors", [False, True])
def test_code_has_to_be_clearly_nearer_than_words(lead: float, expected: str, has_word_vectors: bool) -> None:
    cosines = {"Unpack it.": 0.5, "tar xf x": 0.5 + CODE_MARGIN + lead}

    def encode(texts: Sequence[str]) -> FloatArray:
        angles = np.arccos([cosines.get(text, 1.0) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    text = "Unpack it.\n\n```\ntar xf x\n```"
    ((start, end, score),) = best_sentences(
        "q", [text], encode, encode(["q"])[0], word_vectors=encode if has_word_vectors else None
    )
    assert text[start:end] == expected
    assert score == pytest.approx(cosines[expected])


def fixed(cosines: dict[str, float]) -> Callable[[Sequence[str]], FloatArray]:
    """An encoder by whom a text has this cosine with any other that is not named."""

    def encode(texts: Sequence[str]) -> FloatArray:
        angles = np.arccos([cosines.get(text, 1.0) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    return encode


@pytest.mark.parametrize(
    ("query", "right", "nearer"),
    [
        (
            "which host has 8 GB of RAM",
            "Host: web; RAM: 8 GB; Disk: 80 GB",
            "Host: otter; RAM: 16 GB; Disk: 8 TB",
        ),
        ("rolled back to 4.11.3", "We rolled back to 4.11.3.", "We drop version 12."),
        ("what does E23 mean", "E23 The sensor is broken.", "What the pump says does not mean much."),
        ("where does Wilhelmina live", "Wilhelmina is in Bonn.", "Where they live is unknown."),
    ],
)
def test_a_sentence_with_the_queries_name_or_number_wins_over_one_a_little_nearer(
    query: str, right: str, nearer: str
) -> None:
    encode = fixed({nearer: 0.5, right: 0.47, "It rains.": 0.0})
    for text in (f"{nearer}\n\n{right}\n\nIt rains.", f"It rains.\n\n{right}\n\n{nearer}"):
        for n_tried in (1, 4):
            ((start, end, score),) = best_sentences(
                query, [text], encode, encode(["q"])[0], n_tried=n_tried, word_vectors=encode
            )
            assert text[start:end] == right
            assert score == pytest.approx(0.47)


def test_words_do_not_win_over_a_sentence_that_is_much_nearer() -> None:
    encode = fixed({"Frost is what they dread.": 0.7, "Prune apple trees is a song.": 0.3})
    text = "Frost is what they dread. Prune apple trees is a song."
    ((start, end, _),) = best_sentences("prune apple trees", [text], encode, encode(["q"])[0])
    assert text[start:end] == "Frost is what they dread."


@pytest.mark.parametrize(("lead", "is_title"), [(-0.01, False), (0.01, True)])
def test_a_title_has_to_be_clearly_nearer_than_what_stands_below(lead: float, is_title: bool) -> None:
    encode = fixed({"Pump manual": 0.5 + TITLE_MARGIN + lead, "Clean it.": 0.5})
    text = "Pump manual\n\nClean it."
    ((start, end, _),) = best_sentences("q", [text], encode, encode(["q"])[0], word_vectors=encode)
    assert text[start:end] == ("Pump manual" if is_title else "Clean it.")
    for other in ("Pump manual\nClean it.", "- Pump manual\n- Clean it.", "Clean it.\n\nPump manual"):
        ((start, end, _),) = best_sentences("q", [other], encode, encode(["q"])[0], word_vectors=encode)
        assert "Pump manual" in other[start:end], "only a passage's own first line is its title"


def by_words(
    query: str, passages: Sequence[Passage], found_first: Sequence[Passage]
) -> list[tuple[int, int]]:
    texts, headings = [text for text, _ in passages], [heading for _, heading in passages]
    found = likeliest_sentences(query, texts, headings=headings, found_first=found_first)
    return [(start, end) for start, end, _ in found]


def by_model(
    query: str, passages: Sequence[Passage], found_first: Sequence[Passage], words: Encode | None = None
) -> list[tuple[int, int]]:
    texts, headings = [text for text, _ in passages], [heading for _, heading in passages]
    encode = HashingEncoder().encode
    found = best_sentences(
        query,
        texts,
        encode,
        encode([query])[0],
        headings=headings,
        found_first=found_first,
        n_tried=2,
        word_vectors=words,
    )
    return [(start, end) for start, end, _ in found]


def by_model_and_word_vectors(
    query: str, passages: Sequence[Passage], found_first: Sequence[Passage]
) -> list[tuple[int, int]]:
    return by_model(query, passages, found_first, HashingEncoder(dimension=8).encode)


@pytest.mark.parametrize("found_by", [by_words, by_model, by_model_and_word_vectors])
def test_the_sentence_of_a_passage_does_not_depend_on_what_stands_beside_it(
    found_by: Callable[[str, Sequence[Passage], Sequence[Passage]], list[tuple[int, int]]],
) -> None:
    random, n_differing = Random(7), 0

    def sentence() -> str:
        return " ".join(random.choices(["fox", "den", "rain", "salt", "12", "mice"], k=3)).capitalize() + "."

    for _ in range(60):
        passages = [(" ".join(sentence() for _ in range(4)), random.choice(["", "Foxes"])) for _ in range(6)]
        query, found_first = sentence(), random.sample(passages, 3)
        together = found_by(query, passages, found_first)
        assert together == [found_by(query, [passage], found_first)[0] for passage in passages]
        n_differing += together != found_by(query, passages, passages)
    assert n_differing, "rarity among other passages makes a difference"


def test_no_passages_and_empty_ones_have_answers_too() -> None:
    vector = np.ones(64, np.float32)
    assert best_sentences("q", [], Counting(), vector) == []
    assert best_sentences("", ["  "], Counting(), vector)[0][:2] == (0, 2)


def test_equal_sentences_give_the_first() -> None:
    vector = HashingEncoder().encode(["fox"])[0]
    assert best_sentences("fox", ["A dog. A fox. A fox."], Counting(), vector)[0][:2] == (7, 13)


def test_without_a_model_shared_rare_words_decide() -> None:
    found = likeliest_sentences(QUERY, PASSAGES)
    assert [text[slice(*span[:2])] for text, span in zip(PASSAGES, found, strict=True)] == [
        "The red fox sleeps\nin a den.",
        "Only one sentence",
        "The red fox sleeps by day.",
    ]
    assert {score for *_, score in found} == {None}


def test_a_command_that_shares_every_word_gives_way_to_what_describes_it() -> None:
    text = "# zip\n\n- Pack a folder:\n\n`zip -r folder.zip folder`\n\n- Encrypt it:\n\n`zip -e a.zip folder`"
    vector = HashingEncoder().encode(["zip a folder"])[0]
    for found in (
        likeliest_sentences("zip a folder", [text]),
        best_sentences("zip a folder", [text], Counting(), vector),
    ):
        assert text[slice(*found[0][:2])] == "Pack a folder:"


def test_without_a_model_cjk_text_is_compared_by_pairs() -> None:
    text = "水を入れる。昆布を出す。火を止める。"
    ((start, end, _),) = likeliest_sentences("昆布はいつ出す", [text])
    assert text[start:end] == "昆布を出す。"


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
            assert place(anchors, text, position) == counted(len(before) + position)


def test_each_place_is_counted_from_the_last_anchor_before_it() -> None:
    anchors = ((0, 10, 5), (6, 12, 1), (12, 12, 30))
    text = "Hello\nthere world"
    assert [place(anchors, text, i) for i in (0, 4, 6, 11, 12, 16)] == [
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


@pytest.mark.parametrize("query", ["", "  ", "...", "what is it"])
@pytest.mark.parametrize("texts", [[], [[]], [["", "A fox."]]])
def test_nothing_shared_is_nothing(query, texts):
    assert shares(query, texts) == [[0.0] * len(of_text) for of_text in texts]


def test_words_count_by_their_rarity_and_those_that_stand_together_once_more():
    found = shares("the red foxes", [["A red fox.", "The foxes are red."], ["Red foxes!", "It is."]])
    red, foxes = math.log(1 + 4 / 3) ** 2, math.log(1 + 4 / 2) ** 2  # in 3 and 2 of 4 sentences
    whole = red + foxes + PAIR_WEIGHT * min(red, foxes)
    assert found == [
        pytest.approx([red / whole, (red + foxes) / whole]),
        pytest.approx([1.0, 0.0]),
    ]


def test_rarity_is_that_among_the_passages_named():
    texts = [["A red fox.", "Red foxes!"], ["The red house.", "It rains."], ["A red bus.", "A fox."]]
    red, fox = math.log(1 + 4 / 2) ** 2, math.log(1 + 4 / 1) ** 2  # of the last two passages' 4 sentences
    whole = red + fox + PAIR_WEIGHT * red
    found = shares("red fox", texts, among=[1, 2])
    assert found == [
        pytest.approx([1, red / whole]),
        pytest.approx([red / whole, 0]),
        pytest.approx([red / whole, fox / whole]),
    ]
    assert shares("red fox", texts, among=[0, 1, 2]) == shares("red fox", texts)


def test_function_words_count_where_there_are_no_others():
    assert shares("what is it", [["It is.", "A fox."]])[0][0] > 0
    assert shares("are dogs allowed", [["Cats are here.", "Dogs."]])[0][0] == 0


def test_words_that_are_nowhere_take_their_part():
    (with_all,), (with_some,) = (shares(q, [["A red fox."]])[0] for q in ("red fox", "red fox gym"))
    assert with_all == 1
    assert 0 < with_some < 0.8


@pytest.mark.parametrize("name", ["E23", "4.11.3", "2,315.40", "Bonn"])
def test_names_and_numbers_count_more_and_are_compared_whole(name):
    n = 2
    (held, not_held), word = shares(f"pump {name}", [[f"See {name}.", "A pump."]])[0], math.log(1 + n) ** 2
    whole = word * (1 + NAME_WEIGHT + PAIR_WEIGHT)
    assert (held, not_held) == pytest.approx((word * NAME_WEIGHT / whole, word / whole))
    assert has_names(f"pump {name}")


def test_a_number_is_not_part_of_another():
    assert shares("4.11.3", [["Version 4.11.2 and 11.3.", "We have 4.11.3."]]) == [[0.0, 1.0]]


def test_a_capital_at_the_beginning_makes_no_name():
    assert not has_names("Are dogs allowed")
    assert has_names("Does Ada have dogs")
    assert not has_names("How do I retry, and What then?")


def test_endings_are_cut_and_cjk_is_compared_by_pairs():
    assert shares("serviced", [["The service."]]) == [[1.0]]
    first, second = shares("昆布", [["昆布を出す。", "水を入れる。"]])[0]
    assert (first, second) == (1.0, 0.0)
