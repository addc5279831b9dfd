"""``index`` and its choices, a dry run, ``status --coverage`` and ``why-not``, as they are printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minisearch import MiniSearch, minilm
from minisearch.cli import cli
from minisearch.cli.indexing import parse_size
from minisearch.cli.progress import Progress
from minisearch.errors import InputError
from minisearch.types import FloatArray, IndexProgress
from tests.cli.usage import usage_error
from tests.fakes import HashingEncoder
from tests.parsers.made_files import pdf


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with documents of several kinds, and a quick model under every name."""
    texts = {
        "tasks.md": "# Tasks\n\nRun a failed task again.\n",
        "bread.md": "Flour, water, salt.\n",
        "stars.txt": "Hydrogen.\n",
        "empty.md": "",
        ".minisearchignore": "out/\n",
        "out/x.md": "x",
    }
    for name, text in texts.items():
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINISEARCH_INDEX", raising=False)
    monkeypatch.setattr(minilm.SentenceTransformer, "from_pretrained", lambda name, **_: HashingEncoder(name))
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments, prog_name="minisearch")
    assert result.exit_code == code, result.output
    return result


def test_a_dry_run_lists_what_would_be_done_and_makes_no_index(folder: Path) -> None:
    lines = run("index", "docs", "--dry-run", "--exclude", "stars*").stdout.splitlines()
    assert lines == [
        "2 documents would be added, 0 updated, 0 unchanged, 0 removed, 1 skipped",
        "options    docs: --exclude stars*",
        "add        docs/bread.md",
        "           docs/tasks.md",
        "skip       docs/empty.md: no text in it",
        "leave out  docs/.minisearchignore: hidden",
        "leave out  docs/out/: ignored by .minisearchignore, line 1: out/",
        "leave out  docs/stars.txt: excluded: --exclude stars*",
        "Nothing was done",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["docs"]
    listed = json.loads(run("index", "docs", "--dry-run", "--json").stdout)
    assert listed["added"] == ["docs/bread.md", "docs/stars.txt", "docs/tasks.md"]
    assert listed["left_out"][1] == {
        "path": "docs/out/",
        "reason": "ignored by .minisearchignore, line 1: out/",
        "n_bytes": 0,
    }


def test_file_options_are_stored_shown_and_forgotten_on_request(folder: Path) -> None:
    first = run("index", "docs", "--include", "*.md", "--include", "*.rst", "--max-bytes", "1kB").stdout
    assert "left out   1 ignored, 1 hidden, 1 excluded" in first
    assert "options    docs: --include *.md --include *.rst --max-bytes 1000" in first
    again = run("index", "docs", "--exclude", "bread*", "--prune").stdout
    assert "0 documents added, 0 updated, 1 unchanged, 1 removed" in again
    assert "--include *.md --include *.rst --exclude bread* --max-bytes 1000" in again
    assert "--exclude" in run("index", "docs").stdout
    assert "options    docs" in run("status", "--coverage").stdout
    forgotten = run("index", "docs", "--forget-choices").stdout
    assert "2 documents added" in forgotten
    assert "options " not in forgotten


def test_a_run_that_would_remove_many_documents_is_refused_with_advice(folder: Path) -> None:
    run("index", "docs")
    (folder / "docs" / "bread.md").unlink()
    (folder / "docs" / "tasks.md").unlink()
    dry = run("index", "docs", "--dry-run").stdout.splitlines()
    refused = run("index", "docs", code=1)
    assert refused.stdout == ""
    assert refused.stderr.startswith(
        "Error: this run would remove 2 of the index's 3 documents, all from docs; nothing was changed."
    )
    assert dry[-2] == "refused    " + refused.stderr.removeprefix("Error: ").rstrip("\n")
    assert "2 removed" in run("index", "docs", "--prune").stdout


def test_secrets_are_reported_and_kept_on_request(folder: Path) -> None:
    (folder / "docs" / "key.md").write_text("It is AKIAQ3EGRZXB4MPLVW2K here.")
    (folder / "docs" / "id_rsa").write_text("text")
    output = run("index", "docs").stdout
    assert (
        "note       docs/key.md: 1 possible secret hidden: AWS key, line 1 (--keep-secrets indexes them)"
        in output
    )
    assert "docs/id_rsa: screened: a private key, by its name (id_rsa); --keep-secrets takes it" in output
    assert "screened" not in run("index", "docs", "--keep-secrets").stdout
    assert "screened" not in run("index", "docs").stdout
    assert "screened" in run("index", "docs", "--blank-secrets").stdout


# --- problems, new ones and known ones ---------------------------------------------------------------


def lines_of(*arguments: str) -> list[str]:
    """What a run says below its counts."""
    return run("index", *arguments).stdout.splitlines()[2:]


def test_problems_that_the_run_before_reported_are_only_counted(folder: Path) -> None:
    docs = folder / "docs"
    (docs / "key.md").write_text("It is AKIAQ3EGRZXB4MPLVW2K here.")
    (docs / "photo.md").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    ignored = "left out   1 ignored, 1 hidden"
    empty = "skipped    docs/empty.md: no text in it"
    photo = "skipped    docs/photo.md: binary file (PNG image)"
    key = "note       docs/key.md: 1 possible secret hidden: AWS key, line 1 (--keep-secrets indexes them)"
    assert sorted(lines_of("docs")) == sorted([ignored, empty, photo, key])
    assert lines_of("docs") == [ignored, "2 skipped and 1 noted as before: minisearch status"]
    assert sorted(lines_of("docs", "-v")) == sorted([ignored, empty, photo, key])
    (docs / "void.md").write_text("")
    (docs / "photo.md").write_text("")
    (docs / "key.md").write_text("\nIt is AKIAQ3EGRZXB4MPLVW2K here.")
    assert lines_of("docs") == [
        ignored,
        "skipped    2 files: no text in it: docs/photo.md, docs/void.md",
        "note       docs/key.md: 1 possible secret hidden: AWS key, line 2 (--keep-secrets indexes them)",
        "1 skipped as before: minisearch status",
    ]
    assert lines_of("docs/bread.md") == [], "nothing is said of files that were not asked for"
    shown = run("status").stdout
    assert "3 files: no text in it" in shown and "AWS key" in shown
    listed = json.loads(run("index", "docs", "--json").stdout)
    assert [one["path"] for one in listed["skipped"]] == ["docs/empty.md", "docs/photo.md", "docs/void.md"]
    assert [one["path"] for one in listed["notes"]] == ["docs/key.md"]
    assert listed["as_before"] == ["docs/empty.md", "docs/key.md", "docs/photo.md", "docs/void.md"]


def test_the_place_to_read_the_rest_names_the_index_that_was_named(folder: Path) -> None:
    run("index", "docs", "--index", "an index")
    assert lines_of("docs", "--index", "an index")[-1] == (
        "1 skipped as before: minisearch status --index 'an index'"
    )


def test_an_interrupted_run_has_reported_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("index", "docs")
    (folder / "docs" / "new.md").write_text("something new")

    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(HashingEncoder, "encode_document", ended)
        run("index", "docs", code=130)
    assert "skipped    docs/empty.md: no text in it" in lines_of("docs")


def test_texts_that_were_embedded_before_are_counted(folder: Path) -> None:
    for name in ("copy", "again"):  # of the same name, which is embedded as their title
        (folder / "docs" / name).mkdir()
        (folder / "docs" / name / "bread.md").write_text("Flour, water, salt.\n")
    first = run("index", "docs").stdout.splitlines()[1]
    assert first.startswith("3 chunks embedded (") and "), 2 more had been embedded before; " in first
    (folder / "docs" / "copy" / "bread.txt").write_text("Flour, water, salt.\n")
    later = run("index", "docs").stdout.splitlines()[1]
    assert later.startswith("0 chunks embedded, 1 more had been embedded before; ")


JAPANESE = "失敗したタスクを再実行する"
CURE = (
    "found by words rather than by meaning; to find them by both: minisearch index PATH --index NEW_FOLDER "
    "--model paraphrase-multilingual-MiniLM-L12-v2"
)


def test_documents_in_non_latin_scripts_are_reported_once(folder: Path) -> None:
    assert "language" not in run("index", "docs").stdout
    (folder / "docs" / "one.md").write_text(JAPANESE)
    assert lines_of("docs")[-1] == (
        "language   1 document mostly in non-Latin scripts, and this index's model is English: " + CURE
    )
    for name in ("two", "three"):
        (folder / "docs" / f"{name}.md").write_text(JAPANESE + name)
    (folder / "docs" / "one.md").write_text(JAPANESE * 2)
    assert lines_of("docs")[-1] == (
        "language   2 documents mostly in non-Latin scripts, and this index's model is English: " + CURE
    )
    assert "language" not in run("index", "docs").stdout
    assert "language" not in run("index", "docs", "-v").stdout


def test_scripts_are_reported_only_for_english_models(folder: Path) -> None:
    (folder / "docs" / "one.md").write_text(JAPANESE)
    model = "paraphrase-multilingual-MiniLM-L12-v2"
    assert "language" not in run("index", "docs", "--model", model, "--index", "many").stdout
    report = MiniSearch.open(folder, encoder=HashingEncoder("ours")).index(folder / "docs")
    assert (report.added, report.n_in_other_scripts) == (4, 0)


def test_coverage_accounts_for_every_byte(folder: Path) -> None:
    (folder / "docs" / "yarn.lock").write_bytes(b"x" * 3_000)
    (folder / "docs" / "photo.jpg").write_bytes(b"x" * 50_000)
    run("index", "docs")
    lines = run("status", "--coverage").stdout.splitlines()
    n_bytes = sum((folder / "docs" / name).stat().st_size for name in ("tasks.md", "bread.md", "stars.txt"))
    assert lines[0] == f"found      4 files, {n_bytes} bytes; {n_bytes} characters of text"
    assert (
        lines[1]
        == f"indexed    {n_bytes - 3} bytes ({(n_bytes - 3) / n_bytes:.1%}) in 3 chunks of 3 documents"
    )
    n_bytes_left_out = 53_000 + (folder / "docs" / ".minisearchignore").stat().st_size
    assert lines[2:5] == [
        "not text   3 bytes (white space, markup)",
        "skipped    0 bytes of skipped files",
        f"left out   {n_bytes_left_out:,} bytes of 3 files",
    ]
    assert "left out   docs/out/: ignored by .minisearchignore, line 1: out/" in lines
    assert lines[-1] == "A folder that was left out counts once: the files in it were not looked at"
    found = json.loads(run("status", "--coverage", "--json").stdout)
    assert (found["n_bytes"], found["n_bytes_reached"], found["outcome"]) == (
        n_bytes,
        n_bytes - 3,
        "complete",
    )
    assert [one["path"] for one in found["skipped"]] == ["docs/empty.md"]
    assert found["n_bytes_left_out"] == n_bytes_left_out
    (folder / "docs" / "photo.jpg").unlink()
    assert (
        json.loads(run("status", "--coverage", "--json").stdout)["n_bytes_left_out"]
        == n_bytes_left_out - 50_000
    )


def test_why_not_says_why(folder: Path) -> None:
    run("index", "docs")
    assert run("why-not", "docs/out/x.md", "task").stdout == (
        "docs/out/x.md: not indexed: its folder docs/out was left out: "
        "ignored by .minisearchignore, line 1: out/\n"
    )
    assert "filtered: none of its passages is of a file that ends in txt" in (
        run("why-not", "docs/bread.md", "task", "--ext", "txt").stdout
    )
    assert run("why-not", "docs/tasks.md", "failed", "task").stdout == (
        "docs/tasks.md: found: it is result 1\n"
    )
    first, last, own = run("why-not", "docs/bread.md", "failed task", "-k", "1").stdout.splitlines()
    assert first.startswith("docs/bread.md: outranked: ranked ")
    assert last.startswith("last result       docs/tasks.md:1  by meaning 1 (")
    assert own.startswith("best passage      docs/bread.md:1  by meaning ")
    for place in ("docs/bread.md:1", "docs/bread.md:1:6"):
        of_line = run("why-not", place, "failed task", "-k", "1").stdout.splitlines()
        assert of_line == [first.replace("md:", "md:1:", 1), last, own]
    assert "expected the path of a file" in run("why-not", "", "task", code=1).stderr
    found = json.loads(run("why-not", "docs/bread.md", "failed task", "-k", "1", "--json").stdout)
    assert (found["verdict"], found["n_ranked"]) == ("outranked", 3)
    assert found["passage"]["trace"]["dense_rank"] == found["passage"]["rank"]


def test_a_number_after_a_pdf_is_a_page_in_every_command(folder: Path) -> None:
    pages = ["Herons nest early.\n\nThey fish.", "Owls hunt at night.", "Gulls follow ships."]
    (folder / "docs/birds.pdf").write_bytes(pdf(*pages))
    run("index", "docs")
    for place in ("docs/birds.pdf:2", "docs/birds.pdf p. 2"):
        assert "Owls" in run("get", place).stdout
        assert run("why-not", place, "owls at night").stdout == "docs/birds.pdf p. 2: found: it is result 1\n"
        assert "Owls" not in run("query", "--like", place, "--full").stdout
    error = "docs/birds.pdf has nothing on page 9: its last passage is on page 3"
    nine = "docs/birds.pdf:9"
    assert error in run("get", nine, code=1).stderr
    assert error in run("why-not", nine, "owls", code=1).stderr
    assert error in run("query", "--like", nine, code=2).stderr
    assert "not indexed" in run("why-not", "docs/none.pdf:2", "owls").stdout


def test_what_makes_no_sense_is_answered_with_the_usage(folder: Path) -> None:
    for arguments, error in (
        (
            ["index", "docs", "--max-bytes", "much"],
            "can't read the --max-bytes 'much': expected one such as 800kB",
        ),
        (["index", "docs", "--exclude", "!a"], "exclude has the pattern '!a': expected one without '!'"),
        (["index", "docs", "--include", "/"], "--include / is no pattern"),
    ):
        assert error in usage_error(run(*arguments, code=2))
        assert error in usage_error(run(*arguments, "--dry-run", code=2))
    assert not (folder / ".minisearch").exists()
    for arguments, error in (([" "], "the query is empty"), (["task"], "there is no index in")):
        (line,) = run("why-not", "docs/bread.md", *arguments, code=1).stderr.splitlines()
        assert error in line


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("1", 1),
        ("50MB", 50_000_000),
        ("50mb", 50_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("2k", 2_000),
        ("3Ki", 3_072),
    ],
)
def test_sizes_as_people_write_them(text: str, n: int) -> None:
    assert parse_size(text) == n


@pytest.mark.parametrize("text", ["", "0", "-1", "1e9", "MB", "1 TB", "0.0001k", "1,000", "9" * 99])
def test_an_invalid_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="can't read the --max-bytes"):
        parse_size(text)


# --- watching ----------------------------------------------------------------------------------------


def after(monkeypatch: pytest.MonkeyPatch, *ticks: bool) -> None:
    """Let files change so, and then the user press Ctrl-C."""

    def changes(*_: object) -> Iterator[bool]:
        yield from ticks
        raise KeyboardInterrupt

    monkeypatch.setattr("minisearch.indexing.watch._changes", changes)


def test_watch_prints_what_it_watches_once_and_ends_by_ctrl_c(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(monkeypatch, True, False)
    watched = run("watch", "docs", code=130)
    (line,) = watched.stdout.splitlines()
    assert line.endswith("  3 documents added, 0 updated, 0 unchanged, 0 removed, 1 skipped")
    skipped, *rest = watched.stderr.splitlines()
    assert skipped.startswith("skipped    docs/")
    assert rest == [
        "Watching 3 documents in docs; press Ctrl-C to stop",
        "Stopped watching: the index is up to date as of the last line",
    ]
    again = run("watch", "--json", code=130)
    assert json.loads(again.stdout)["unchanged"] == 3


def test_ctrl_c_before_the_first_report_of_watch_mentions_no_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(monkeypatch)
    watched = run("watch", "docs", code=130)
    assert (watched.stdout, watched.stderr) == (
        "",
        "Stopped: nothing was changed; run the same command to start again\n",
    )


def test_ctrl_c_while_the_model_is_loaded_mentions_the_first_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loading(_: object) -> None:
        raise KeyboardInterrupt

    after(monkeypatch, True, False)
    monkeypatch.setattr("minisearch.indexing.writer.IndexWriter.warm_up", loading)
    watched = run("watch", "docs", code=130)
    assert watched.stdout.endswith("  3 documents added, 0 updated, 0 unchanged, 0 removed, 1 skipped\n")
    assert watched.stderr.endswith("\nStopped watching: the index is up to date as of the last line\n")


def test_ctrl_c_while_news_are_printed_mentions_the_first_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def telling(_: object) -> list[str]:
        raise KeyboardInterrupt

    after(monkeypatch, True)
    monkeypatch.setattr("minisearch.cli.indexing.news", telling)
    watched = run("watch", "docs", code=130)
    assert len(watched.stdout.splitlines()) == 1
    assert watched.stderr == "Stopped watching: the index is up to date as of the last line\n"


def test_the_first_run_of_watch_has_a_progress_bar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def update(_: Progress, done: IndexProgress) -> None:
        drawn.append(f"{done.n_files_done}/{done.n_files}, {done.doing}")

    monkeypatch.setattr(Progress, "update", update)
    monkeypatch.setattr(Progress, "stop", lambda _: drawn.append("wiped away"))
    after(monkeypatch, True)
    run("watch", "docs", code=130)
    assert drawn[0] == "0/4, reading"
    assert drawn.index("4/4, reading") < drawn.index("wiped away")


# --- an interrupt ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
@pytest.mark.parametrize("n_windows", [0, 2])
def test_an_interrupt_says_what_it_kept_and_the_next_run_embeds_the_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, n_windows: int
) -> None:
    monkeypatch.setattr("minisearch.indexing.pipeline.WINDOW_TOKENS", 1)  # a document is a window
    encoders: list[HashingEncoder] = []

    class Interrupted(HashingEncoder):
        def encode_document(self, texts: Sequence[str]) -> FloatArray:
            if self.n_encoded == n_windows:
                raise error
            return super().encode_document(texts)

    def load(kind: type[HashingEncoder]) -> None:
        def from_pretrained(name: str, **_: object) -> HashingEncoder:
            encoders.append(kind(name.split("/")[-1]))
            return encoders[-1]

        monkeypatch.setattr(minilm.SentenceTransformer, "from_pretrained", from_pretrained)

    load(Interrupted)
    interrupted = run("index", "docs", code=code)
    kept = "2 of 4 files indexed; run the same command to continue"
    none = "no file is indexed yet; run the same command to start again"
    assert interrupted.stderr == f"Interrupted: {kept if n_windows else none}\n"
    load(HashingEncoder)
    report = json.loads(run("index", "docs", "--json").stdout)
    assert (report["unchanged"], report["added"], report["n_encoded"]) == (
        n_windows,
        3 - n_windows,
        3 - n_windows,
    )


def test_an_interrupt_before_any_file_is_read_claims_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", "docs")

    def walk(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("minisearch.indexing.plan.walk", walk)
    interrupted = run("index", "docs", code=130)
    assert interrupted.stderr == "Interrupted: nothing was changed; run the same command to start again\n"


@pytest.mark.parametrize("name", ["report.docx", "id_rsa", "blank.txt"])
def test_a_named_file_that_is_not_indexed_ends_with_1_and_its_reason(folder: Path, name: str) -> None:
    (folder / name).write_text("" if name == "blank.txt" else "no archive, no key")
    run("index", "docs")
    reason = {"report.docx": "damaged", "id_rsa": "a private key, by its name", "blank.txt": "no text"}[name]
    for _ in range(2):  # the second run names it too
        both = run("index", name, "docs/bread.md", code=1)
        assert reason in both.output
    alone = run("index", name, code=1)
    assert reason in alone.output
    assert run("index", ".").exit_code == 0


def test_a_hint_fits_the_kind_of_file(folder: Path) -> None:
    (folder / "docs" / "scan.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "docs" / "yarn.lock").write_text("a@1:")
    run("index", "docs")
    assert "media file: it has no text that can be read" in run("why-not", "docs/scan.png", "x").output
    assert (
        "lock file: to index it, add !yarn.lock to .minisearchignore"
        in run("why-not", "docs/yarn.lock", "x").output
    )


def test_a_name_that_is_not_utf_8_is_shown_as_a_shell_takes_it(folder: Path) -> None:
    name = "caf\udce9 notes.md"
    (folder / "docs" / name).write_text("coffee beans\n")
    run("index", "docs")
    assert run("query", "coffee", "-l").stdout.splitlines()[0] == "$'docs/caf\\351 notes.md'"
    shown = run("query", "coffee", "--path", f"docs/{name}", "-l").stdout.splitlines()
    assert len(shown) == 1
    (line,) = run("query", "coffee", "--path", f"docs/{name}", "--json").stdout.splitlines()
    assert line.isascii() and json.loads(line)["path"] == f"docs/{name}"
