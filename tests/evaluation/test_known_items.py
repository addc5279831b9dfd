"""Queries made from documents: which there are, whose they are, and that nothing of them is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch.chunking.chunker import chunk
from minisearch.evaluation.known_items import (
    ChunkedDocument,
    ChunkText,
    KnownItem,
    candidates,
    choose,
    contains,
    first_words,
    found_elsewhere,
    masked,
    sample,
    without,
    words,
)
from minisearch.parsers import parse
from tests.fakes import WordTokenizer

FILLER = "Water runs over old stones while seven grey birds wait for bread near the quiet harbour wall today."
MORE = "Nobody knows why the lamps stay lit until noon, nor who pays for the oil that they burn each winter."


def indexed(path: str, text: str, *, id_: int = 1, max_tokens: int = 60, overlap: int = 0) -> ChunkedDocument:
    document = parse(path, text.encode())
    chunks = chunk(document, WordTokenizer(), max_tokens=max_tokens, overlap_tokens=overlap)
    return ChunkedDocument(
        id_, path, document.title, tuple(ChunkText(chunk.text, chunk.heading) for chunk in chunks)
    )


def asked(document: ChunkedDocument, kind: str) -> list[str]:
    return sorted(item.text for item in candidates(document) if item.kind == kind)


# --- which queries there are ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "#", "# Title\n", "\n\n---\n", "one", "🙂", "- a\n- b\n"])
def test_next_to_nothing_gives_no_query(text: str) -> None:
    assert candidates(indexed("a.md", text)) == []
    assert candidates(ChunkedDocument(1, "a.md", text, (ChunkText(text, text),))) == []


def test_a_heading_is_asked_with_three_to_twelve_words() -> None:
    long = "One two three four five six seven eight nine ten eleven twelve"
    sections = ["Notes", "See also", "Using nested loops", long, f"{long} thirteen"]
    text = "\n\n".join(f"## {heading}\n\n{FILLER} {MORE}" for heading in sections)
    assert asked(indexed("a.md", text), "heading") == [long, "Using nested loops"]


def test_the_title_is_asked_as_the_title_and_not_as_a_heading_too() -> None:
    document = indexed("a.md", f"# Keeping a harbour clean\n\n{FILLER} {MORE}\n")
    assert asked(document, "title") == ["Keeping a harbour clean"]
    assert asked(document, "heading") == []


def test_a_section_that_says_nothing_else_gives_no_query() -> None:
    document = indexed(
        "a.md", f"# Some page\n\n## Using nested loops\n\nIt works.\n\n## Next\n\n{FILLER} {MORE}"
    )
    assert asked(document, "heading") == []


def test_the_first_sentence_of_a_section_is_asked() -> None:
    first = f"# Page\n\nBirds sing\nin the early morning. {FILLER} {MORE}"
    text = f"{first}\n\n## Next\n\nShort one. {FILLER} {MORE}"
    assert asked(indexed("a.md", text), "sentence") == ["Birds sing in the early morning."]


def test_a_long_sentence_is_cut_to_25_words() -> None:
    numbers = " ".join(f"w{i}w" for i in range(40))
    (item,) = candidates(indexed("a.txt", f"{numbers}. {FILLER} {MORE}", max_tokens=200))
    assert item.text == " ".join(f"w{i}w" for i in range(25))
    assert item.source == f"{numbers}."


@pytest.mark.parametrize(
    ("path", "before"),
    [
        ("a.rst", ".. _label:\n\nUsing loops\n===========\n\n.. contents::\n   :local:\n\n"),
        ("a.md", "---\nlayout: page\n---\n\n# Using loops\n\n- one\n- two\n\n> "),
        ("a.py", '"""'),
        ("a.c", "/* "),
        ("a.sh", "#!/bin/sh\n\n# "),
    ],
)
def test_what_stands_before_the_first_sentence_is_no_part_of_it(path: str, before: str) -> None:
    document = indexed(path, f"{before}Birds sing in the early morning. {FILLER} {MORE}\n", max_tokens=200)
    assert asked(document, "sentence") == ["Birds sing in the early morning."]


@pytest.mark.parametrize(
    ("written", "query"),
    [
        ("Use the :ref:`file module <file_module>` for this.", "Use the file module for this."),
        ("Read `the guide <https://a.example/b>`_ before you start.", "Read the guide before you start."),
        ("Read [the guide](https://a.example/b) before you start.", "Read the guide before you start."),
        ("Set ``retries`` to **five** and wait.", "Set retries to five and wait."),
    ],
)
def test_mark_up_that_nobody_types_is_not_asked_and_is_masked_all_the_same(written: str, query: str) -> None:
    document = indexed("a.rst", f"{written} {FILLER} {MORE}", max_tokens=200)
    (item,) = candidates(document)
    assert item.text == query
    _, (left,) = masked(document, item)
    assert left is not None
    assert words(left.text) == words(f"{FILLER} {MORE}")


def test_a_chinese_heading_counts_its_characters() -> None:
    text = f"# 页\n\n## 重试失败的任务\n\n{FILLER} {MORE}\n\n## 注意\n\n{FILLER} {MORE}"
    assert asked(indexed("a.md", text), "heading") == ["重试失败的任务"]


# --- whose they are ---------------------------------------------------------------------------------------


def a_collection() -> list[ChunkedDocument]:
    """Documents of few words, so that many queries are in several of them."""
    generator = np.random.default_rng(7)
    vocabulary = ["Set", "the", "lamp", "oil", "wall", "to", "burn", "new", "old", "bread"]

    def some(n: int) -> str:
        return " ".join(generator.choice(vocabulary, n).tolist())

    texts = [
        f"# {some(3)}\n\n{some(5)}. {some(25)}\n\n## {some(3)}\n\n{some(6)}. {some(30)}" for _ in range(30)
    ]
    return [indexed(f"{i}.md", text, id_=i) for i, text in enumerate(texts)]


def stands_in(item: KnownItem, document: ChunkedDocument) -> bool:
    texts = [
        document.title,
        *(text for chunk in document.chunks for text in (chunk.text, chunk.heading)),
    ]
    return any(f" {' '.join(words(item.text))} " in f" {' '.join(words(text))} " for text in texts)


def test_queries_that_another_document_answers_too_are_found_as_by_brute_force() -> None:
    documents = a_collection()
    items = [item for document in documents for item in candidates(document)]
    expected = {
        item
        for item in items
        if any(stands_in(item, other) for other in documents if other.id != item.document_id)
    }
    assert found_elsewhere(items, iter(documents)) == expected
    assert 0 < len(expected) < len(items)


# --- which are asked --------------------------------------------------------------------------------------


def some_items(n_of_type: dict[str, int], kinds: Sequence[str]) -> list[KnownItem]:
    names = [f"{i}{type_}" for type_, n in n_of_type.items() for i in range(n)]
    return [
        KnownItem(kind, f"{kind} {name} x", "", i, name) for i, name in enumerate(names) for kind in kinds
    ]


def test_a_document_is_asked_for_once_and_the_kinds_are_even() -> None:
    items = some_items({".md": 90}, ["heading", "title", "sentence"])
    chosen = choose(items, 60)
    assert len(chosen) == len({item.path for item in chosen}) == 60
    assert Counter(item.kind for item in chosen) == {"heading": 20, "title": 20, "sentence": 20}


def test_a_kind_that_few_documents_have_is_filled_up_by_others() -> None:
    items = some_items({".md": 40}, ["sentence"]) + some_items({".md": 5}, ["title"])
    assert len(choose(items, 30)) == 30


def test_file_types_keep_their_shares_and_none_is_left_out() -> None:
    paths = [item.path for item in some_items({".md": 700, ".rst": 290, ".txt": 9, "": 1}, ["title"])]
    types = Counter("." + path.partition(".")[2] for path in sample(paths, 100))
    assert types == {".md": 69, ".rst": 29, ".txt": 1, ".": 1}
    assert len(sample(paths, 2)) == 2
    assert sorted(sample(paths, 5_000)) == sorted(paths)


def test_a_seed_gives_the_same_queries_and_another_seed_others() -> None:
    items = some_items({".md": 90, ".rst": 30}, ["heading", "title", "sentence"])
    assert choose(items, 30, seed=3) == choose(items, 30, seed=3)
    assert choose(items, 30, seed=3) != choose(items, 30, seed=4)
    text = "\n\n".join(f"## Using nested loops {i}\n\n{FILLER} {MORE}" for i in range(20))
    document = indexed("a.md", text)
    assert candidates(document, seed=3) == candidates(document, seed=3)
    assert candidates(document, seed=3) != candidates(document, seed=4)


# --- the document without its query --------------------------------------------------------------------


def test_a_masked_document_holds_nothing_of_its_query_and_all_of_the_rest() -> None:
    for document in a_collection():
        for item in candidates(document):
            title, passages = masked(document, item)
            gone = ChunkedDocument(
                document.id, document.path, title, tuple(chunk for chunk in passages if chunk)
            )
            assert stands_in(item, document)
            assert not stands_in(item, gone)
            n_gone = sum(len(words(a.text)) for a in document.chunks) - sum(
                len(words(chunk.text)) for chunk in gone.chunks
            )
            assert 3 <= n_gone < 20  # and not everything


def test_a_heading_goes_from_text_path_and_title() -> None:
    document = indexed(
        "a.md", f"# Using nested loops\n\n{FILLER} {MORE}\n\n## More\n\nOn *using\nnested* loops: {FILLER}"
    )
    item = next(item for item in candidates(document) if item.kind == "title")
    title, passages = masked(document, item)
    assert title == ""
    assert [chunk.heading for chunk in passages if chunk] == ["", "More"]
    assert "nested" not in " ".join(chunk.text for chunk in passages if chunk)


def test_a_sentence_goes_from_every_passage_that_repeats_it() -> None:
    sentence = "Birds sing in the early morning."
    texts = [f"{FILLER} {sentence}", f"{sentence} {MORE}", f"in the early morning. {FILLER}"]
    document = ChunkedDocument(1, "a.txt", "", tuple(ChunkText(text, "") for text in texts))
    item = KnownItem("sentence", sentence, sentence, 1, "a.txt")
    _, passages = masked(document, item)
    assert [words(chunk.text) for chunk in passages if chunk] == list(map(words, [FILLER, MORE, FILLER]))


def test_a_passage_that_said_nothing_else_is_dropped() -> None:
    document = ChunkedDocument(
        1, "a.md", "T", (ChunkText("Birds sing in the morning.", ""), ChunkText(FILLER, ""))
    )
    item = KnownItem("sentence", "Birds sing in the morning.", "Birds sing in the morning.", 1, "a.md")
    _, passages = masked(document, item)
    assert passages == (None, ChunkText(FILLER, ""))


# --- words in a text ---------------------------------------------------------------------------------


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
    assert not contains(masked, run)
    assert f" {' '.join(run)} " not in f" {' '.join(words(masked))} "  # the same, by another way
    assert is_subsequence(words(masked), words(text))


@given(st.text(), st.integers(0, 20), st.integers(1, 5))
def test_any_part_of_any_text_can_be_taken_out(text: str, start: int, n: int) -> None:
    run = words(text)[start : start + n]
    if run:
        assert contains(text, run)
        assert not contains(without(text, run), run)


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
    assert contains(text, run)
    assert words(without(text, run)) in {(), ("see",)}


def test_part_of_a_word_is_another_word() -> None:
    assert not contains("looping over lists", ("loop", "over"))
    assert without("looping over lists", ("loop", "over")) == "looping over lists"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Before.\n\n## Using nested loops\n\nAfter.", "Before.\n\n\n\nAfter."),
        ("Before.\n\nUsing nested loops\n------------------\nAfter.", "Before.\n\n \n\nAfter."),
        ("******************\nUsing nested loops\n******************\nAfter.", "\n \n\nAfter."),
        ("See using nested loops here.\n***", "See   here.\n"),
        ("See nested loops here.\n---\n", "See nested loops here.\n---\n"),
    ],
)
def test_a_heading_goes_with_its_rules(text: str, masked: str) -> None:
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
