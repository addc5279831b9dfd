"""A thread that runs out of memory as it begins is an error, not a wait without an end."""

from __future__ import annotations

import sys
import threading

import pytest

from minisearch import threads
from minisearch.indexing.pipeline import read_ahead
from minisearch.stores.local.connection import interruptible


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """New threads end before their first step, as they do when memory runs out."""

    def end(_: threading.Thread) -> None:
        raise MemoryError

    monkeypatch.setattr(threads, "START_TIMEOUT_S", 0.2)
    monkeypatch.setattr(threading.Thread, "_bootstrap", end)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


@pytest.mark.usefixtures("no_memory")
def test_a_thread_that_cannot_begin_raises() -> None:
    with pytest.raises(MemoryError):
        threads.DaemonThread(list).start()
    with pytest.raises(MemoryError), read_ahead([1], limit=1) as items:
        next(items)
    with pytest.raises(MemoryError):
        interruptible(lambda: 1, lambda: None)


def test_a_system_without_room_for_a_thread_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "_start_new_thread", refuse)
    with pytest.raises(MemoryError):
        threads.DaemonThread(list).start()


def test_a_thread_that_works_ends_as_any_other() -> None:
    done: list[int] = []
    thread = threads.DaemonThread(lambda: done.append(1))
    thread.start()
    thread.join()
    assert (done, thread.daemon, thread.is_alive()) == ([1], True, False)


def test_items_whose_maker_ends_without_a_last_word_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had no memory for the error either."""
    monkeypatch.setattr(threads.DaemonThread, "run", lambda _: None)
    with pytest.raises(MemoryError), read_ahead([1, 2], limit=9) as items:
        list(items)
