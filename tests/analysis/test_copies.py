"""Near copies: planted ones are found, others are not, and the lines are right."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch import MiniSearch
from minisearch.analysis.copies import LEAST_WORDS, N_WORDS, WINDOW, Duplicates, fingerprint
from minisearch.errors import InputError
from tests.fakes import HashingEncoder

DOCS = Path(__file__).parents[2] / "data" / "docs"


def found_in(folder: Path, **options: float) -> Duplicates:
    with MiniSearch.open(folder, encoder=HashingEncoder()) as ms:
        ms.index(folder)
        return ms.duplicates(**options)  # type: ignore[arg-type]


def pairs(found: Duplicates) -> set[frozenset[str]]:
    """All pairs of documents in one group, by the names of the files."""
    groups = [[group.keep, *(one.other for one in group.copies)] for group in found.groups]
    return {frozenset((Path(a).name, Path(b).name)) for group in groups for a, b in combinations(group, 2)}


def words(n: int, seed: int = 0) -> list[str]:
    random_ = random.Random(seed)
    return ["".join(random_.choices("abcdefghij", k=6)) for _ in range(n)]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=N_WORDS + WINDOW - 1, max_size=60), st.randoms())
def test_two_texts_with_a_long_enough_run_in_common_share_a_fingerprint(
    run: list[str], rng: random.Random
) -> None:
    one = [*words(rng.randrange(40), 1), *run, *words(rng.randrange(40), 2)]
    other = [*words(rng.randrange(40), 3), *run, *words(rng.randrange(40), 4)]
    assert set(fingerprint(one)[0].tolist()) & set(fingerprint(other)[0].tolist())


@given(st.lists(st.sampled_from(["a", "b", "word"]), max_size=40))
def test_a_fingerprint_is_of_runs_of_the_text(text: list[str]) -> None:
    hashes, places = fingerprint(text)
    assert len(hashes) == len(places)
    assert list(places) == sorted(set(places.tolist()))
    if len(text) < N_WORDS:
        assert not len(places)
    else:
        assert places.max() <= len(text) - N_WORDS
        gaps = [
            b - a
            for a, b in zip([-1, *places.tolist()], [*places.tolist(), len(text) - N_WORDS + 1], strict=True)
        ]
        assert max(gaps) <= WINDOW


def test_planted_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    """Copies as they are, edited, wrapped anew and with a paragraph more; and documents that are none."""
    random_ = random.Random(7)
    planted = set()
    for place, path in enumerate(sorted(DOCS.rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        name = f"{place:02}-{path.name}"
        (tmp_path / name).write_text(text, encoding="utf-8")
        if place % 2:
            continue
        tokens = text.split(" ")
        for n in random_.sample(range(len(tokens)), len(tokens) // 40):
            tokens[n] = tokens[n][::-1]
        changed = {
            0: text,
            1: " ".join(tokens),
            2: "\n\n".join(" ".join(one.split()) for one in text.split("\n\n")),
            3: text + "\n\n" + " ".join(words(max(20, len(text.split()) // 6), place)) + "\n",
        }[place // 2 % 4]
        (tmp_path / f"{place:02}-copy-{path.name}").write_text(changed, encoding="utf-8")
        planted.add(frozenset((name, f"{place:02}-copy-{path.name}")))
    found = pairs(found_in(tmp_path))
    assert len(planted) > 10
    assert len(found & planted) / len(planted) >= 0.95
    assert len(found & planted) / len(found) >= 0.95


def test_the_longest_is_kept_and_of_equal_texts_the_shortest_path(tmp_path: Path) -> None:
    text = " ".join(words(120))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.md").write_text(text)
    (tmp_path / "a.md").write_text(text)
    (tmp_path / "b.md").write_text(" ".join(words(100)))
    (group,) = found_in(tmp_path).groups
    assert Path(group.keep).resolve() == tmp_path / "a.md"
    assert {Path(one.other).name for one in group.copies} == {"a.md", "b.md"}


def test_a_shared_part_has_its_lines_in_both(tmp_path: Path) -> None:
    shared = words(60)
    lines = [" ".join(shared[n : n + 10]) for n in range(0, 60, 10)]
    (tmp_path / "a.txt").write_text(
        "\n".join([*(" ".join(words(12, n + 1)) for n in range(30)), *lines]) + "\n"
    )
    (tmp_path / "b.txt").write_text(
        "\n".join(["one two three", *lines, *(" ".join(words(12, n + 100)) for n in range(30))]) + "\n"
    )
    found = found_in(tmp_path)
    assert not found.groups
    (part,) = found.parts
    (span,) = part.spans
    by_name = {
        Path(part.path).name: (span.line, span.end_line),
        Path(part.other).name: (span.other_line, span.other_end_line),
    }
    assert by_name == {"a.txt": (31, 36), "b.txt": (2, 7)}


def test_texts_without_spaces_are_compared_by_characters(tmp_path: Path) -> None:
    random_ = random.Random(3)
    text = "".join(chr(0x4E00 + random_.randrange(2_000)) for _ in range(300))
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    (tmp_path / "b.txt").write_text(text[:250] + "".join(reversed(text[:50])), encoding="utf-8")
    assert pairs(found_in(tmp_path)) == {frozenset(("a.txt", "b.txt"))}


def test_forty_copies_are_one_group(tmp_path: Path) -> None:
    """More than are compared in pairs."""
    for n in range(40):
        (tmp_path / f"{n:02}.txt").write_text(" ".join([*words(100), f"number {n}"]))
    (group,) = found_in(tmp_path).groups
    assert len(group.copies) == 39


def test_an_empty_index_and_wrong_values(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("only a few words")
    assert found_in(tmp_path) == Duplicates((), ())
    for options in ({"least_share": 0.0}, {"least_share": 1.5}, {"least_words": 0}):
        with pytest.raises(InputError, match="expected"):
            found_in(tmp_path, **options)
    assert LEAST_WORDS == 40
