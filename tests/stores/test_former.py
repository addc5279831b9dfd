"""A text that was ever stored has its vector still: how many are kept, and of what nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.stores.local import LocalStore, history, restore
from tests.stores.store_cases import a_chunk, a_document, assert_sound, put, sql, vectors_of


def change(path, **texts):
    """One change that puts each document, or removes it where its text is None."""
    with LocalStore(path, writable=True) as store:
        run_id = store.journal.start_run([])
        store.begin_change(run_id)
        for name, text in texts.items():
            if text is None:
                store.remove([store.documents()[name].id])
            else:
                put(store, name, *([text] if isinstance(text, str) else text))
        store.journal.finish_run(run_id, "complete", {})


def remove_for_good(path, *names):
    with LocalStore(path, writable=True) as store:
        store.remove([store.documents()[name].id for name in names], for_good=True)


def known(path, *texts):
    with LocalStore(path) as reader:
        found = reader.known_vectors(list(texts))
    for text, vector in found.items():
        assert vector.tobytes() == vectors_of([text])[0].tobytes()
    return set(found)


def n_kept(path):
    ((n,),) = sql(path, "select count(*) from former_vectors")
    return n


def test_a_branch_that_comes_back_after_an_edit_is_known_whole(path):
    change(path, a="main a", b="main b", c="main c")
    change(path, a="branch a", b="branch b", c=None)
    change(path, a="branch a, edited")
    change(path, b="branch b, edited")
    assert known(path, "main a", "main b", "main c") == {"main a", "main b", "main c"}
    change(path, a="main a", b="main b", c="main c")
    for n in range(3):
        change(path, other=f"{n}")
    branch = {"branch a", "branch b", "branch a, edited", "branch b, edited"}
    assert known(path, *branch) == branch
    assert_sound(path)


def test_of_the_words_of_what_is_gone_none_is_kept(path):
    for text in ("zebra crossing", "two", "three"):
        change(path, a=text)
    assert known(path, "zebra crossing") == {"zebra crossing"}
    sql(path, "insert into meta values ('to_be_shrunk', '1')")
    with LocalStore(path, writable=True):
        pass
    assert b"zebra" not in path.read_bytes()


def test_a_text_that_the_index_holds_is_not_kept_twice(path):
    change(path, a=["head", "one", "tail"], b="tail")
    change(path, a=["head", "two", "tail"])
    change(path, a=["head", "three", "tail"])
    assert n_kept(path) == 2
    change(path, a=["head", "one", "tail"])
    assert n_kept(path) == 2  # "two" and "three": "one" is back
    assert known(path, "head", "one", "two", "three", "tail") == {"head", "one", "two", "three", "tail"}


def test_texts_between_two_changes_of_one_path_in_one_change_are_known(path):
    change(path, a="one")
    with LocalStore(path, writable=True) as store:
        for text in ("two", "three", "four"):
            put(store, "a", text)
        store.remove([store.documents()["a"].id])
    assert known(path, "one", "two", "three", "four") == {"one", "two", "three", "four"}


def test_the_longest_out_of_use_are_forgotten_first(path, monkeypatch):
    monkeypatch.setattr(history, "MIN_FORMER_VECTORS", 4)
    for n in range(5):
        change(path, a=f"{n}")
    assert n_kept(path) == 4
    change(path, a="0")  # in use again, so of the four then kept the last to go
    change(path, a="5")
    change(path, a="6")
    assert n_kept(path) == 4
    assert known(path, *map(str, range(7))) == {"3", "4", "0", "5", "6"}


def test_as_many_are_kept_as_the_index_has_chunks(path, monkeypatch):
    monkeypatch.setattr(history, "MIN_FORMER_VECTORS", 3)
    main, branch = [f"main {n}" for n in range(8)], [f"branch {n}" for n in range(7)]
    change(path, a=main)
    for texts, other in ((branch, "x"), (main, "y"), (branch, "z"), (main, "w")):
        change(path, a=texts)
        change(path, b=other)
        assert known(path, *main, *branch) == {*main, *branch}
        assert n_kept(path) <= 8 + 1  # of the index, and of what going back would need
    change(path, a="small now")
    change(path, b="and again")
    assert n_kept(path) == 3


def test_what_a_user_removes_is_known_until_the_next_change_only(path):
    change(path, a="secret plan", b="old b")
    change(path, a="secret plan, edited", b="b")
    change(path, c="c")
    assert n_kept(path) == 2
    remove_for_good(path, "a")
    assert n_kept(path) == 0
    assert known(path, "secret plan", "secret plan, edited") == {"secret plan, edited"}  # to go back
    change(path, c="d")
    assert known(path, "secret plan", "secret plan, edited") == set()
    change(path, c="e")
    assert known(path, "secret plan", "secret plan, edited", "c") == {"c"}


def test_what_a_user_removes_of_what_had_left_the_index_just_before_is_not_kept(path):
    change(path, a="one", b="b")
    change(path, a="two", b=None)
    remove_for_good(path, "a")
    change(path, c="c")
    change(path, c="d")
    assert known(path, "one", "two", "b") == set()


def test_a_removal_taken_back_and_made_again_keeps_nothing_either(path):
    change(path, a="plan", b="b")
    remove_for_good(path, "a")
    with LocalStore(path, writable=True) as store:
        store.roll_back()
    assert known(path, "plan") == {"plan"}
    with LocalStore(path, writable=True) as store:
        store.roll_back()
    change(path, c="c")
    change(path, c="d")
    assert known(path, "plan", "b") == {"b"}


def test_a_file_that_comes_back_after_its_removal_is_as_any_other(path):
    change(path, a="plan")
    remove_for_good(path, "a")
    change(path, a="new")
    for n in range(3):
        change(path, a=f"{n}")
    assert known(path, "plan", "new", "0") == {"new", "0"}


def test_vectors_outlive_going_back_and_forth(path):
    for text in ("one", "two", "three", "four"):
        change(path, a=text)
    for _ in range(3):
        with LocalStore(path, writable=True) as store:
            store.roll_back()
        assert known(path, "one", "two", "three", "four") == {"one", "two", "three", "four"}
    change(path, a="five")
    change(path, a="six")
    assert known(path, "one", "two", "three", "four", "five") == {"one", "two", "three", "four", "five"}


def put_unscreened(store, name, text):
    store.put(replace(a_document(name), keeps_secrets=True), [a_chunk(text)], vectors_of([text]))


@pytest.mark.parametrize("ends_as", ["screened", "gone before"])
def test_of_what_was_not_screened_nothing_is_kept_once_it_is(path, ends_as):
    change(path, plain="old")
    change(path, plain="new")
    for text in ("token 1", "token 2", "token 3"):
        with LocalStore(path, writable=True) as store:
            put_unscreened(store, "a", text)
            store.forget_secrets(lambda _: True)
    assert known(path, "token 1", "token 2") == {"token 1", "token 2"}
    if ends_as == "gone before":
        change(path, a=None)
        change(path, plain="newer")
        assert known(path, "token 3") == {"token 3"}
    with LocalStore(path, writable=True) as store:
        if ends_as == "screened":
            put(store, "a", "[token]")
        store.forget_secrets(lambda _: False)
        assert "to_be_shrunk" in store.meta()
    assert known(path, "token 1", "token 2", "token 3", "old", "new") == {"old", "new"}
    vectors = vectors_of(["token 1", "token 2", "token 3"])
    assert not any(vector.tobytes() in path.read_bytes() for vector in vectors)
    assert_sound(path)


@pytest.mark.parametrize(
    "damage",
    ["vector = zeroblob(32)", "vector = x'00'", "vector = 'text'", "crc32 = crc32 + 1", "crc32 = 'x'"],
)
def test_a_damaged_one_is_not_used(path, damage):
    for text in ("one", "two", "three"):
        change(path, a=text)
    sql(path, f"update former_vectors set {damage}")
    assert known(path, "one", "two", "three") == {"two", "three"}
    with LocalStore(path) as store:
        assert any("former text 1" in problem for problem in store.check())


def test_a_change_that_fails_keeps_and_forgets_nothing(path):
    for text in ("one", "two", "three"):
        change(path, a=text)
    with LocalStore(path, writable=True) as store:
        put(store, "a", "four")
        before = sql(path, "select * from former_vectors")
        with pytest.raises(ValueError, match="zip"):
            store.put(a_document("a"), [a_chunk("five")], vectors_of([]))
        with pytest.raises(RuntimeError), store.snapshot():
            store.remove([], for_good=True)
            raise RuntimeError
        assert sql(path, "select * from former_vectors") == before
    assert known(path, "one", "two", "three", "four") == {"one", "two", "three", "four"}


def test_a_backup_has_them_too(path, tmp_path):
    for text in ("one", "two", "three"):
        change(path, a=text)
    with LocalStore(path) as store:
        store.backup(tmp_path / "copy")
    restored = tmp_path / "restored.db"
    restore(tmp_path / "copy", restored)
    assert known(restored, "one") == {"one"}


def test_a_change_asks_no_more_of_the_database_the_more_documents_it_has(path):
    """However much a change replaces, what becomes of its vectors is a handful of statements."""
    n_statements = []
    for n in (3, 60):
        for part in range(3):
            change(path, **{f"{name}": f"{part} {name}" for name in range(n)})
        with LocalStore(path, writable=True) as store:
            store.begin_change(0)
            put(store, "last", f"{n}")
            seen = []
            store._connection._db.set_trace_callback(seen.append)
            store._undo.forget()
            store._connection._db.set_trace_callback(None)
            n_statements.append(len({one for one in seen if not one.startswith("--")}))
    assert n_statements[0] >= n_statements[1]


steps = st.lists(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from("123456"), max_size=3)),
        min_size=1,
        max_size=3,
    ),
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(changes=steps)
def test_whatever_was_stored_is_known(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("former") / "minisearch.db"
    change(path, a="0")
    stored = {"0"}
    for one in changes:
        with LocalStore(path, writable=True) as store:
            for name, texts in one:
                put(store, name, *texts)
                stored.update(texts)
        assert known(path, *stored, "never") == stored
        assert n_kept(path) <= len(stored)
