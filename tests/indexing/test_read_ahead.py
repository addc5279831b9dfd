"""Items come ahead of their use, in order, within bounds, and the thread that makes them does not stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minisearch.indexing.pipeline import read_ahead


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class Counted:
    """Numbers without end; ``n_made`` says how many were asked for."""

    def __init__(self) -> None:
        self.n_made = 0

    def __iter__(self) -> Iterator[int]:
        while True:
            self.n_made += 1
            yield self.n_made

    def settles_at(self, n: int) -> bool:
        """Whether n are made before long, and no more a moment later."""
        deadline_s = time.monotonic() + 10
        while self.n_made < n and time.monotonic() < deadline_s:
            time.sleep(0.001)
        time.sleep(0.02)
        return self.n_made == n


@pytest.mark.parametrize("limit", [1, 2, 1_000])
@pytest.mark.parametrize("n", [0, 1, 300])
def test_all_items_come_in_order(n: int, limit: int) -> None:
    with read_ahead(iter(range(n)), limit=limit) as numbers:
        assert list(numbers) == list(range(n))


def test_items_are_made_in_another_thread_before_they_are_asked_for() -> None:
    is_made = threading.Event()

    def items() -> Iterator[threading.Thread]:
        is_made.set()
        yield threading.current_thread()

    with read_ahead(items(), limit=1) as threads:
        assert is_made.wait(10)
        assert next(threads) is not threading.current_thread()


def test_no_more_wait_than_the_limit() -> None:
    numbers = Counted()
    with read_ahead(numbers, limit=3) as taken:
        assert numbers.settles_at(3)
        assert [next(taken), next(taken)] == [1, 2]
        assert numbers.settles_at(5)


def test_the_limit_is_of_sizes_where_there_are_some() -> None:
    numbers = Counted()
    with read_ahead(numbers, limit=10, size=lambda number: number) as taken:
        assert numbers.settles_at(4)  # 1 + 2 + 3 are not yet 10
        assert [next(taken) for _ in range(4)] == [1, 2, 3, 4]
        assert numbers.settles_at(6)  # 5 + 6


def test_an_error_comes_after_the_items_before_it_and_as_it_was_raised() -> None:
    error = LookupError("the third is missing")

    def items() -> Iterator[int]:
        yield from (1, 2)
        raise error

    taken = []
    with pytest.raises(LookupError) as caught, read_ahead(items(), limit=9) as numbers:
        for number in numbers:
            taken.append(number)  # noqa: PERF402 - a list would be lost with the error
    assert caught.value is error
    assert taken == [1, 2]
    assert "items" in [entry.name for entry in caught.traceback], "where it happened is still to be seen"


def test_an_error_of_the_size_comes_out_too() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        read_ahead([0], limit=1, size=lambda number: 1 // number) as numbers,
    ):
        next(numbers)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_leaving_the_block_stops_a_maker_that_waits_for_room(error: type[BaseException]) -> None:
    numbers = Counted()
    with pytest.raises(error), read_ahead(numbers, limit=2) as taken:
        assert next(taken) == 1
        assert numbers.settles_at(3)
        raise error
    assert numbers.settles_at(3)


def test_leaving_the_block_stops_a_maker_in_the_middle_of_an_item() -> None:
    stop = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert stop.wait(10), "nobody said that no more are wanted"
        raise InterruptedError  # given up; nobody is left to hear of it

    with read_ahead(items(), limit=9, stop=stop) as numbers:
        assert next(numbers) == 1


def test_an_error_that_was_not_taken_is_not_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError

    with read_ahead(items(), limit=9) as numbers:
        assert next(numbers) == 1


def test_items_end_where_they_are_taken_too_once_no_more_are_wanted() -> None:
    stop = threading.Event()
    numbers = Counted()
    with read_ahead(numbers, limit=2, stop=stop) as taken:
        assert numbers.settles_at(2)
        stop.set()
        assert list(taken) == [1, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_is_heard_while_waiting_for_an_item() -> None:
    stop = threading.Event()

    def items() -> Iterator[int]:
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait(10)
        yield 1

    started_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt), read_ahead(items(), limit=1, stop=stop) as numbers:
        next(numbers)
    assert time.monotonic() - started_s < 5


def test_a_maker_in_one_long_step_is_not_waited_for_longer_than_ctrl_c_may_take() -> None:
    step = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        step.wait(20)
        yield 2

    started_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt), read_ahead(items(), limit=9) as numbers:
        next(numbers)
        raise KeyboardInterrupt
    took_s = time.monotonic() - started_s
    step.set()
    for thread in threading.enumerate():
        if thread.name == "read ahead":
            thread.join()
    assert took_s < 2


STUCK = """
import threading
from minisearch.indexing.pipeline import read_ahead

def items():
    yield 1
    threading.Event().wait(60)  # as in a read from a network folder that is gone

with read_ahead(items(), limit=9) as numbers:
    next(numbers)
    raise KeyboardInterrupt
"""


def test_a_maker_that_is_stuck_does_not_keep_the_process_from_ending() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, cwd=root, timeout=30, check=False
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
