"""Words that are taken out are gone, whatever stands between them, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch.evaluation.masking import first_words, has, without, words

FEW_WORDS = st.lists(
    st.sampled_from(["a", "B", "loop", "Über", "naïve_x", "日", "本", "İx", "ß", "3"]), min_size=1, max_size=5
)
GAPS = st.sampled_from([" ", "\n", ", ", " **", "** ", "\n## ", "\n-----\n", " > ", "\r\n", "``"])
TEXTS = st.lists(st.tuples(FEW_WORDS, GAPS), max_size=12).map(
    lambda parts: "".join(gap.join(some) + gap for some, gap in parts)
)


def is_subsequence(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)


@given(TEXTS, FEW_WORDS)
def test_the_words_are_gone_and_no_other_is_new(text: str, some: list[str]) -> None:
    run = words(" ".join(some))
    masked = without(text, run)
    assert not has(masked, run)
    assert f" {' '.join(run)} " not in f" {' '.join(words(masked))} "  # the same, by another way
    assert is_subsequence(words(masked), words(text))


@given(st.text(), st.integers(0, 20), st.integers(1, 5))
def test_any_part_of_any_text_can_be_taken_out(text: str, start: int, n: int) -> None:
    run = words(text)[start : start + n]
    if run:
        assert has(text, run)
        assert not has(without(text, run), run)


@given(st.text())
def test_a_text_without_the_words_stays_as_it_is(text: str) -> None:
    assert without(text, ("nowhere", "to", "be", "found")) == text


@pytest.mark.parametrize(
    "text",
    [
        "retry a failed task",
        "RETRY a\nfailed\n  task!",
        "> **Retry** a ``failed``-task",
        "see: *retry a failed task*.",
    ],
)
def test_case_punctuation_and_line_breaks_hide_nothing(text: str) -> None:
    run = words("Retry a failed task")
    assert has(text, run)
    assert words(without(text, run)) in {(), ("see",)}


def test_part_of_a_word_is_another_word() -> None:
    assert not has("looping over lists", ("loop", "over"))
    assert without("looping over lists", ("loop", "over")) == "looping over lists"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Before.\n\n## Using nested loops\n\nAfter.", "Before.\n\n \n\nAfter."),
        ("Before.\n\nUsing nested loops\n------------------\nAfter.", "Before.\n\n \nAfter."),
        ("******************\nUsing nested loops\n******************\nAfter.", " \nAfter."),
        ("See using nested loops here.\n---\n", "See   here.\n---\n"),
    ],
)
def test_a_heading_goes_with_its_line_and_its_rules(text: str, masked: str) -> None:
    assert without(text, words("Using nested loops")) == masked


def test_what_remains_may_not_say_it_again() -> None:
    assert words(without("a a b c b c d", ("a", "b", "c"))) == ("d",)


def test_a_sentence_that_the_passage_cuts_goes_too() -> None:
    run = words("The task is tried again until it is done.")
    assert words(without("until it is done. Then rest.", run)) == ("then", "rest")
    assert words(without("Rest first. The task is tried", run)) == ("rest", "first")
    assert without("it is done", run).strip() == ""
    assert without("Well, is done.", run) == "Well, is done."  # two words may be anybody's


def test_characters_of_chinese_and_japanese_are_words() -> None:
    assert words("検索engine, 2つ") == ("検", "索", "engine", "2", "つ")
    assert without("全文検索の索引。", words("検索")) == "全文 の索引。"


def test_first_words_end_with_a_word() -> None:
    assert first_words("One, (two) three.", 2) == "One, (two"
    assert first_words("One, (two)", 5) == "One, (two)"
