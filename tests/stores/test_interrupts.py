"""Work in a thread: what it gives and raises, and that a signal ends it, whenever that comes."""

from __future__ import annotations

import threading

import pytest

from minisearch.stores.local.connection import interruptible


class Endless:
    """Work that ends when it is told to, for so many interrupts."""

    def __init__(self, n_interrupts=1):
        self.n_left = n_interrupts
        self.has_begun, self.is_over, self.stop = threading.Event(), threading.Event(), threading.Event()

    def __call__(self):
        self.has_begun.set()
        assert self.stop.wait(20)
        self.is_over.set()

    def interrupt(self):
        self.n_left -= 1
        if not self.n_left:
            self.stop.set()


def test_work_gives_what_it_gives_and_raises_what_it_raises():
    interrupts = []
    assert interruptible(lambda: threading.current_thread(), interrupts.append) is not threading.main_thread()
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 / 0, interrupts.append)
    assert interrupts == []


def test_in_a_thread_that_no_signal_comes_to_work_is_done_there():
    found = []
    thread = threading.Thread(target=lambda: found.append(interruptible(threading.current_thread, None)))
    thread.start()
    thread.join()
    assert found == [thread]


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("has_begun", [False, True])
def test_a_signal_that_comes_as_the_thread_is_started_ends_the_work(monkeypatch, signal, has_begun):
    work, start = Endless(n_interrupts=3), threading.Thread.start

    def start_and_be_told(thread):
        if has_begun:
            start(thread)
            assert work.has_begun.wait(20)
        raise signal

    with monkeypatch.context() as patch, pytest.raises(signal):
        patch.setattr(threading.Thread, "start", start_and_be_told)
        interruptible(work, work.interrupt)
    assert (work.has_begun.is_set(), work.is_over.is_set()) == (has_begun, has_begun)


def test_a_second_signal_does_not_leave_the_work_alone():
    work = Endless(n_interrupts=4)

    def interrupt():
        work.interrupt()
        raise KeyboardInterrupt

    def begin():
        work.has_begun.wait(20)
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        start = threading.Thread.start
        patch.setattr(threading.Thread, "start", lambda thread: (start(thread), begin()))
        interruptible(work, interrupt)
    assert work.is_over.is_set()
