"""An index folder from elsewhere: nothing in it runs, and nothing outside of it is opened."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import pickle
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder
from tests.faults import mutations
from tests.faults.damaged import DATABASE, answers, base_of, difference
from tests.faults.invariants import write_documents
from tests.faults.processes import CHECKOUT, environment

PACKAGE = CHECKOUT / "minisearch"
STRACE = shutil.which("strace")
UNPRIVILEGED = 65_534  # nobody


@dataclass(frozen=True)
class Place:
    """Documents and their index; and beside them what no use of the index may touch."""

    root: Path

    @property
    def docs(self) -> Path:
        return self.root / "here" / "docs"

    @property
    def index(self) -> Path:
        return self.root / "here" / "index"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def database(self) -> Path:
        return self.index / DATABASE

    def own_file(self, name: str) -> Path:
        return base_of(self.index) if name == "vectors" else self.index / name

    def change(self, *statements: str, values: tuple[object, ...] = ()) -> None:
        """Change the database behind the program's back, without its seal."""
        (self.index / f"{DATABASE}.seal").unlink(missing_ok=True)
        with sqlite3.connect(self.database) as db:
            for name in ("path_matches", "path_ends"):
                db.create_function(name, 2, lambda *_: 0)
            for statement in statements:
                db.execute(statement, values)
        db.close()

    def outside_state(self) -> dict[str, tuple[str, int, int]]:
        return {
            path.name: (
                hashlib.sha256(path.read_bytes()).hexdigest(),
                path.stat().st_mtime_ns,
                path.stat().st_mode,
            )
            for path in sorted(self.outside.iterdir())
            if path.is_file()
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    place = Place(tmp_path_factory.mktemp("made"))
    write_documents(place.docs, 8, seed=1)
    place.outside.mkdir()
    with MiniSearch(place.index, encoder=HashingEncoder()) as ms:
        ms.index(place.docs)
    return place.root


Ended = dict[str, tuple[str, str]]


def use(*places: Place) -> list[Ended]:
    """Use each index in every way: how that ended, by verb. Nothing outside was opened or changed."""
    before = [place.outside_state() for place in places]
    log = places[0].root / "strace"
    command: list[object] = [sys.executable, "-m", "tests.faults.observed", *(place.root for place in places)]
    if STRACE:  # sees what the C libraries open, too
        command = [
            STRACE,
            "-f",
            "-y",
            "-qq",
            "--seccomp-bpf",
            "-e",
            "trace=openat,rename",
            "-o",
            log,
            *command,
        ]
    done = subprocess.run(
        list(map(str, command)),
        env=environment(),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (done.stdout[-300:], done.stderr)
    *told, opened = map(json.loads, done.stdout.splitlines())
    assert not opened
    if STRACE:
        calls = log.read_text(errors="replace").splitlines()
        assert len(calls) > 100
        assert not [line for line in calls if re.search(r"/outside/target(\.md)?>", line)]
    assert [place.outside_state() for place in places] == before
    wrong = {words: f"{root} {verb}" for root, verb, outcome, words in told if outcome == "wrong"}
    assert not wrong, json.dumps(wrong, indent=1)
    return [
        {verb: (outcome, words) for root, verb, outcome, words in told if root == str(place.root)}
        for place in places
    ]


def outcomes(ended: Ended) -> set[str]:
    return {outcome for outcome, _ in ended.values()}


@pytest.fixture
def places(made, tmp_path) -> Callable[[int], list[Place]]:
    """As many of them as are asked for."""
    return lambda n: [Place(Path(shutil.copytree(made, tmp_path / f"root{i}"))) for i in range(n)]


@pytest.fixture
def place(places) -> Place:
    return places(1)[0]


def test_a_sound_index_is_used_without_a_refusal(place):
    """What the others are compared with."""
    (ended,) = use(place)
    assert outcomes(ended) == {"done"}, ended


def test_a_program_that_opens_what_is_outside_would_be_seen(place):
    (place.outside / "target").write_text("x")
    (place.docs / "link.md").symlink_to(place.outside / "target")
    with pytest.raises(AssertionError, match="outside"):
        shutil.rmtree(place.index)
        place.index.symlink_to(place.outside)
        use(place)


# --- links and pipes -------------------------------------------------------------------------------

OF_SQLITE = [DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal"]
OWN_FILES = [
    *OF_SQLITE,
    *(f"{DATABASE}.seal", "vectors", "writer.lock", f"{DATABASE}.seal.tmp"),
]


def test_a_link_out_of_the_folder_is_not_followed(places):
    stages = dict(zip(OWN_FILES, places(len(OWN_FILES)), strict=True))
    for name, place in stages.items():
        path = place.own_file(name)
        target = place.outside / "target"
        if path.exists():
            shutil.copy(path, target)  # followed, it would do
        else:
            target.write_bytes(b"")
        mutations.clear(path)
        path.symlink_to(target)
    for name, ended in zip(OWN_FILES, use(*stages.values()), strict=True):
        if name in OF_SQLITE:
            assert outcomes(ended) == {"refused"}, name
            assert all("symbolic link" in words for _, words in ended.values()), name
        elif name == "writer.lock":
            assert ended["query"][0] == "done" and ended["index"][0] == "refused"
        else:
            assert outcomes(ended) == {"done"}, (name, ended)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(places):
    stages = dict(zip(OWN_FILES, places(len(OWN_FILES)), strict=True))
    for name, place in stages.items():
        mutations.clear(place.own_file(name))
        os.mkfifo(place.own_file(name))
    for name, ended in zip(OWN_FILES, use(*stages.values()), strict=True):
        if name in OF_SQLITE:
            assert outcomes(ended) == {"refused"}, name
        else:
            assert ended["query"][0] == "done", (name, ended)


def test_a_link_where_a_new_index_writes_its_gitignore_is_not_followed(place):
    (place.outside / "target").write_text("mine\n")
    shutil.rmtree(place.index)
    place.index.mkdir()
    (place.index / ".gitignore").symlink_to(place.outside / "target")
    use(place)


def test_a_linked_index_folder_is_the_folder_it_leads_to(place):
    link = place.root / "link"
    link.symlink_to(place.index)
    assert not difference(answers(link), answers(place.index))


# --- records ---------------------------------------------------------------------------------------


NAMES = [
    *("{outside}/target", "../../outside/target", "vectors-1-0123456789ab.npy/../../../outside/target"),
    *("", ".", "..", "/", "a\0b", DATABASE, "x" * 5_000, "\n"),
]


def test_a_record_of_the_vector_file_leads_nowhere_else(places):
    """The file is there, and its checksum is right: all that is wrong is where it lies."""
    stages = places(len(NAMES))
    for name, place in zip(NAMES, stages, strict=True):
        shutil.copy(base_of(place.index), place.outside / "target")
        expected = answers(place.index)
        place.change("update bases set file = ?", values=(name.format(outside=place.outside),))
        assert not difference(answers(place.index), expected)
    for name, ended in zip(NAMES, use(*stages), strict=True):
        assert outcomes(ended) - {"done"} <= {"refused"}, name
        assert ended["query"] == ended["query again"] == ("done", ""), (name, ended)


RECORDS = [
    "update bases set backend = 'os.system'",
    "update bases set backend = '../outside/target'",
    "update bases set generation = 9223372036854775807",
    "update bases set generation = 'x'",
    "update bases set ids = zeroblob(8000000)",
    "update bases set ids = 'text'",
    "update bases set sha256 = x'00'",
    *(
        f"update meta set value = json_set(value, '$.{name}', {value}) where key = 'manifest'"
        for name, value in [
            *(("dimension", value) for value in ("'x'", "-5", "0", "99999999999999999999", "4000000000")),
            *(("max_tokens", "''"), ("chunk_tokens", "-1"), ("overlap_tokens", "'x'"), ("backend", "'x'")),
            *(("choices", "'[[['"), ("roots", "5"), ("trusted", "json('[]')"), ("baseline", "'x'")),
        ]
    ),
    "update meta set value = x'ff' where key = 'manifest'",
    "update meta set value = '' where key = 'manifest'",
    "update meta set value = json_remove(value, '$.dimension') where key = 'manifest'",
    f"insert or replace into meta values ('manifest', '{'[' * 100_000}')",
    f"""insert or replace into meta values ('manifest', '{'{"roots":' * 100_000}')""",
    "delete from meta where key = 'manifest'",
    "update meta set value = 'x' where key = 'generation'",
    "update meta set value = '9223372036854775807' where key = 'generation'",
    "update runs set roots = '{', counts = '['",
    "update runs set pid = 'x'",
    f"update runs set roots = '{'[' * 100_000}'",
    "update documents set id = 9223372036854775807 where id = 1",
    "update sqlite_sequence set seq = 9223372036854775807",
    "update documents set path = 'text' where id = 2",
    "update documents set path = x'612f00' where id = 1",
    "update documents set path = x'' where id = 1",
    "update documents set mtime_ns = 'x', n_bytes = x'00'",
    "update documents set sha256 = 5",
    "update chunks set line = 'x' where id = 1",
    "update chunks set text = x'ff' where id = 1",
    "update chunks set anchors = '[[1]]'",
    "update vectors set vector = zeroblob(100000000) where chunk_id = 1",
    "update vectors set vector = 'x' where chunk_id = 2",
    "insert into chunks_fts (chunks_fts) values ('delete-all')",
    "insert into problems (path, reason, n_crashes) values (5, x'00', 0)",
    "insert into left_out (path, reason) values ('x', 'y')",
]


def test_a_hostile_record_is_refused_by_name_or_does_no_harm(places):
    """Without a seal: whoever writes the record can write that, too."""
    stages = places(len(RECORDS))
    for record, place in zip(RECORDS, stages, strict=True):
        place.change(record)
    for record, ended in zip(RECORDS, use(*stages), strict=True):
        for verb, (_, words) in ended.items():
            assert "\n" not in words and len(words) < 1_000, (record, verb)


ROOTS = [
    "{outside}",
    "{outside}/target.md",
    "../outside",
    "x/../../outside/target.md",
    "link",
    "link.md",
    "/",
]


def test_an_index_that_follows_what_is_outside_opens_none_of_it(places):
    """Not even after a run over the user's own files has made it the user's."""
    stages = places(len(ROOTS))
    for root, place in zip(ROOTS, stages, strict=True):
        (place.outside / "target.md").write_text("A secret.")
        (place.root / "here" / "link").symlink_to(place.outside)
        (place.root / "here" / "link.md").symlink_to(place.outside / "target.md")
        roots = json.dumps(["docs", root.format(outside=place.outside)])
        place.change(
            "update meta set value = json_set(value, '$.roots', json(?)) where key = 'manifest'",
            values=(roots,),
        )
    for root, ended in zip(ROOTS, use(*stages), strict=True):
        assert outcomes({**ended, "refresh": ("done", "")}) == {"done"}, root
        assert ended["refresh"][0] == "refused" and "you have not named" in ended["refresh"][1], root


# --- programs --------------------------------------------------------------------------------------

PROGRAMS = [
    "create trigger t after insert on runs begin delete from documents; end",
    "create trigger t after update on meta begin select path_matches('a', 'b'); end",
    "create view extra as select path_matches('a', 'b')",
    "create trigger chunks_plain_inserted2 after insert on chunks begin delete from documents; end",
    "drop trigger chunks_plain_deleted;;"
    "create trigger chunks_plain_deleted after delete on chunks begin delete from documents; end",
    "alter table meta rename to hidden;;create view meta as select *, path_matches('a', 'b') from hidden",
]


def test_triggers_and_views_that_are_not_ours_are_refused(places):
    stages = places(len(PROGRAMS))
    for program, place in zip(PROGRAMS, stages, strict=True):
        place.change(*program.split(";;"))
    for program, ended in zip(PROGRAMS, use(*stages), strict=True):
        assert outcomes(ended) == {"refused"}, program
        assert all("minisearch did not put there" in words for _, words in ended.values()), program


def test_a_check_that_calls_a_function_calls_none(place):
    """No trigger and no view: SQLite itself does not call what it was not told to trust."""
    place.change(
        "alter table runs rename to old_runs",
        "create table runs (id integer primary key, started_at text, finished_at text, outcome text, "
        "roots text, pid integer check (path_matches('a', 'b') = 0), counts text)",
    )
    use(place)


# --- pickles ---------------------------------------------------------------------------------------


class Payload:
    """What unpickling it does can be seen."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("backend", ["flat", "faiss", "annoy"])
def test_no_pickle_in_an_index_folder_is_opened(place, backend):
    with MiniSearch(place.index, encoder=HashingEncoder()) as ms:
        ms.rebuild(backend)
    mark = place.root / "executed"
    payload = pickle.dumps(Payload(mark))
    for name in (
        "index.pkl",
        "docstore.pkl",
        "config.json",
        "config.toml",
        "settings.pkl",
        "sitecustomize.py",
    ):
        (place.index / name).write_bytes(payload)
    path = base_of(place.index)
    np.save(place.root / "objects.npy", np.array([Payload(mark)], object), allow_pickle=True)
    for content in (payload, (place.root / "objects.npy").read_bytes()):
        path.write_bytes(content)
        ids = np.frombuffer(_ids(place), np.int64)
        sha256 = hashlib.sha256(ids.tobytes() + content).hexdigest()
        place.change("update bases set sha256 = ?", values=(sha256,))  # as if it had been published so
        assert answers(place.index)["counts"] == (8, 24)
        assert not mark.exists()


def _ids(place: Place) -> bytes:
    with LocalStore(place.database) as store:
        base = store.index.base()
    assert base is not None
    return base.ids.tobytes()


def test_nothing_in_the_package_can_unpickle():
    for module in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            where = f"{module.relative_to(PACKAGE)}, line {getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                names.add((getattr(node, "module", None) or "").split(".")[0])
                assert not names & {"cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}, where
            if isinstance(node, ast.Call):
                options = {option.arg: option.value for option in node.keywords}
                called = ast.unparse(node.func)
                if called in {"np.load", "numpy.load"}:
                    assert _is(options.get("allow_pickle"), value=False) or "allow_pickle" not in options, (
                        where
                    )
                if called == "torch.load":
                    assert _is(options.get("weights_only"), value=True), where
                assert called not in {"eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler"}, (
                    where
                )
                assert not _is(options.get("trust_remote_code"), value=True), where


def _is(node: ast.expr | None, *, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
