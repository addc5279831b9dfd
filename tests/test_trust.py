"""What an index may open because it says so."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minisearch import MiniSearch
from minisearch.cli import cli
from minisearch.errors import IndexCorrupt, InputError, MinisearchError, ModelError
from minisearch.manifest import FileChoice, Manifest
from minisearch.minilm.encoders import Encoders
from minisearch.paths import IndexLocation, Trusted, check_model_folder, trusted_paths, with_trusted
from minisearch.search.pipeline import file_state
from minisearch.search.searcher import check_model
from minisearch.stores.local import LocalStore
from minisearch.stores.local.documents import DOCUMENT_COLUMNS, row_crc32
from tests.fakes import HashingEncoder

DATABASE = "minisearch.db"
UNPRIVILEGED = 65_534  # nobody


class Project:
    """A folder with documents and an index beside them; and ``outside``, a folder that is not in it."""

    def __init__(self, root: Path, index: str = ".minisearch") -> None:
        self.root = root
        self.folder = root / "project"
        self.docs = self.folder / "docs"
        self.outside = root / "outside"
        self.index = self.folder / index
        for folder, name in ((self.docs, "a"), (self.outside, "x")):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.md").write_text(f"A word of {name}, and bread.")

    def open(self) -> MiniSearch:
        return MiniSearch(self.index, encoder=HashingEncoder())

    def made_of(self, *paths: Path) -> Project:
        with self.open() as ms:
            ms.index(*paths)
        return self

    def says(self, **fields: object) -> None:
        """Change the manifest as somebody would who makes an index to harm."""
        with LocalStore(self.index / DATABASE, writable=True) as store:
            store.set_meta(manifest=json.dumps(json.loads(store.meta()["manifest"]) | fields))

    def copied(self) -> Project:
        """A copy of the index in another place, as out of an archive; the files are where they were."""
        copy = Project(self.root / "copy", self.index.name)
        shutil.copytree(self.index, copy.index)
        copy.outside = self.outside
        return copy


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def refused(use: Callable[[], object], *names: object, kind: type[MinisearchError] = InputError) -> None:
    with pytest.raises(kind, match="you have not named") as error:
        use()
    for name in names:
        assert str(name) in str(error.value)


# --- roots -----------------------------------------------------------------------------------------


def test_what_the_user_named_is_opened_again_without_a_query(project: Project) -> None:
    project.made_of(project.docs, project.outside)
    with project.open() as ms:
        assert sorted(ms.roots()) == [str(project.outside), str(project.docs)]
        assert ms.refresh().unchanged == 2


def test_a_copy_asks_before_it_opens_what_lies_outside_and_once_only(project: Project) -> None:
    copy = project.made_of(project.docs, project.outside).copied()
    with copy.open() as ms:
        refused(ms.roots, copy.index, f"minisearch index {project.outside} --index {copy.index}")
        refused(ms.refresh)
        ms.index(copy.docs)  # this names nothing outside
        refused(ms.refresh, project.outside)
        (project.outside / "y.md").write_text("A garden.")
        assert ms.index(project.outside).added == 1
        assert ms.refresh().unchanged == 3


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_copy_whose_outside_was_taken_out_asks_nothing(project: Project, is_empty: bool) -> None:
    copy = project.made_of(project.docs, project.outside).copied()
    with copy.open() as ms:
        ms.remove(copy.outside / "x.md" if is_empty else copy.outside)
        if is_empty:  # the root is left, without a document
            assert ms.remove(copy.outside) == 0
        assert ms.refresh().unchanged == 1
        with pytest.raises(InputError, match="nothing in the index"):
            ms.remove(copy.outside)


def unpacked(source: Path, target: Path) -> None:
    archive = shutil.make_archive(str(source), "tar", source)
    shutil.unpack_archive(archive, target)


def restored(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=lambda *_: [".minisearch"])
    with MiniSearch(source / ".minisearch") as ms, MiniSearch(target / ".minisearch") as copy:
        ms.backup(target.parent / "backup.db")
        copy.restore(target.parent / "backup.db")


MOVES = [os.rename, shutil.copytree, unpacked, restored]


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("root", ["docs", "."])
def test_a_project_that_was_moved_whole_asks_nothing_and_knows_its_choices(
    project: Project, root: str, move: Callable[[Path, Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.docs / "private").mkdir()
    (project.docs / "private" / "p.md").write_text("Nobody's business.")
    with project.open() as ms:
        ms.index(project.folder / root, choice=FileChoice(exclude=("private/",)))
    move(project.folder, project.root / "moved")
    monkeypatch.chdir(project.root / "moved")
    with MiniSearch(Path(".minisearch"), encoder=HashingEncoder()) as ms:
        assert ms.roots() == [str(project.root / "moved" / root).removesuffix("/.")]
        assert ms.refresh().unchanged == 1
        report = ms.index(root)
        assert (report.unchanged, report.added) == (1, 0)
        assert [note.path for note in report.choices] == [root]


@pytest.mark.parametrize("move", MOVES)
def test_a_project_that_was_moved_whole_is_indexed_refreshed_and_watched(
    project: Project, move: Callable[[Path, Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = HashingEncoder("all-MiniLM-L6-v2")
    for name in ("to_index", "to_query", "to_add"):
        monkeypatch.setattr(Encoders, name, lambda *_: encoder)
    monkeypatch.chdir(project.folder)
    run = partial(CliRunner().invoke, cli, catch_exceptions=False)
    assert run(["index", "."]).exit_code == 0
    move(project.folder, project.root / "moved")
    monkeypatch.chdir(project.root / "moved")
    assert "1 unchanged" in run(["index"]).output
    Path("docs/b.md").write_text("A garden.")
    assert "b.md" in run(["query", "garden", "--refresh"]).output
    shutil.rmtree(project.folder, ignore_errors=True)
    with MiniSearch(Path(".minisearch"), encoder=encoder) as ms:
        assert next(iter(ms.watch(*ms.roots()))).unchanged == 2


def test_an_index_in_a_folder_of_another_name_has_nothing_beside_it(tmp_path: Path) -> None:
    """Someone unpacks it in their home: all of that is not its own."""
    project = Project(tmp_path, index="words")
    project.made_of(project.docs)
    with project.open() as ms:
        assert ms.refresh().unchanged == 1
    with project.copied().open() as ms:
        refused(ms.refresh, project.root / "copy" / "project" / "docs")


def test_a_restored_index_asks(project: Project) -> None:
    project.made_of(project.docs, project.outside)
    with project.open() as ms:
        ms.backup(project.root / "backup.db")
    other = Project(project.root / "other")
    with other.open() as ms:
        ms.restore(project.root / "backup.db")
        refused(ms.roots, project.outside)


def link_to_outside(project: Project) -> str:
    (project.folder / "link").symlink_to(project.outside)
    return "link"


def link_to_a_file_outside(project: Project) -> str:
    (project.folder / "link.md").symlink_to(project.outside / "x.md")
    return "link.md"


def below_a_link(project: Project) -> str:
    (project.folder / "up").symlink_to(project.root)
    return "up/outside"


LEADS_OUT = [
    link_to_outside,
    link_to_a_file_outside,
    below_a_link,
    lambda project: str(project.outside),
    lambda _: "../outside",
    lambda _: "docs/../../outside/x.md",
    lambda project: f"{project.docs}/../../outside",
    lambda _: "/",
    lambda _: "..",
    lambda _: "a\0b",
]


@pytest.mark.parametrize("root", LEADS_OUT)
def test_whatever_way_a_root_leads_out_it_is_not_opened(
    project: Project, root: Callable[[Project], str]
) -> None:
    project.made_of(project.docs).says(roots=["docs", root(project)])
    with project.open() as ms:
        refused(ms.refresh)


@pytest.mark.parametrize("root", ["docs", "docs/../docs", "{docs}", "docs/a.md", "", "."])
def test_a_root_that_lies_beside_is_opened_however_it_is_written(project: Project, root: str) -> None:
    project.made_of(project.docs).says(roots=[root.format(docs=project.docs)])
    with project.open() as ms:
        assert ms.refresh().unchanged == 1


def test_a_linked_file_that_the_user_named_is_followed_until_it_leads_elsewhere(project: Project) -> None:
    name = link_to_a_file_outside(project)
    project.made_of(project.docs, project.folder / name)
    with project.open() as ms:
        assert ms.refresh().unchanged == 2
        (project.root / "third.md").write_text("A third.")
        (project.folder / name).unlink()
        (project.folder / name).symlink_to(project.root / "third.md")
        refused(ms.refresh, project.folder / name)


FORGED = [
    {"inode": 0, "folder": "", "paths": ["/"]},
    {"inode": 0, "folder": "{index}", "paths": ["/"]},
    {"inode": "{inode}", "folder": "", "paths": ["/"]},
    {"inode": "{inode}", "folder": "/", "paths": ["/"]},
]
DAMAGED = [
    *(None, [], {}, 5, ""),
    {"inode": "", "folder": "{index}", "paths": ["/"]},
    {"inode": "{inode}", "folder": 5, "paths": ["/"]},
    {"inode": "{inode}", "folder": "{index}", "paths": 5},
    {"inode": "{inode}", "folder": "{index}", "paths": [[]]},
    {"inode": "{inode}", "folder": "{index}", "paths": None},
]


def trusting(project: Project, record: object) -> MiniSearch:
    """The project, opened, with a record of trust that was not written here."""
    project.made_of(project.docs)
    text = json.dumps(record).replace("{index}", str(project.index))
    text = text.replace('"{inode}"', str(project.index.stat().st_ino))
    project.says(roots=[str(project.outside)], trusted=json.loads(text))
    return project.open()


@pytest.mark.parametrize("record", FORGED, ids=str)
def test_a_record_that_was_not_written_here_names_nothing(project: Project, record: object) -> None:
    """Even one that knows where the index will be."""
    with trusting(project, record) as ms:
        refused(ms.refresh, project.outside)


@pytest.mark.parametrize("record", DAMAGED, ids=str)
def test_a_damaged_record_of_trust_is_refused(project: Project, record: object) -> None:
    with trusting(project, record) as ms, pytest.raises(IndexCorrupt, match="its trusted: "):
        ms.refresh()


def test_going_back_to_what_another_wrote_names_nothing(project: Project) -> None:
    """The undo of a stranger's index is the stranger's, too."""
    project.made_of(project.docs, project.outside)
    (project.docs / "b.md").write_text("One more.")
    copy = project.made_of(project.docs).copied()
    with copy.open() as ms:
        ms.index(copy.docs)
        ms.rollback()
        refused(ms.refresh, project.outside)
        ms.rollback()
        refused(ms.refresh, project.outside)


def give_away(*paths: Path) -> None:
    """Make them another user's."""
    if os.geteuid():
        pytest.skip("only root can give files away")
    for path in paths:
        os.chown(path, UNPRIVILEGED, UNPRIVILEGED)


def test_an_index_of_another_user_names_nothing_and_says_why(project: Project) -> None:
    project.made_of(project.docs, project.outside)
    give_away(project.index)
    with project.open() as ms:
        refused(ms.refresh, project.outside, f"each time, as the index is another user's (uid {UNPRIVILEGED}")
        assert ms.index(project.outside).unchanged == 1
        refused(ms.refresh, project.outside)
        os.chown(project.index, 0, 0)
        assert ms.refresh().unchanged == 2


def test_going_back_keeps_what_the_user_has_named_since(project: Project) -> None:
    project.made_of(project.docs, project.outside)
    project.folder.rename(project.root / "moved")
    moved = Project(project.root)
    moved.index = project.root / "moved" / ".minisearch"
    (project.outside / "y.md").write_text("A garden.")
    with moved.open() as ms:
        ms.index(project.outside)
        ms.rollback()
        assert ms.refresh().added == 1


# --- verify ----------------------------------------------------------------------------------------


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The calls of the system that look at a path: the name of the call, and the path."""
    calls: list[tuple[str, str]] = []

    def recorded(name: str) -> Callable[..., object]:
        call = getattr(os, name)

        def look(path: object, *arguments: object, **named: object) -> object:
            calls.append((name, str(path)))
            return call(path, *arguments, **named)

        return look

    for name in ("stat", "lstat", "readlink"):
        monkeypatch.setattr(os, name, recorded(name))
    return calls


def outside_of(project: Project, looked_at: list[tuple[str, str]]) -> list[tuple[str, str]]:
    outside = str(project.outside)
    return [(name, path) for name, path in looked_at if os.path.normpath(path).startswith(outside)]


def test_a_query_looks_at_no_file_outside_of_a_copy(
    project: Project, looked_at: list[tuple[str, str]]
) -> None:
    def states(place: Project) -> dict[str, str | None]:
        with place.open() as ms:
            return {Path(hit.path).name: hit.file_state for hit in ms.query("a word of bread")}

    project.made_of(project.docs, project.outside)
    (project.outside / "x.md").unlink()
    assert states(project) == {"a.md": "unchanged", "x.md": "deleted"}
    assert outside_of(project, looked_at)
    copy = project.copied()
    looked_at.clear()
    assert states(copy) == {"a.md": "changed", "x.md": None}
    assert not outside_of(project, looked_at)


def test_verify_opens_no_document_outside_of_a_copy_and_says_so(project: Project) -> None:
    project.made_of(project.docs, project.outside)
    with project.open() as ms:
        found = ms.verify()
        assert (found.n_read, found.n_closed, found.problems) == (2, 0, ())
    with project.copied().open() as ms:
        found = ms.verify()
        assert (found.n_read, found.n_closed, found.problems) == (1, 1, ())


@pytest.mark.parametrize("key", [*LEADS_OUT[1:2], LEADS_OUT[3], LEADS_OUT[5]])
def test_no_document_is_looked_at_by_a_name_that_leads_out(
    project: Project, key: Callable[[Project], str], looked_at: list[tuple[str, str]]
) -> None:
    project.made_of(project.docs)
    name = key(project)
    name = name if name.endswith(".md") else f"{name}/x.md"
    with LocalStore(project.index / DATABASE, writable=True) as store, store._connection.transaction():
        ((*row, _),) = store._connection.rows(f"select {DOCUMENT_COLUMNS} from documents")
        path = os.fsencode(name)
        store._connection.write("update documents set path = ?, crc32 = ?", [path, row_crc32(path, *row)])
        shown = "line, end_line, page, heading, text, title, anchors"
        for id_, *row in store._connection.rows(f"select id, {shown} from chunks"):  # forged as a whole
            store._connection.write("update chunks set crc32 = ? where id = ?", [row_crc32(path, *row), id_])
        stamp, location = store.stamps([1])[1], IndexLocation(project.index)
        trusted = trusted_paths(Manifest.read(store, location.folder).trusted, location)
    is_link = (project.folder / name).is_symlink()  # its target is looked at, to see where it leads
    looked_at.clear()
    assert file_state(location, trusted, name, stamp) is None
    with project.open() as ms:
        assert (ms.verify().n_read, ms.verify().n_closed) == (0, 1)
    assert not [call for call in outside_of(project, looked_at) if call[0] == "stat" or not is_link]


def test_a_linked_folder_of_models_is_opened_by_the_name_that_the_user_gave(project: Project) -> None:
    (project.root / "models").mkdir()
    (project.root / "link").symlink_to(project.root / "models")
    location = IndexLocation(project.made_of(project.docs).index)
    named = with_trusted(Trusted(), location, [project.root / "link" / "mini"])
    check_model_folder(named, location, str(project.root / "link" / "mini"))
    check_model_folder(named, location, str(project.root / "models" / "mini"))
    refused(
        lambda: check_model_folder(named, location, str(project.root / "link" / "other")), kind=ModelError
    )


# --- the model -------------------------------------------------------------------------------------


def encoders_of(project: Project) -> Encoders:
    check = partial(check_model, IndexLocation(project.index))
    return Encoders(given=None, model=None, check_model=check)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The model folders that were opened; the weights in each are the same."""
    from minisearch.minilm import SentenceTransformer
    from minisearch.minilm.numpy_encoder import NumpyEncoder, UnsupportedCheckpoint

    opened: list[str] = []

    def load(name: str, **_: object) -> HashingEncoder:
        opened.append(name)
        encoder = HashingEncoder(name)
        monkeypatch.setattr(encoder, "fingerprint", "the same", raising=False)
        return encoder

    def refuse(*_: object, **__: object) -> None:
        raise UnsupportedCheckpoint("a fake")

    monkeypatch.setattr(SentenceTransformer, "from_pretrained", load)
    monkeypatch.setattr(NumpyEncoder, "from_pretrained", refuse)
    return opened


def test_a_copy_opens_no_model_folder_that_only_it_names(project: Project, loaded: list[str]) -> None:
    model = project.root / "model"
    model.mkdir()
    with MiniSearch(project.index, model=str(model)) as ms:
        ms.index(project.docs)
    with MiniSearch(project.index) as ms:
        assert ms.query("bread")
    copy = project.copied()
    loaded.clear()
    asks = [
        lambda ms: ms.query("bread"),
        lambda ms: ms.query_many(["bread"], mode="dense"),
        lambda ms: ms.similarity("bread", "salt"),
        lambda ms: ms.chunks(copy.docs / "a.md"),
        lambda ms: ms.verify(),
        lambda ms: ms.index(copy.docs),
    ]
    (copy.docs / "b.md").write_text("A new one.")
    for ask in asks:
        with MiniSearch(copy.index) as ms:
            refused(lambda ask=ask, ms=ms: ask(ms), f"--model {model} --index {copy.index}", kind=ModelError)
    with MiniSearch(copy.index) as ms:
        assert ms.query("bread", mode="lexical") and ms.status().n_documents == 1
    assert loaded == []
    other = project.root / "same"
    other.mkdir()
    with MiniSearch(copy.index, model=str(other)) as ms:
        ms.index(copy.docs)
    with MiniSearch(copy.index) as ms:
        assert ms.query("bread")
    assert set(loaded) == {str(other)}


@pytest.mark.parametrize("model", ["../model", "./model", "~/model", "x/../../model"])
def test_a_model_by_a_relative_path_is_not_opened_where_the_user_happens_to_be(
    project: Project, loaded: list[str], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    for folder in ("model", "project/x", "here/model"):
        (project.root / folder).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(project.root))
    monkeypatch.chdir(project.root / "here")
    project.made_of(project.docs)
    encoders = encoders_of(project)
    refused(lambda: encoders.to_index(model), kind=ModelError)
    assert loaded == []


def test_a_model_beside_the_index_is_opened_and_one_that_is_gone_says_so(
    project: Project, loaded: list[str]
) -> None:
    project.made_of(project.docs)
    (project.folder / "model").mkdir()
    encoders = encoders_of(project)
    assert encoders.to_index(str(project.folder / "model")).name == str(project.folder / "model")
    with pytest.raises(ModelError, match="that folder does not exist any more"):
        encoders_of(project).to_index(str(project.root / "gone"))


# --- the command line ------------------------------------------------------------------------------


def test_every_command_that_would_open_them_says_what_to_do_instead(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = HashingEncoder("all-MiniLM-L6-v2")
    for name in ("to_index", "to_query", "to_add"):
        monkeypatch.setattr(Encoders, name, lambda *_: encoder)
    outside = project.root / "out side"
    project.outside.rename(outside)
    with MiniSearch(project.index, encoder=encoder) as ms:
        ms.index(project.docs, outside)
    copy = project.copied()
    monkeypatch.chdir(copy.folder)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, catch_exceptions=False)

    cure = f"minisearch index {shlex.quote(str(outside))}"
    for command in (["index"], ["index", "--dry-run"], ["watch"], ["query", "bread", "--refresh"]):
        done = run(*command)
        assert done.exit_code != 0 and cure in done.stderr, command
        assert "Traceback" not in done.stderr
    assert run("query", "bread").exit_code == 0
    done = run("verify")
    assert done.exit_code == 0 and "1 not opened" in done.output
    assert run("index", str(outside)).exit_code == 0
    assert run("index").exit_code == 0
    assert "not opened" not in run("verify").output


@pytest.mark.parametrize("theirs", ["", DATABASE])
def test_an_index_of_another_user_is_used_only_if_it_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, theirs: str
) -> None:
    """As one that somebody has put into /tmp, for whoever works below it."""
    project.made_of(project.docs)
    backup = project.root / "backup.db"
    with project.open() as ms:
        ms.backup(backup)
    give_away(project.index / theirs)
    below = project.folder / "below"
    below.mkdir()
    run = partial(CliRunner().invoke, cli, catch_exceptions=False)
    searches = (
        ["query", "bread"],
        ["query", "bread", "--refresh"],
        ["why-not", "docs/a.md", "bread"],
        ["index"],
        ["watch"],
        ["status"],
        ["verify"],
        ["remove", "docs"],
        ["rollback"],
        ["rebuild"],
        ["backup", "x.db"],
        ["similarity", "a", "b"],
        ["chunks", "docs/a.md"],
    )
    before = (project.index / DATABASE).read_bytes()
    for here, found in ((project.folder, ".minisearch"), (below, "../.minisearch")):
        monkeypatch.chdir(here)
        for command in (*searches, *([["index", "docs"], ["restore", str(backup)]] if here != below else [])):
            done = run(command)
            code = 2 if command[0] == "query" else 1
            assert done.exit_code == code and f"name it: --index {found}" in done.stderr, (
                command,
                done.output,
            )
    assert (project.index / DATABASE).read_bytes() == before
    assert run(["status", "--index", "../.minisearch"]).exit_code == 0
    monkeypatch.setenv("MINISEARCH_INDEX", "../.minisearch")
    assert run(["status"]).exit_code == 0


def test_an_index_below_that_of_another_user_is_ones_own(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = HashingEncoder("all-MiniLM-L6-v2")
    for name in ("to_index", "to_query", "to_add"):
        monkeypatch.setattr(Encoders, name, lambda *_: encoder)
    give_away(project.made_of(project.docs).index)
    monkeypatch.chdir(project.docs)
    run = partial(CliRunner().invoke, cli, catch_exceptions=False)
    assert run(["index", "."]).exit_code == 0
    assert "a.md" in run(["query", "bread"]).output
