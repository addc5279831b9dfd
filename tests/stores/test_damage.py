"""Whatever is done to a database's files, it answers as before, or with an error that has a name.

A database at rest is sealed: every damage to it is found. One that a killed writer left is not: its log may
be cut short, and then it is what it was at an earlier moment, never anything else.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from minisearch.errors import IndexCorrupt, StoreError
from minisearch.filters import Contains, Field, Language
from minisearch.stores.local import LocalStore
from minisearch.stores.local.seal import read_seal
from tests.stores.store_cases import (
    DIMENSION,
    STAMP,
    a_chunk,
    a_document,
    contents,
    lexical,
    put,
    sql,
    vectors_of,
)

CHECKOUT = Path(__file__).parents[2]
WORDS = ["kelp", "lava", "moth", "quartz", "天気"]
N_DAMAGED = 500
PAGE = 4096

CUT_OFF = """
import os, signal, sys
from pathlib import Path
from minisearch.stores.local import LocalStore
from tests.stores.store_cases import put
from tests.stores.test_damage import texts

path = Path(sys.argv[1])
with LocalStore(path, writable=True) as store:
    store.set_meta(dimension="8")
store = LocalStore(path, writable=True)
for n in range(int(sys.argv[2])):
    put(store, f"{n}.md", *texts(n))
os.kill(os.getpid(), signal.SIGKILL)
"""


def texts(n):
    dice = random.Random(n)
    return [" ".join(dice.choices(WORDS, k=dice.randint(3, 60))) for _ in range(6)]


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rest")
    with LocalStore(folder / "minisearch.db", writable=True) as store:
        store.set_meta(dimension=str(DIMENSION))
        for n in range(25):
            put(store, f"{n}.md", *texts(n))
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder as a killed writer leaves it: 25 documents, some of them in the log only."""
    folder = tmp_path_factory.mktemp("killed")
    subprocess.run(
        [sys.executable, "-c", CUT_OFF, str(folder / "minisearch.db"), "25"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        check=False,
    )
    assert (folder / "minisearch.db-wal").stat().st_size > 100_000
    return folder


def answers(folder):
    """All that can be asked of a store."""
    with LocalStore(folder / "minisearch.db") as store, store.snapshot():
        return (
            contents(store),
            sorted(store.documents()),
            store.counts(),
            store.generation,
            [lexical(store, word, 20).ids.tolist() for word in WORDS],
            [store.select(Contains(word)).tolist() for word in WORDS],
            {text: vector.tobytes() for text, vector in store.known_vectors(texts(3)).items()},
            (store.notes(), store.journal.skipped(), store.journal.last_run()),
        )


def zero_a_page(data, dice):
    start = PAGE * dice.randrange(len(data) // PAGE)
    return data[:start] + bytes(PAGE) + data[start + PAGE :]


def flip_a_bit(data, dice):
    data = bytearray(data)
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(data)


def flip_many(data, dice):
    for _ in range(dice.randint(2, 50)):
        data = flip_a_bit(data, dice)
    return data


def swap_pages(data, dice):
    one, two = (PAGE * dice.randrange(len(data) // PAGE) for _ in range(2))
    data = bytearray(data)
    data[one : one + PAGE], data[two : two + PAGE] = data[two : two + PAGE], data[one : one + PAGE]
    return bytes(data)


def cut(data, dice):
    return data[: dice.randrange(len(data))]


def cut_at_a_page(data, dice):
    return data[: PAGE * dice.randrange(len(data) // PAGE)]


def add(data, dice):
    return data + dice.randbytes(dice.choice([1, PAGE, 3 * PAGE]))


def noise_in_the_header(data, dice):
    start = dice.randrange(100)
    return data[:start] + dice.randbytes(4) + data[start + 4 :]


def empty(data, dice):
    return b""


def a_text(data, dice):
    return b"# Notes\n" * dice.randint(1, 2_000)


DAMAGES = [zero_a_page, flip_a_bit, flip_many, swap_pages, cut, cut_at_a_page, add, noise_in_the_header]
DAMAGES += [empty, a_text]


def damage(folder, original, name, dice, n):
    """The folder with one of its files damaged; the others as they were."""
    for file in folder.iterdir():
        file.unlink()
    for file in original.iterdir():
        shutil.copy(file, folder)
    whole = (original / name).read_bytes()
    damaged = whole
    while damaged == whole:
        damaged = DAMAGES[n % len(DAMAGES)](whole, dice)
    (folder / name).write_bytes(damaged)
    return DAMAGES[n % len(DAMAGES)].__name__


def test_every_damage_to_a_database_at_rest_is_an_error_with_a_name(at_rest, tmp_path):
    dice = random.Random(1)
    expected = answers(at_rest)
    silent = Counter()
    for n in range(N_DAMAGED):
        how = damage(tmp_path, at_rest, "minisearch.db", dice, n)
        try:
            answers(tmp_path)
        except StoreError as error:
            assert str(tmp_path / "minisearch.db") in str(error)
        else:
            silent[how] += 1
    assert not silent
    assert answers(at_rest) == expected


def test_damage_without_a_trace_changes_no_row_that_is_read_and_a_check_finds_it(at_rest, tmp_path):
    """Size and time stay as they were, as with damage below the file system: a query trusts the file."""
    dice = random.Random(6)
    expected, outcomes = answers(at_rest), Counter()
    for n in range(N_DAMAGED // 5):
        damage(tmp_path, at_rest, "minisearch.db", dice, n)
        path, sealed = tmp_path / "minisearch.db", read_seal(tmp_path / "minisearch.db")
        if path.stat().st_size != sealed.n_bytes:
            continue
        os.utime(path, ns=(sealed.mtime_ns, sealed.mtime_ns))
        try:
            held, documents, *rest = answers(tmp_path)
        except StoreError:
            outcomes["error"] += 1
            continue
        except AssertionError:  # of `contents`: an index of SQLite, which has no checksum, lists other ids
            outcomes["wrong until checked"] += 1
        else:
            assert (held, documents) == expected[:2]
            outcomes["same" if tuple(rest) == expected[2:] else "wrong until checked"] += 1
        with LocalStore(path) as store:
            assert store.check(deep=True) != []
    assert outcomes["error"] and outcomes["same"]


def test_a_writer_makes_no_damaged_database_good(at_rest, tmp_path):
    dice = random.Random(2)
    for n in range(60):
        damage(tmp_path, at_rest, "minisearch.db", dice, n)
        before = (tmp_path / "minisearch.db").read_bytes()
        if not before:
            continue  # an empty file is a new database
        with pytest.raises(StoreError), LocalStore(tmp_path / "minisearch.db", writable=True) as store:
            put(store, "new.md", "new")
        assert (tmp_path / "minisearch.db").read_bytes() == before


def test_damage_to_the_seal_alone_changes_no_answer(at_rest, tmp_path):
    dice = random.Random(3)
    expected = answers(at_rest)
    for n in range(40):
        if DAMAGES[n % len(DAMAGES)] in (zero_a_page, swap_pages, cut_at_a_page):
            continue
        damage(tmp_path, at_rest, "minisearch.db.seal", dice, n)
        assert answers(tmp_path) == expected


def test_a_log_that_is_damaged_or_gone_leaves_an_earlier_moment_or_an_error(killed, tmp_path):
    """What was in the lost part cannot be told from what was never written: the next run makes it again."""
    dice = random.Random(4)
    outcomes = Counter()
    whole = {f"{n}.md": n for n in range(25)}
    for n in range(N_DAMAGED // 5):
        how = damage(tmp_path, killed, "minisearch.db-wal", dice, n)
        if how == "empty" and n % 20 > 9:
            (tmp_path / "minisearch.db-wal").unlink()
        try:
            held, documents, counts, generation, lexical, contains, known, _ = answers(tmp_path)
        except StoreError:
            outcomes["error"] += 1
            continue
        assert documents == sorted(list(whole)[: len(documents)])  # the first ones, none out of turn
        assert [[text for text, _ in held[path]] for path in documents] == [
            texts(whole[p]) for p in documents
        ]
        assert (counts, generation) == ((len(documents), 6 * len(documents)), len(documents))
        by_id = dict(enumerate((text for n in range(len(documents)) for text in texts(n)), 1))
        for word, ids, selected in zip(WORDS, lexical, contains, strict=True):
            holding = [id_ for id_, text in by_id.items() if word in text.split()]
            assert selected == holding
            assert set(ids) <= set(holding)
        assert sorted(known) == (sorted(set(texts(3))) if len(documents) > 3 else [])
        outcomes["whole" if len(documents) == 25 else "earlier"] += 1
    assert outcomes["earlier"] > 10
    assert outcomes["whole"] < N_DAMAGED // 10


def test_a_killed_writer_s_file_damaged_beside_its_log_is_never_more_than_it_was(killed, tmp_path):
    """Without a seal there are the checksums of the rows, and SQLite's own checks."""
    dice = random.Random(5)
    expected = contents_of(killed)
    n_errors = 0
    for n in range(100):
        damage(tmp_path, killed, "minisearch.db", dice, n)
        try:
            found = contents_of(tmp_path)
        except StoreError:
            n_errors += 1
        else:
            assert found == expected
    assert n_errors > 10


def contents_of(folder):
    with LocalStore(folder / "minisearch.db") as store:
        return contents(store)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            "update fields set folded = 'x', text = 'x' where name = cast('author' as blob)",
            "a field of 'a.md' is not",
        ),
        ("update fields set document_id = 2 where name = cast('author' as blob)", "a field of 'b.md' is not"),
        ("update documents set language = 'x' where id = 1", "the record of 'a.md' is not"),
    ],
)
def test_a_filter_never_answers_from_a_damaged_field(path, damage, message):
    with LocalStore(path, writable=True) as store:
        for name in ("a.md", "b.md"):
            fields = {"author": (name,), "odd": (math.nan, -0.0, math.inf, 10**400, True, "\udc80\0")}
            document = replace(a_document(name), fields=fields)
            store.put(document, [a_chunk(name)], vectors_of([name]), ["a note"])
    path.with_name("minisearch.db.seal").unlink()
    where = Field("author", "=", "A.md") | Language("x")
    with LocalStore(path) as reader:
        assert reader.select(where).tolist() == [1]
        assert reader.check() == []
    sql(path, damage)
    with LocalStore(path) as reader, pytest.raises(IndexCorrupt, match=message):
        reader.select(where)
    with LocalStore(path) as reader, pytest.raises(IndexCorrupt, match=message):
        reader.documents(with_fields=True)
    for among in (None, ["author"]):
        with LocalStore(path) as reader, pytest.raises(IndexCorrupt, match=message):
            reader.field_names(among)


def test_a_damaged_note_is_not_shown(path):
    with LocalStore(path, writable=True) as store:
        store.put(a_document("a.md"), [a_chunk("kelp")], vectors_of(["kelp"]), ["a note"])
    sql(path, "update notes set text = 'A note'")
    with (
        LocalStore(path) as reader,
        pytest.raises(IndexCorrupt, match=r"a note on 'a\.md' is not what was stored"),
    ):
        reader.notes()


def test_a_document_that_was_read_again_has_a_checksum_of_its_new_stamp(path):
    stamp = replace(STAMP, mtime_ns=STAMP.mtime_ns + 1)
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "kelp")
        store.restamp(1, stamp)
        assert store.documents()["a.md"].stamp == stamp
        assert store.check() == []
