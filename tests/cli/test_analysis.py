"""``cluster``, ``dups``, ``compare``, ``similar`` and ``alert`` on the command line."""

from __future__ import annotations

import json
import random
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minisearch.cli import cli
from tests.analysis.test_clusters import write_topics

pytestmark = pytest.mark.usefixtures("home")


def run(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, arguments, prog_name="minisearch")
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def topics(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = home / "topics"
    folder.mkdir()
    write_topics(folder)
    monkeypatch.chdir(folder)
    run("index", ".", "-q")
    return folder


def test_cluster_lists_topics_and_writes_maps(topics: Path) -> None:
    pytest.importorskip("sklearn")
    done = run("cluster", "--min-size", "4", "--map", "map.html")
    assert "3 clusters; 0 documents in none" in done.stdout
    assert done.stderr == "The map is in map.html\n"
    assert "<canvas" not in (topics / "map.html").read_text()
    assert "drawMap(" in (topics / "map.html").read_text()
    run("cluster", "--map", "map.png")
    assert (topics / "map.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(run("cluster", "--json", "--min-size", "4").stdout)
    assert [len(one["documents"]) for one in found["clusters"]] == [10, 10, 10]
    assert "5 more (--all)" in done.stdout
    assert "more" not in run("cluster", "--min-size", "4", "--all").stdout


def test_a_map_that_cannot_be_written_is_an_error(topics: Path) -> None:
    pytest.importorskip("sklearn")
    assert "ends with .html or .png" in run("cluster", "--map", "map.pdf", code=1).stderr
    assert "cannot write none/map.html" in run("cluster", "--map", "none/map.html", code=1).stderr
    assert not (topics / "map.pdf").exists()


def test_dups_names_what_to_keep(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random_ = random.Random(1)
    words = ["".join(random_.choices("abcdefgh", k=6)) for _ in range(200)]
    folder = home / "copies"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "a.md").write_text("\n".join(words))
    (folder / "b.md").write_text("\n".join(words[:150]))
    (folder / "c.md").write_text("\n".join([*words[:50], *(f"other{n}" for n in range(150))]))
    run("index", ".", "-q")
    shown = run("dups").stdout
    assert "keep  a.md\n100%  b.md  lines 1-150\n" in shown
    assert "1 near copy of 1 document; 2 pairs of others share a part" in shown
    assert "part  c.md\n      lines 1-50 are also in a.md, lines 1-50" in shown
    assert json.loads(run("dups", "--json").stdout)["groups"][0]["keep"] == "a.md"
    assert "expected a number above 0" in run("dups", "--share", "2", code=1).stderr


def test_dups_of_nothing(topics: Path) -> None:
    assert "0 near copies of 0 documents" in run("dups").stdout


def test_compare_prints_what_is_new_with_its_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    (home / "old.md").write_text("# Hall\n\nThe hall costs 40 euros.\n")
    (home / "new.md").write_text("# Hall\n\nThe hall costs 55 euros.\n\nDogs must stay outside.\n")
    run("index", "old.md", "new.md", "-q")
    shown = run("compare", "old.md", "new.md").stdout
    assert "~ The hall costs 55 euros.\n  new.md:3\n" in shown
    assert "other numbers at old.md:3: The hall costs 40 euros." in shown
    assert "+ Dogs must stay outside.\n  new.md:5\n" in shown
    assert "2 sentences of 2 in new.md not in old.md" in shown
    assert "is not in the index" in run("compare", "old.md", "none.md", code=1).stderr


def test_similar_is_query_like(topics: Path) -> None:
    done = run("similar", "baking-0.txt", "-k", "3", "--format", "files")
    assert done.stdout == run("query", "--like", "baking-0.txt", "-k", "3", "--format", "files").stdout
    assert all(name.startswith("baking-") for name in done.stdout.split())
    assert "is not in the index" in run("similar", "none.txt", code=2).stderr


def test_an_alert_reports_new_passages_after_a_run(topics: Path) -> None:
    assert run("alert", "add", "where is the lighthouse keeper").stdout.startswith("Added; ")
    assert run("alert", "list").stdout == "where is the lighthouse keeper\n"
    assert run("alert", "check", code=1).stdout == ""
    (topics / "new.txt").write_text("where is the lighthouse keeper")
    shown = run("index", ".").stdout
    assert "alert      where is the lighthouse keeper\n  new.txt:1: where is the lighthouse keeper" in shown
    assert "alert" not in run("index", ".").stdout


def test_a_command_gets_new_matches_as_json(topics: Path) -> None:
    run("alert", "add", "where is the lighthouse keeper")
    (topics / "new.txt").write_text("where is the lighthouse keeper")
    code = "import sys; open('got', 'w').write(sys.stdin.read())"
    run("index", ".", "--on-alert", shlex.join([sys.executable, "-c", code]))
    (line,) = (topics / "got").read_text().splitlines()
    got = json.loads(line)
    assert (got["alert"], got["place"]) == ("where is the lighthouse keeper", "new.txt:1")


@pytest.mark.parametrize("command", ["no-such-program", "false", "'"])
def test_matches_are_printed_if_the_command_fails(topics: Path, command: str) -> None:
    run("alert", "add", "where is the lighthouse keeper")
    (topics / "new.txt").write_text("where is the lighthouse keeper")
    done = run("index", ".", "--on-alert", command)
    assert "  new.txt:1: where is the lighthouse keeper" in done.stdout
    assert "Cannot run" in done.stderr or "ended with code 1" in done.stderr


def test_a_damaged_file_of_alerts_does_not_hide_the_report(topics: Path) -> None:
    (topics / ".minisearch" / "alerts.json").write_text("{")
    done = run("index", ".")
    assert "30 unchanged" in done.stdout
    assert "The alerts were not reported" in done.stderr
    assert "alerts.json is damaged: delete it" in done.stderr


def test_alerts_as_json_and_their_removal(topics: Path) -> None:
    run("alert", "add", "lighthouse keeper")
    (topics / "new.txt").write_text("lighthouse keeper")
    run("index", ".", "-q", "--json")
    assert json.loads(run("alert", "list", "--json").stdout) == ["lighthouse keeper"]
    run("alert", "remove", "lighthouse keeper")
    assert run("alert", "list").stdout == "There are no alerts\n"
    assert "no alert" in run("alert", "remove", "x", code=1).stderr
