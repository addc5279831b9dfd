"""Several processes at one index: readers see one generation, writers take turns, the dead hold no lock."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from minisearch import MiniSearch
from minisearch.errors import IndexBusy
from minisearch.stores.local.files import writer_lock
from tests.backends import INSTALLED
from tests.fakes import HashingEncoder
from tests.faults.invariants import assert_same_as_new, assert_whole, state, write_documents
from tests.faults.processes import command, environment, run, start

N_READERS = 8


def write_version(folder: Path, number: int, version: int) -> None:
    """A document all of whose passages hold its version."""
    parts = [f"version{version} of river and bread w{number} w{number + part}" for part in range(3)]
    paragraphs = [f"{part} " + " ".join(f"x{word}" for word in range(25)) for part in parts]
    (folder / f"v{number}.md").write_text("\n\n".join(paragraphs) + "\n")


def test_readers_beside_a_writer_see_one_generation(tmp_path, often, tell):
    folder, index = tmp_path / "docs", tmp_path / ".minisearch"
    folder.mkdir()
    for number in range(12):
        write_version(folder, number, 1)
    seconds = often(5, 60)
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.index(folder)
        stop = tmp_path / "stop"
        arguments = [sys.executable, "-m", "tests.faults.reader", str(index), str(stop)]
        readers = [start(arguments) for _ in range(N_READERS)]
        for reader in readers:
            assert reader.stdout is not None and reader.stdout.readline() == b"ready\n"
        version, backends, until_s = 1, sorted(INSTALLED), time.monotonic() + seconds
        while version < 13 or time.monotonic() < until_s:  # each of them has its turn
            version += 1
            for number in range(12):
                if (number + version) % 3:
                    write_version(folder, number, version)
            ms.index(folder)
            if version % 4 == 0:
                ms.rebuild(backends[version // 4 % len(backends)])
            time.sleep(0.02)
    stop.touch()
    told = []
    for reader in readers:
        output, errors = reader.communicate()
        assert reader.returncode == 0, errors
        told.append(json.loads(output))
    assert [error for one in told for error in one["errors"]] == []
    assert all(one["n_queries"] >= 20 for one in told)
    assert_whole(index)
    n_queries, n_opened = (sum(one[name] for one in told) for name in ("n_queries", "n_opened"))
    p99_s = max(one["p99_s"] for one in told)
    tell(
        f"1 writer and {N_READERS} readers for {seconds} s",
        f"{n_queries:,} queries by {n_opened:,} openings beside {version:,} runs, 0 errors; "
        f"p99 {p99_s * 1000:.0f} ms",
    )


def test_two_writers_take_turns_or_the_second_says_who_holds_the_lock(tmp_path, often):
    for case in range(often(2, 20)):
        folder, index = tmp_path / f"docs{case}", tmp_path / f"index{case}"
        write_documents(folder, 30, seed=case)
        started = [start(command("index", index, folder)) for _ in range(2)]
        ended = [(process.communicate()[1].decode(), process.returncode) for process in started]
        assert any(code == 0 for _, code in ended), ended
        for errors, code in ended:
            if code:
                assert errors.count("\n") == 1, errors
                assert "is writing to" in errors and "pid" in errors, errors
        assert len(state(index)) == 30
        assert_whole(index)


def test_ten_cold_starts_at_once_make_one_index(tmp_path, often, tell):
    for case in range(often(1, 10)):
        folder, index = tmp_path / f"docs{case}", tmp_path / f"index{case}"
        write_documents(folder, 15, seed=case)
        started = [start(command("index", index, folder)) for _ in range(10)]
        told, n_done = [], 0
        for process in started:
            output, errors = process.communicate()
            told += [line for line in output.decode().splitlines() if line.startswith("put")]
            n_done += process.returncode == 0
            assert process.returncode == 0 or b"is writing to" in errors, errors
        assert n_done >= 1
        assert len(told) == len(set(told)) == 15, "each document is embedded and stored once"
        assert_whole(index)
        assert_same_as_new(index, folder)
    tell("ten cold starts at once", f"{often(1, 10)} times, each document stored once")


def test_a_dead_holder_of_the_lock_is_no_obstacle(tmp_path):
    folder, index = tmp_path / "docs", tmp_path / ".minisearch"
    write_documents(folder, 30, seed=1)
    ended = run("index", index, folder, after_lines=5)
    assert ended.code == -signal.SIGKILL
    started_s = time.perf_counter()
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.index(folder)
    assert time.perf_counter() - started_s < 10
    assert len(state(index)) == 30


def test_who_finds_the_lock_held_is_told_by_whom(tmp_path):
    folder, index = tmp_path / "docs", tmp_path / ".minisearch"
    write_documents(folder, 3, seed=1)
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.index(folder)
        code = "import sys, pathlib, time; from minisearch.stores.local.files import writer_lock\n"
        code += f"with writer_lock(pathlib.Path({str(index)!r})): print('held', flush=True); time.sleep(60)"
        holder = subprocess.Popen([sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE)
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        try:
            ms.index(folder)
        except IndexBusy as error:
            assert str(holder.pid) in str(error)
        else:
            raise AssertionError("two writers at once")
        finally:
            holder.kill()
            holder.communicate()
        ms.index(folder)
        with writer_lock(index):
            pass
