"""A filter leaves what plain Python over the documents leaves; what users write is never SQL."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minisearch.errors import InputError
from minisearch.filters import And, Before, Contains, Extension, Field, Filter, Language, Not, Or, Path, Since
from minisearch.stores.base import FileStamp, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.stores.local.filters import MAX_CONDITIONS, MAX_DEPTH
from tests.plain_filters import (
    FINITE,
    HOSTILE,
    LANGUAGES,
    MOMENTS,
    NAMES,
    PATHS,
    PATTERNS,
    PHRASES,
    TEXTS,
    VALUES,
    is_left,
    ns,
)
from tests.stores.store_cases import a_chunk, assert_sound, put, vectors_of

# --- random trees over random documents ------------------------------------------------------------

fields = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(VALUES), max_size=3).map(tuple), max_size=4
)
documents = st.lists(
    st.builds(
        lambda path, language, own, mtime_ns, title: StoredDocument(
            path, "markdown", title, FileStamp(1, mtime_ns, 2, 3), b"", "", language, own
        ),
        st.sampled_from(PATHS),
        st.sampled_from(LANGUAGES),
        fields,
        st.sampled_from([0, -(2**63), 2**63 - 1, *(ns(moment) for moment in MOMENTS[:4])]),
        st.sampled_from(["", "kelp", "東京"]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda document: document.path,
)
conditions = st.one_of(
    st.sampled_from(PATTERNS).map(Path),
    st.sampled_from(["md", ".md", "MD", "tar.gz", "gz", "'", "é", "\ud800", "\0"]).map(Extension),
    st.sampled_from([*LANGUAGES, "Python", "\ud800", "\0"]).map(Language),
    st.sampled_from(MOMENTS).map(Since),
    st.sampled_from(MOMENTS).map(Before),
    st.sampled_from(PHRASES).map(Contains),
    st.builds(
        Field,
        st.sampled_from([*NAMES, "AUTHOR", "É", "SS"]),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "contains"]),
        st.sampled_from([*HOSTILE, *FINITE]),
    ),
    st.builds(Field, st.sampled_from(NAMES), st.sampled_from(["=", "!="]), st.booleans()),
    st.builds(  # a list of values, of several kinds
        lambda name, values, is_exact: Or(tuple(Field(name, "=", one, is_exact) for one in values)),
        st.sampled_from(NAMES),
        st.lists(st.sampled_from([*HOSTILE, *FINITE, True, False]), max_size=12),
        st.booleans(),
    ),
)
trees = st.recursive(
    conditions,
    lambda part: st.one_of(
        st.lists(part, max_size=3).map(tuple).map(And),
        st.lists(part, max_size=3).map(tuple).map(Or),
        part.map(Not),
    ),
    max_leaves=6,
)


chunks_of_a_document = st.lists(
    st.builds(a_chunk, st.sampled_from(TEXTS), st.sampled_from(["", "lava", "東京"])), min_size=1, max_size=2
)


def test_a_filter_leaves_what_plain_python_leaves(store, path):
    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        documents,
        st.lists(chunks_of_a_document, min_size=6, max_size=6),
        st.lists(trees, min_size=1, max_size=20),
    )
    def check(held, texts, asked):
        store.remove([document.id for document in store.documents().values()])
        chunks = {}
        for document, own in zip(held, texts, strict=False):
            store.put(document, own, vectors_of([chunk.text for chunk in own]))
            chunks |= zip(
                store.chunk_ids().tolist()[-len(own) :], [(document, chunk) for chunk in own], strict=True
            )
        for where in asked:
            expected = [id_ for id_, (document, chunk) in chunks.items() if is_left(where, document, chunk)]
            selected = store.select(where)
            assert selected.tolist() == expected, where
            assert str(selected.dtype) == "int64"

    check()
    assert_sound(path)


# --- one thing at a time -----------------------------------------------------------------------------


def a_store_of(path, **documents):
    """A store of documents of one chunk, a keyword each: its fields."""
    store = LocalStore(path, writable=True)
    for name, own in documents.items():
        store.put(
            StoredDocument(f"{name}.md", "markdown", "", FileStamp(1, 2, 3, 4), b"", "", "", own),
            [a_chunk(name)],
            vectors_of([name]),
        )
    return store


@pytest.mark.parametrize(
    ("where", "left"),
    [
        (Field("author", "=", "ann LEE"), "ab"),
        (Field("author", "!=", "ann lee"), "cd"),
        (Field("AUTHOR", "contains", "Lee"), "ab"),
        (Field("author", "=", "Ann Lee", is_exact=True), "a"),
        (Field("author", "=", "ann LEE", is_exact=True), ""),
        (Field("author", "!=", "ann lee", is_exact=True), "abcd"),
        (Field("AUTHOR", "contains", "n L", is_exact=True), "a"),
        (Field("author", "<", "a", is_exact=True), "ab"),
        (Field("year", "=", 2021, is_exact=True), "a"),
        (Field("tags", "contains", "red"), "ab"),
        (Field("tags", "contains", "dark"), "b"),
        (Field("year", ">", 2020), "ab"),
        (Field("year", ">", "2020"), "c"),
        (Field("year", "contains", 2021), "a"),
        (Field("draft", "=", True), "a"),
        (Field("draft", "=", 1), ""),
        (Field("draft", "!=", False), "acd"),
        (Field("date", ">=", "2024-05-01"), "b"),
        (Field("nothing", "=", ""), ""),
        (And(()), "abcd"),
        (Or(()), ""),
        (~And(()), ""),
        (Field("year", ">", 2020) & Field("draft", "=", True), "a"),
        (Field("year", "=", 2021) | ~Field("author", "=", "Ann Lee"), "acd"),
    ],
)
def test_fields_compare_as_they_are_described(path, where, left):
    documents = {
        "a": {
            "author": ("Ann Lee",),
            "tags": ("red", "blue"),
            "year": (2021,),
            "draft": (True,),
            "date": ("2024-04-30",),
        },
        "b": {
            "author": ("ANN LEE",),
            "tags": ("dark red",),
            "year": (2022.5,),
            "draft": (False,),
            "date": ("2024-05-01",),
        },
        "c": {"year": ("2021",)},
        "d": {},
    }
    with a_store_of(path, **documents) as store:
        assert [["", *"abcd"][id_] for id_ in store.select(where).tolist()] == list(left)


def test_fields_come_back_as_they_were_and_go_with_their_document(store, path):
    own = {
        name: tuple(value for value in VALUES if value == value and value not in (10**400, 2**53 + 1))
        for name in ("tags", "é", "a\0b")
    }
    with a_store_of(path.with_name("other.db"), a=own | {"\ud800": ("\udcff",)}, b={}) as store:
        assert store.documents(with_fields=True)["a.md"].fields == own | {"\ud800": ("\udcff",)}
        kinds = [type(value) is bool for value in store.documents(with_fields=True)["a.md"].fields["tags"]]
        assert kinds == [type(value) is bool for value in own["tags"]]
        assert store.documents(with_fields=True)["b.md"].fields == {}
        put(store, "a.md", "anew")
        assert store.documents(with_fields=True)["a.md"].fields == {}
        assert store.select(Field("tags", "=", "x")).tolist() == []
    assert_sound(path.with_name("other.db"))


def test_a_number_that_is_none_is_kept_and_equals_nothing(path):
    with a_store_of(path, a={"x": (math.nan, 10**400, -(10**400))}) as store:
        nan, huge, low = store.documents(with_fields=True)["a.md"].fields["x"]
        assert math.isnan(nan)
        assert (huge, low) == (math.inf, -math.inf)
        assert store.select(Field("x", "=", 1e308)).tolist() == []
        assert store.select(Field("x", "!=", 0)).tolist() == [1]


def test_a_chain_of_many_conditions_is_one_and_a_longer_one_is_refused(store):
    put(store, "a.md", "kelp")
    for join, n_left in (("__and__", 0), ("__or__", 1)):
        where: Filter = Extension("md")
        for i in range(MAX_CONDITIONS // 2 - 2):
            where = getattr(where, join)(Field(f"f{i}", "=", "x"))
        assert len(store.select(where)) == n_left
    for parts in (And, Or):
        assert len(store.select(parts(tuple(Extension("md") for _ in range(MAX_CONDITIONS - 1))))) == 1
        with pytest.raises(InputError, match="more than 300 conditions: use fewer"):
            store.select(parts(tuple(Extension("md") for _ in range(MAX_CONDITIONS))))


def test_equalities_of_one_field_are_one_condition(store):
    named = {"a": "author", "b": "AUTHOR", "c": "year", "d": "draft"}
    values = {"a": "Ann\0Lee", "b": "\ud800 ß", "c": 0.1, "d": True}
    for name, field in named.items():
        stamp = FileStamp(1, 2, 3, 4)
        document = StoredDocument(
            f"{name}.md", "markdown", "", stamp, b"", "", "", {field: (values[name], "x")}
        )
        store.put(document, [a_chunk(name)], vectors_of([name]))
    many = [Field("author", "=", f"n{n}") for n in range(5_000)]
    for wanted, left in [
        ([Field("author", "=", "ANN\0lee")], [1]),
        ([Field("Author", "=", "ann\0lee"), Field("AUTHOR", "=", "\ud800 SS")], [1, 2]),
        ([Field("author", "=", one, is_exact=True) for one in ("ann\0lee", "\ud800 ß", "ann")], [2]),
        ([Field("year", "=", one) for one in (0.3, 1, 10**400, 0.1, -1e308, 5e-324)], [3]),
        ([Field("draft", "=", True), Field("draft", "=", False)], [4]),
        ([Field("year", "=", 1.0), Field("draft", "=", 1.0)], []),
        ([Field("author", "=", "x"), Field("year", "=", "X"), Contains("d")], [1, 2, 3, 4]),
    ]:
        for parts in (wanted, [*many, *wanted], [*wanted, *many]):
            assert store.select(Or(tuple(parts))).tolist() == left, wanted
            assert store.select(~Or(tuple(parts))).tolist() == sorted({1, 2, 3, 4} - set(left)), wanted


@pytest.mark.parametrize(
    "join", [lambda where: ~where, lambda where: where & Or(()), lambda where: Extension("x") | where]
)
def test_a_tree_ten_thousand_deep_is_refused_without_a_crash(store, join):
    where: Filter = Extension("md")
    for _ in range(10_000):
        where = join(where)
    with pytest.raises(InputError, match="more than 300 conditions"):
        store.select(where)


def test_what_is_nested_as_deep_as_allowed_works_and_deeper_is_refused(store):
    put(store, "a.md", "kelp")
    where: Filter = Extension("md")
    is_left = True  # of a passage with kelp and without lava
    for depth in range(MAX_DEPTH):
        where = ~(where & Contains("kelp")) if depth % 2 else ~(where | Contains("lava"))
        is_left = not is_left
        assert len(store.select(where)) == is_left
    with pytest.raises(InputError, match="nested more than 25 deep: write it with fewer brackets"):
        store.select(~(where & Contains("kelp")))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (Path(""), "names nothing"),
        (Path("!a"), "negate the condition"),
        (Extension("."), "'.' is no extension of a file name: expected one such as 'md'"),
        (Extension(""), "'' is no extension"),
        (Filter(), "expected a condition of minisearch.filters, got Filter"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(store, where, message):
    with pytest.raises(InputError, match=message):
        store.select(where)


@pytest.mark.parametrize("phrase", ["kelp " * 50_000, "東" * 100_000, '"' * 100_000, "a-" * 50_000])
def test_a_phrase_that_is_too_long_is_refused(store, phrase):
    put(store, "a.md", "kelp", "東京")
    with pytest.raises(InputError, match=r"a phrase of .* characters, where at most 2,000 were expected"):
        store.select(Contains(phrase))


def test_a_phrase_is_looked_for_in_title_heading_and_text_but_not_across_them(store):
    document = StoredDocument("a.md", "markdown", "kelp farm", FileStamp(1, 2, 3, 4), b"", "")
    store.put(document, [a_chunk("moth light", "lava lamp"), a_chunk("x", "東京")], vectors_of(["a", "b"]))
    for phrase, left in [
        ("kelp farm", [1, 2]),
        ("lava lamp", [1]),
        ("moth", [1]),
        ("farm lava", []),
        ("東京", [2]),
    ]:
        assert store.select(Contains(phrase)).tolist() == left, phrase


def test_ids_are_ascending_whatever_the_order_of_documents(store):
    random_ = random.Random(1)
    for _ in range(40):
        put(store, f"{random_.randrange(9)}.md", *["kelp"] * random_.randint(0, 4))
    ids = store.select(Contains("kelp") | Path("**")).tolist()
    assert ids == sorted(ids) == store.chunk_ids().tolist()
