"""One index, many callers: threads, coroutines, and processes that were forked while others work."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.errors import InputError
from minisearch.parsers.sandbox import Sandbox
from minisearch.stores.local.files import writer_lock
from minisearch.threads import NoFork, Pool, Turn
from tests.fakes import HashingEncoder

DOCUMENTS = [{"id": f"d{n}", "text": f"word{n} and word{n + 1} about the sea"} for n in range(20)]
QUERIES = {f"word{n} word{n + 1} sea": f"d{n}" for n in range(20)}

# From Python 3.12 on, a fork beside other threads is warned of.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


class PausedEncoder(HashingEncoder):
    """Waits inside the first query of a thread until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.is_inside, self.goes_on = threading.Event(), threading.Event()
        self.paused: int | None = None

    def encode_query(self, texts):
        if threading.get_ident() == self.paused:
            self.paused = None
            self.is_inside.set()
            self.goes_on.wait()
        return super().encode_query(texts)


@pytest.fixture
def ms(tmp_path: Path) -> Iterator[MiniSearch]:
    with MiniSearch.open(tmp_path, encoder=PausedEncoder()) as ms:
        ms.add(DOCUMENTS)
        yield ms


def forked(work: Callable[[], object]) -> int:
    """The id of a child process that does this work; its status is 0 if no exception ends it."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.alarm(120)  # a child that hangs ends with this signal
        work()
        status = 0
    finally:
        os._exit(status)


def status_of(pid: int) -> int:
    return os.waitpid(pid, 0)[1]


def ask_all(ms: MiniSearch, n: int = 1) -> None:
    for text, expected in list(QUERIES.items()) * n:
        assert ms.query(text, k=1)[0].path == expected


def pause(ms: MiniSearch, encoder: PausedEncoder) -> threading.Thread:
    """A thread that is in the middle of a query."""

    def ask() -> None:
        encoder.paused = threading.get_ident()
        ms.query("anything")

    thread = threading.Thread(target=ask)
    thread.start()
    encoder.is_inside.wait()
    return thread


def test_a_query_does_not_wait_for_another_thread_and_close_waits_for_both(ms: MiniSearch) -> None:
    encoder = ms.searcher._encoders.to_index("")
    asking = pause(ms, encoder)
    ask_all(ms)
    closing = threading.Thread(target=ms.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    encoder.goes_on.set()
    asking.join()
    closing.join()
    ask_all(ms)


def test_a_pool_makes_no_more_than_its_size_and_uses_each_again() -> None:
    made: list[list[int]] = []
    in_use, most, lock = 0, 0, threading.Lock()

    def renewed(found: list[int] | None) -> list[int]:
        if found is None:
            made.append(found := [])
        return found

    pool = Pool(3, renewed, list.clear)

    def use() -> None:
        nonlocal in_use, most
        for _ in range(50):
            with pool.one() as one:
                with lock:
                    in_use += 1
                    most = max(most, in_use)
                one.append(1)
                with lock:
                    in_use -= 1

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most <= 3, len(made) <= 3, sum(map(len, made))) == (True, True, 400)
    pool.close()
    assert sum(map(len, made)) == 0


def test_threads_that_have_all_objects_of_a_pool_get_more() -> None:
    pool = Pool(2, lambda found: found or [1], list.clear)
    together = threading.Barrier(2)

    def use() -> None:
        with pool.one() as first:
            together.wait()
            with pool.one() as second:
                assert first is not second
                together.wait()

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pool.one():
        pool.close()  # as a signal handler may: it does not wait for its own thread


def test_an_object_that_was_long_free_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr("minisearch.threads.time.monotonic", lambda: now_s[0])
    closed: list[int] = []
    numbers = iter(range(10))
    pool = Pool(2, lambda found: next(numbers) if found is None else found, closed.append)
    with pool.one(), pool.one():
        pass
    for _ in range(3):
        now_s[0] += 50
        with pool.one() as used:
            assert used == 0
    assert closed == [1]


def test_a_pool_is_whole_after_an_error() -> None:
    pool = Pool(1, lambda found: found or [1], list.clear)
    for _ in range(3):
        with pytest.raises(ValueError, match="an error"), pool.one():
            raise ValueError("an error")
    failing = Pool(1, lambda _: 1 // 0, print)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), failing.one():
            pass
    failing.close()


# --- fork ------------------------------------------------------------------------------------------


def test_a_child_that_was_forked_during_a_query_has_answers(ms: MiniSearch) -> None:
    encoder = ms.searcher._encoders.to_index("")
    thread = pause(ms, encoder)
    pid = forked(lambda: ask_all(ms))
    encoder.goes_on.set()
    thread.join()
    assert status_of(pid) == 0
    ask_all(ms)


def test_a_child_sees_what_was_added_after_the_fork(ms: MiniSearch) -> None:
    ask_all(ms)
    reading, writing = os.pipe()

    def wait_and_ask() -> None:
        os.close(writing)
        os.read(reading, 1)
        assert ms.query("a giraffe", k=1)[0].path == "new"

    pid = forked(wait_and_ask)
    ms.add([{"id": "new", "text": "a giraffe"}])
    ms.close()  # the parent's last connection, which would remove the log of a database that nobody uses
    os.close(writing)
    os.close(reading)
    assert status_of(pid) == 0


def test_a_child_that_was_forked_during_a_run_does_not_keep_the_writers_lock(
    ms: MiniSearch, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    with writer_lock(tmp_path / ".minisearch"):
        pid = forked(lambda: (os.close(writing), os.read(reading, 1)))
    ms.add([{"id": "new", "text": "a giraffe"}])  # while the child lives
    os.close(writing)
    os.close(reading)
    assert status_of(pid) == 0


def test_threads_and_forked_processes_query_one_index_that_is_written(ms: MiniSearch) -> None:
    is_over, errors = threading.Event(), []

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not is_over.is_set():
                work()
        except Exception as error:
            errors.append(error)

    numbers = iter(range(10_000))

    def write() -> None:
        ms.add([{"id": "changing", "text": f"version {next(numbers)} of a giraffe"}])

    threads = [threading.Thread(target=repeat, args=[lambda: ask_all(ms)]) for _ in range(8)]
    threads.append(threading.Thread(target=repeat, args=[write]))
    for thread in threads:
        thread.start()
    children = [forked(lambda: ask_all(ms, 2)) for _ in range(4)]
    statuses = list(map(status_of, children))
    is_over.set()
    for thread in threads:
        thread.join()
    assert (statuses, errors) == ([0] * 4, [])
    assert ms.verify().problems == ()


def test_a_turn_is_free_in_a_child_and_still_owned_by_the_thread_that_forked() -> None:
    turn, is_inside, is_over = Turn(), threading.Event(), threading.Event()

    def hold() -> None:
        with turn:
            is_inside.set()
            is_over.wait()

    def take() -> None:
        with turn, turn:
            pass

    thread = threading.Thread(target=hold)
    thread.start()
    is_inside.wait()
    pid = forked(take)
    is_over.set()
    thread.join()
    assert status_of(pid) == 0
    with turn:
        assert status_of(forked(take)) == 0


def test_a_fork_waits_until_other_threads_are_out_and_keeps_them_out() -> None:
    guard, steps = NoFork(), []
    is_inside, may_leave = threading.Event(), threading.Event()

    def first() -> None:
        with guard, guard:
            is_inside.set()
            may_leave.wait()
            steps.append("left")

    def fork() -> None:
        guard.before_fork()
        steps.append("fork")
        late.start()
        guard.in_parent()

    def second() -> None:
        with guard:
            steps.append("entered")

    late = threading.Thread(target=second)
    threads = [threading.Thread(target=first), threading.Thread(target=fork)]
    threads[0].start()
    is_inside.wait()
    threads[1].start()
    may_leave.set()
    for thread in threads:
        thread.join()
    late.join()
    assert (steps, guard.is_kept) == (["left", "fork", "entered"], True)
    with guard:  # the thread that forks may be inside itself
        guard.before_fork()
        assert guard.is_kept
        guard.in_child()


def test_a_parser_process_that_was_busy_at_the_fork_is_not_waited_for() -> None:
    sandbox = Sandbox()
    is_inside, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with sandbox._lock:
            is_inside.set()
            is_over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    is_inside.wait()
    pid = forked(sandbox.close)
    is_over.set()
    thread.join()
    assert status_of(pid) == 0


# --- await -----------------------------------------------------------------------------------------


def test_the_event_loop_goes_on_while_a_query_runs(ms: MiniSearch) -> None:
    encoder = ms.searcher._encoders.to_index("")

    async def both() -> None:
        def start() -> str:
            encoder.paused = threading.get_ident()
            return ms.query("word3 word4 sea", k=1)[0].path

        asked = asyncio.create_task(asyncio.to_thread(start))
        while not encoder.is_inside.is_set():
            await asyncio.sleep(0)
        assert (await ms.aquery("word5 word6 sea", k=1))[0].path == "d5"
        encoder.goes_on.set()
        assert await asked == "d3"

    asyncio.run(both())


def test_every_awaited_method_does_as_its_namesake(ms: MiniSearch, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("a giraffe")

    async def use() -> None:
        assert await ms.aquery("word3", k=2) == ms.query("word3", k=2)
        assert await ms.aquery_many(["word3", "sea"], k=2) == ms.query_many(["word3", "sea"], k=2)
        assert await ms.acontext("word3 word4") == ms.context("word3 word4")
        assert await ms.aget("d3") == ms.get("d3")
        assert await ms.asimilar("d3", k=2) == ms.similar("d3", k=2)
        assert (await ms.aembed(["sea"])).tolist() == ms.embed(["sea"]).tolist()
        assert (await ms.aindex(tmp_path)).added == 1
        assert (await ms.aadd([{"id": "new", "text": "a zebra"}])).added == 1
        assert (await ms.aupdate([{"id": "new", "text": "a zebra at sea"}])).updated == 1
        assert await ms.aremove("new") == 1
        with pytest.raises(InputError, match="k is 0"):
            await ms.aquery("sea", k=0)

    asyncio.run(use())


def test_an_add_that_is_cancelled_is_whole(ms: MiniSearch) -> None:
    has_begun, goes_on = threading.Event(), threading.Event()

    def on_progress(_: object) -> None:
        has_begun.set()
        goes_on.wait()

    async def cancel() -> None:
        added = asyncio.create_task(ms.aadd([{"id": "new", "text": "a giraffe"}], on_progress=on_progress))
        await asyncio.to_thread(has_begun.wait)
        added.cancel()
        with pytest.raises(asyncio.CancelledError):
            await added
        goes_on.set()

    asyncio.run(cancel())  # ends when the threads of its calls have
    assert ms.query("a giraffe", k=1)[0].path == "new"
    assert ms.verify().problems == ()
