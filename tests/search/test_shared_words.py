"""Which share of a question's words a sentence holds."""

from __future__ import annotations

import math

import pytest

from minisearch.search.shared_words import NAME_WEIGHT, PAIR_WEIGHT, has_names, shares


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
