"""A process that damages an index again and again and asks it: if it crashes, the index crashed it.

    python -m tests.faults.damaged vectors ROOT BACKEND N SEED
    python -m tests.faults.damaged database ROOT STATE N SEED

ROOT holds the documents in ``docs``, their index in ``index`` and another index in ``other``.  What came of
every damage is one line of JSON: ``same``; ``error``, a named one; ``only verify``, where an answer of an
index without a seal has changed, and only `verify` says so; or ``wrong``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import minisearch.vectors as indexes
from minisearch import MiniSearch
from minisearch.errors import StoreError
from minisearch.results import Mode
from minisearch.stores.local import LocalStore, vector_index
from tests.fakes import HashingEncoder
from tests.faults import mutations

DATABASE = "minisearch.db"
QUERIES = ("w7 w31", "w1 w2 w3 w4 w5", "document 7 w400", "w250")
MODES: tuple[Mode, ...] = ("dense", "lexical", "hybrid")
DIMENSION = 64
OF_ANOTHER = "that_of_another_index"

Answers = dict[str, Any]


def main(what: str, root: str, *arguments: str) -> None:
    logging.disable()
    {"vectors": vectors, "database": database}[what](Path(root), *arguments)


def tell(damage: str, outcome: str, about: object = "") -> None:
    print(json.dumps([damage, outcome, str(about)]), flush=True)


# --- what an index says ----------------------------------------------------------------------------


def rankings(index: Path, *, queries: Sequence[str] = QUERIES, modes: Sequence[Mode] = MODES) -> Answers:
    """The ten best passages for each question, with their scores."""
    found: Answers = {}
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        for query in queries:
            for mode in modes:
                found[f"{mode} {query}"] = [
                    (hit.path, hit.line, hit.text, round(hit.score, 5))
                    for hit in ms.query(query, 10, mode=mode, by="chunk")
                ]
    return found


def answers(index: Path) -> Answers:
    """All that can be asked of an index: rankings of each kind, its texts, its counts."""
    found = rankings(index)
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        status = ms.status()
        found["counts"] = status.n_documents, status.n_chunks
        found["fields"] = ms.field_names()
    with LocalStore(index / DATABASE) as store, store.snapshot():
        for path in store.documents():
            found[path] = [(one.line, one.text, one.heading) for one in store.chunks_of(path)]
    return found


def difference(found: Answers, expected: Answers) -> str:
    """What is not as it was, if anything."""
    names = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    return f"{names[0]}: {found.get(names[0])} instead of {expected.get(names[0])}" if names else ""


# --- vector files ----------------------------------------------------------------------------------


def vectors(root: Path, backend: str, n: str, seed: str) -> None:
    """Damage the vector index in use, ask, let the next run mend it, ask again."""
    rng = random.Random(f"{backend} {seed}")
    if backend == "graph":
        from minisearch.vectors.faiss import FaissIndex

        FaissIndex.hnsw_from = 2
    name = "faiss" if backend == "graph" else backend
    index, other = root / "index", root / "other"
    for folder in (index, other):
        with MiniSearch(folder, encoder=HashingEncoder()) as ms:
            ms.rebuild(name)
    opened: list[Path] = []
    with watched(opened):
        expected = of_vectors(index)
        assert opened == [base_of(index)], "without damage it is the native parser that is asked"
        for number in range(int(n)):
            damage = damage_vectors(base_of(index), other, rng, number, backend)
            opened.clear()
            try:
                wrong = difference(of_vectors(index), expected)
                wrong = f"a parser has seen {opened}" if opened else wrong
                mend(index, root / "docs", name, number)
                opened.clear()
                wrong = wrong or difference(of_vectors(index), expected)
                if opened != [base_of(index)]:
                    wrong = wrong or "the next run has not mended it"
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
                mutations.clear(base_of(index))
                mend(index, root / "docs", name, 1)
            left = sorted(file.name for file in index.iterdir() if file.suffix == ".tmp")
            tell(damage, "wrong" if wrong or left else "same", wrong or left)


def of_vectors(index: Path) -> Answers:
    """What vectors have a part in."""
    return rankings(index, queries=QUERIES[:2], modes=("dense", "hybrid"))


def damage_vectors(path: Path, other: Path, rng: random.Random, number: int, backend: str) -> str:
    """Damage one file; the name of what was done."""
    data, node = path.read_bytes(), (12 if backend == "annoy" else 0) + 4 * DIMENSION
    kind = number % (len(mutations.DAMAGES) + 3)
    if kind < len(mutations.DAMAGES):
        damage, changed = mutations.damaged(data, rng, node, number=kind)
        path.write_bytes(changed)
        return damage
    if kind == len(mutations.DAMAGES):
        replace = rng.choice(mutations.REPLACED)
        replace(path)
        return replace.__name__
    if kind == len(mutations.DAMAGES) + 1:
        path.write_bytes(base_of(other).read_bytes())
        return OF_ANOTHER
    if backend == "annoy":
        path.write_bytes(mutations.crafted_annoy(data, DIMENSION))
        return "crafted_to_crash"
    half = HashingEncoder(dimension=DIMENSION // 2)
    ids = live_ids(path.parent)
    smaller = half.encode([str(id_) for id_ in ids])
    index_class = indexes.load_backend("faiss" if backend == "graph" else backend)
    index_class.build(ids, smaller).save(path)
    return "of_another_dimension"


def mend(index: Path, docs: Path, backend: str, number: int) -> None:
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        if number % 2:
            ms.rebuild(backend)
        else:
            ms.index(docs)


def base_of(index: Path) -> Path:
    with LocalStore(index / DATABASE) as store:
        base = store.index.base()
    assert base is not None
    return index / base.file


def live_ids(index: Path) -> Any:
    with LocalStore(index / DATABASE) as store:
        return store.chunk_ids()


@contextlib.contextmanager
def watched(opened: list[Path]) -> Iterator[None]:
    """Note every file that a parser of vector indexes is handed, whichever parser it is."""
    open_base = vector_index.open_base

    def seen(backend: str, path: Path, *rest: Any) -> Any:
        opened.append(path)
        return open_base(backend, path, *rest)

    vector_index.open_base = seen
    try:
        yield
    finally:
        vector_index.open_base = open_base


# --- databases -------------------------------------------------------------------------------------


def database(root: Path, state: str, n: str, seed: str) -> None:
    """Damage the database, or what lies beside it, and ask; of an index at rest, or one that was cut off."""
    rng = random.Random(f"{state} {seed}")
    folder = root / state
    # What a log holds may be lost with the log: then the index is as it was before.
    allowed = [answers(copied(folder, root / "work"))]
    if state == "cut_off":
        allowed.append(answers(root / "index"))
        assert difference(*allowed), "there is something in the log"
    others = [answers(root / "other")]
    damages = of_logs(folder) if state == "cut_off" else of_databases(folder, root / "other")
    for number in range(int(n)):
        work = copied(folder, root / "work")
        damage = damages[number % len(damages)](work, rng, number)
        is_other = damage == OF_ANOTHER  # a whole one, put in place by hand: it is what it is
        outcome, about = asked(work, others if is_other else allowed)
        if outcome != "wrong" and number % 4 == 0 and not is_other:
            outcome, about = written(work, root / "docs", allowed) or (outcome, about)
        tell(damage, outcome, about)


def copied(folder: Path, to: Path) -> Path:
    mutations.clear(to)
    shutil.copytree(folder, to)
    return to


def asked(index: Path, allowed: list[Answers]) -> tuple[str, str]:
    try:
        found = answers(index)
    except StoreError as error:
        return ("error", str(error)) if names_a_cure(str(error)) else ("wrong", f"no cure: {error}")
    except Exception as error:
        return "wrong", f"{type(error).__name__}: {error}"
    differences = [difference(found, expected) for expected in allowed]
    if "" in differences:
        return "same", ""
    if (index / f"{DATABASE}.seal").exists():
        return "wrong", differences[0]
    with LocalStore(
        index / DATABASE
    ) as store:  # rows have checksums, but full text and SQLite's own indexes none
        problems = store.check(deep=True)
    return ("only verify", problems[0]) if problems else ("wrong", differences[0])


def written(index: Path, docs: Path, allowed: list[Answers]) -> tuple[str, str] | None:
    """What is wrong with a run over a damaged index that neither refuses nor leaves a sound one."""
    try:
        with MiniSearch(index, encoder=HashingEncoder()) as ms:
            ms.index(docs)
    except StoreError:
        return None
    except Exception as error:
        return "wrong", f"index: {type(error).__name__}: {error}"
    outcome, about = asked(index, allowed[:1])
    return (outcome, f"after a run: {about}") if outcome in {"wrong", "only verify"} else None


def names_a_cure(message: str) -> bool:
    cures = ("restore it", "--index", "pip install --upgrade", "minisearch index", "try again")
    return any(cure in message for cure in cures)


Damage = Callable[[Path, random.Random, int], str]


def of_databases(folder: Path, other: Path) -> list[Damage]:
    """What happens to a database at rest."""

    def bytes_of(index: Path, rng: random.Random, number: int) -> str:
        path = index / DATABASE
        damage, changed = mutations.damaged(path.read_bytes(), rng, 4096, number=number // 2)
        path.write_bytes(changed)
        return damage

    def another_database(index: Path, rng: random.Random, number: int) -> str:
        shutil.copyfile(other / DATABASE, index / DATABASE)
        return OF_ANOTHER

    def replaced(index: Path, rng: random.Random, number: int) -> str:
        replace = rng.choice(mutations.REPLACED)
        replace(index / DATABASE)
        return replace.__name__

    def stale_shm(index: Path, rng: random.Random, number: int) -> str:
        (index / f"{DATABASE}-shm").write_bytes(rng.randbytes(32768))
        return "a_stale_shm"

    def stray_log(index: Path, rng: random.Random, number: int) -> str:
        (index / f"{DATABASE}-wal").write_bytes(rng.randbytes(rng.randint(1, 9000)))
        return "a_log_of_noise"

    def damaged_seal(index: Path, rng: random.Random, number: int) -> str:
        path = index / f"{DATABASE}.seal"
        if path.exists():
            path.write_bytes(mutations.damaged(path.read_bytes(), rng, 16, number=number // 2)[1])
        return "a_damaged_seal"

    special = [another_database, replaced, stale_shm, stray_log, damaged_seal]
    if not (folder / f"{DATABASE}.seal").exists():
        special = [replaced, stale_shm, stray_log]
    # Every other one is a damage of its bytes.
    return [one for other_one in special for one in (bytes_of, other_one)]


def of_logs(folder: Path) -> list[Damage]:
    """What happens to the log that a writer left when it was killed."""

    def bytes_of(index: Path, rng: random.Random, number: int) -> str:
        path = index / f"{DATABASE}-wal"
        damage, changed = mutations.damaged(path.read_bytes(), rng, 4096 + 24, number=number // 2)
        path.write_bytes(changed)
        return f"log: {damage}"

    def gone(index: Path, rng: random.Random, number: int) -> str:
        (index / f"{DATABASE}-wal").unlink()
        (index / f"{DATABASE}-shm").unlink(missing_ok=True)
        return "log: gone"

    def stale_shm(index: Path, rng: random.Random, number: int) -> str:
        (index / f"{DATABASE}-shm").write_bytes(rng.randbytes(32768))
        return "a_stale_shm"

    return [bytes_of, gone, bytes_of, stale_shm]


if __name__ == "__main__":
    main(*sys.argv[1:])
