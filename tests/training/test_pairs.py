"""Pairs made from documents or read from a file, and their negatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minisearch.errors import InputError
from minisearch.evaluation.known_items import ChunkedDocument, ChunkText, contains, words
from minisearch.training.pairs import MOST_OF_ANSWER, Pair, _split, mine, pairs_of, read_pairs
from tests.fakes import HashingEncoder

LEFT = "Then " + " ".join(f"word{number}" for number in range(30))


def document(number: int, *chunks: tuple[str, str], title: str = "") -> ChunkedDocument:
    texts = tuple(ChunkText(text, heading) for text, heading in chunks)
    return ChunkedDocument(number, f"{number}.md", title, texts)


ROOFS = document(
    1,
    (f"Roofs and rain\n\nRain falls on every roof now. {LEFT} one", "Roofs and rain"),
    (f"How to mend roofs\n\nTake a ladder and some tar. {LEFT} two", "Roofs and rain > How to mend roofs"),
    title="Roofs and rain",
)
BREAD = document(2, (f"The bread of monks\n\nIt was baked once a week. {LEFT} three", "The bread of monks"))


# --- from documents -----------------------------------------------------------------------------------


def test_title_headings_and_first_sentences_are_queries_without_their_words_in_the_passage() -> None:
    pairs = pairs_of([ROOFS, BREAD])
    assert [(pair.query, pair.source) for pair in pairs] == [
        ("Roofs and rain", 1),
        ("Rain falls on every roof now.", 1),
        ("How to mend roofs", 1),
        ("Take a ladder and some tar.", 1),
        ("The bread of monks", 2),
        ("It was baked once a week.", 2),
    ]
    for pair in pairs:
        assert not contains(pair.passage, words(pair.query))
        assert contains(pair.whole, words(pair.query))
        assert set(words(pair.passage)) <= set(words(pair.whole))
    assert pairs[2].passage.startswith("Roofs and rain"), "the title of the document is in the passage"
    assert pairs[2].passage.endswith("two")


def test_a_share_of_the_passages_keeps_all_words_and_titles_may_be_left_out() -> None:
    assert all(pair.passage == pair.whole for pair in pairs_of([ROOFS, BREAD], masked_share=0.0))
    pairs = pairs_of([ROOFS, BREAD], masked_share=0.5)
    assert 0 < sum(pair.passage == pair.whole for pair in pairs) < len(pairs)
    assert pairs == pairs_of([ROOFS, BREAD], masked_share=0.5)
    assert pairs_of([ROOFS], has_titles=False)[2].whole.startswith("How to mend")


def test_documents_that_are_left_out_and_ambiguous_queries_give_no_pair() -> None:
    assert {pair.source for pair in pairs_of([ROOFS, BREAD], left_out={1})} == {2}
    copy = document(
        3, (f"The bread of monks\n\nIt was eaten at once, with salt. {LEFT}", "The bread of monks")
    )
    queries = [pair.query for pair in pairs_of([BREAD, copy])]
    assert queries == ["It was baked once a week.", "It was eaten at once, with salt."]
    assert pairs_of([]) == []


# --- from a file --------------------------------------------------------------------------------------


def read(tmp_path: Path, *lines: str) -> list[Pair]:
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_pairs(path)


def test_pairs_that_share_a_text_have_one_source(tmp_path: Path) -> None:
    pairs = read(
        tmp_path,
        '{"query": "a", "passage": "1"}',
        '{"query": "b", "passage": "2", "negatives": ["9", "8"]}',
        "",
        '{"query": "a", "passage": "3"}',
        '{"query": "c", "passage": "3"}',
        '{"query": "2", "passage": "b"}',
    )
    first, second, *others, last = (pair.source for pair in pairs)
    assert others == [first, first]
    assert len({first, second, last}) == 3, "a query that is another pair's passage joins nothing"
    assert pairs[1] == Pair("b", "2", "2", second, ("9", "8"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", r"line 2: expected a JSON object, \{\"query\": TEXT, .*, got \[1\]"),
        ('{"query": "a"', r"line 2: expected a JSON object, .*delimiter"),
        ('{"query": "a"}', 'line 2: expected a text that is not empty as "passage", it has none'),
        ('{"query": " ", "passage": "b"}', 'line 2: expected a text that is not empty as "query", got " "'),
        ('{"query": 1, "passage": "b"}', 'as "query", got 1'),
        ('{"query": "a", "passage": "b", "negative": []}', "line 2: unknown key 'negative': expected"),
        ('{"query": "a", "passage": "b", "negatives": ["b"]}', 'the passage is also one of the "negatives"'),
        ('{"query": "a", "passage": "b", "negatives": "c"}', 'a list of texts as "negatives", got "c"'),
        ('{"query": "a", "passage": "b", "negatives": [""]}', r'a list of texts as "negatives", got \[""\]'),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, '{"query": "a", "passage": "b"}', line)


def test_an_empty_or_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pairs.jsonl is empty: expected a JSON object per line"):
        read(tmp_path, "")
    with pytest.raises(InputError, match=r"cannot read .*none.jsonl: No such file"):
        read_pairs(tmp_path / "none.jsonl")


# --- negatives ----------------------------------------------------------------------------------------


def test_negatives_are_the_nearest_of_other_sources_that_do_not_score_as_the_answer() -> None:
    encoder = HashingEncoder()
    passages = [f"roof {' '.join(LEFT.split()[1 : 1 + 3 * number])} {number}" for number in range(12)]
    pairs = [Pair("roof word1 word2", text, text, number // 2) for number, text in enumerate(passages)]
    cosines = encoder.encode_query([pairs[0].query])[0] @ encoder.encode_document(passages).T
    for pair, answer in zip(mine(pairs, encoder, n=3), cosines, strict=True):
        expected = [
            (-cosine, number)
            for number, cosine in enumerate(cosines)
            if number // 2 != pair.source and cosine <= MOST_OF_ANSWER * answer
        ]
        found = [passages.index(text) for text in pair.negatives]
        if expected:
            assert found == [number for _, number in sorted(expected)][:3]
        else:
            assert len(found) == 3
            assert pair.source not in {number // 2 for number in found}


def test_a_negative_lacks_the_words_of_its_own_query_as_the_answer_does() -> None:
    pairs = [Pair("roof", "leaks", "roof leaks", 0), Pair("bread", "rises", "bread rises", 1)]
    assert [pair.negatives for pair in mine(pairs, HashingEncoder())] == [("rises",), ("leaks",)]


def test_a_large_document_of_ones_own_does_not_hide_the_near_passages_of_others() -> None:
    own = [Pair("roof leaks", f"roof leaks {i}", f"roof leaks {i}", 0) for i in range(100)]
    near = [Pair(f"note {i}", f"roof leak notes {i}", f"roof leak notes {i}", 1) for i in range(5)]
    far = [Pair(f"bread {i}", f"bread dough {i}", f"bread dough {i}", 2 + i) for i in range(100)]
    first, *_ = mine([*own, *near, *far], HashingEncoder(), n=5)
    assert {*first.negatives} == {pair.passage for pair in near}


def test_answers_of_the_test_are_no_negatives_of_the_training() -> None:
    pairs = [
        Pair(f"query {i}", f"answer {i}", f"answer {i}", i, (f"answer {(i + 1) % 200}",)) for i in range(200)
    ]
    rest, test = _split(pairs, seed=0)
    assert test is not None
    hidden = {f"answer {i}" for i in test.answers}
    assert len(hidden) == 40
    assert not hidden & {text for pair in rest for text in (pair.passage, *pair.negatives)}


def test_given_negatives_are_kept() -> None:
    pairs = [Pair("a", "b", "b", 0, ("c",)), Pair("d", "e", "e", 1)]
    assert [pair.negatives for pair in mine(pairs, HashingEncoder())] == [("c",), ("b",)]


@pytest.mark.parametrize("passages", [("b", 0, "d", 0), ("b", 0, "b", 1)])
def test_pairs_of_one_document_or_of_copies_have_no_negatives(passages: tuple[str, int, str, int]) -> None:
    first, source, second, other = passages
    with pytest.raises(InputError, match=r"all passages are of one document.*wrong for the query 'a'"):
        mine([Pair("a", first, first, source), Pair("c", second, second, other)], HashingEncoder())


def test_a_copy_of_the_answer_in_another_document_is_no_negative() -> None:
    pairs = [Pair("x", "same text", "same text", 0), Pair("y", "same text", "same text", 1)]
    others = [Pair("z", text, text, 2) for text in ("other", "third")]
    mined = mine([*pairs, *others], HashingEncoder())
    assert all("same text" not in pair.negatives for pair in mined[:2])
    assert np.isfinite([len(pair.negatives) for pair in mined]).all()
