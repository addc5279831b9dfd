"""The doctor: each problem of an installation or index is found, with its cure."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minisearch.maintenance import doctor
from tests.cli.usage import run

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports that fail or succeed at once, since real ones take seconds."""
    missing = {
        "torch": "torch",
        "watchfiles": "watchfiles",
        "starlette": "anyio",
        "llama_index.core": "llama_index",
        "tree_sitter_go": "tree_sitter_go",
        "tree_sitter_rust": "tree_sitter_rust",
    }

    def importing(name: str) -> subprocess.Popen[str]:
        code = f"import {missing[name]}" if name in missing else ""
        return subprocess.Popen([sys.executable, "-ISc", code], stderr=subprocess.PIPE, text=True)

    monkeypatch.setattr(doctor, "_importing", importing)
    monkeypatch.setattr(doctor, "verified_sha256", lambda _: "")


def checks(*arguments: str, code: int) -> dict[str, dict[str, str]]:
    found = json.loads(run("doctor", "--json", *arguments, code=code).stdout)
    return {one["subject"]: one for one in found}


def test_a_sound_installation_has_no_problem(
    home: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = doctor.locate("all-MiniLM-L6-v2", offline=True)
    monkeypatch.setattr(doctor, "locate", lambda *_, **__: real)  # the index has another encoder
    run("collection", "add", "notes", "../notes")
    run("index", "-c", "notes")
    before = set(os.listdir(home))
    found = checks("-c", "notes", code=0)
    assert set(os.listdir(home)) == before, "no library writes in the home folder"
    assert {one["outcome"] for name, one in found.items() if not name.startswith("extra")} == {"ok"}
    assert found["index"]["text"].endswith(".minisearch: 1 document, 1 chunk")
    monkeypatch.setattr(doctor, "NEEDED", ("click",))
    monkeypatch.setattr(doctor, "OPTIONAL", {})
    assert run("doctor").stdout.endswith("No problem found\n")


@pytest.mark.usefixtures("quick", "weights")
def test_each_problem_has_its_cure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("index", "../notes", "--index", "index")
    shutil.rmtree(home / "notes")
    os.chmod("index", 0o755)
    monkeypatch.setattr(doctor, "LITTLE_SPACE", 10**18)
    found = checks("--index", "index", code=1)
    assert {name for name, one in found.items() if one["outcome"] == "problem"} == {
        *("torch", "starlette", "files", "disk"),
        "model",  # that of the test
    }
    assert found["torch"]["cure"] == "pip install --force-reinstall --no-deps torch"
    assert found["extra watch"]["cure"] == "to install it: pip install 'minisearch-local[watch]'"
    assert found["starlette"]["text"] == ("cannot be imported: ModuleNotFoundError: No module named 'anyio'")
    assert found["starlette"]["cure"] == "pip install starlette"
    assert found["extra code"]["text"] == "not installed: tree-sitter-go, tree-sitter-rust"
    assert found["extra llama-index"]["text"] == "not installed: llama-index-core"
    assert found["files"]["cure"] == (
        f"move it, or the index, back; or take it out: minisearch remove {home}/notes --index index"
    )
    assert found["permissions"]["cure"] == "chmod 700 index"


@pytest.mark.usefixtures("quick", "weights")
def test_a_missing_or_damaged_index_is_a_problem_where_it_is_named(home: Path) -> None:
    assert checks(code=1)["index"]["outcome"] == "note"
    assert checks("--index", "nowhere", code=1)["index"]["outcome"] == "problem"
    run("index", "../notes", "--index", "index")
    database = Path("index", "minisearch.db")
    database.write_bytes(database.read_bytes()[:5_000])
    found = checks("--index", "index", code=1)["index"]
    assert found["outcome"] == "problem" and "damaged" in found["text"]


@pytest.mark.usefixtures("quick")
def test_missing_weights_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DEFAULT_MODEL", "bge-small-en-v1.5")
    found = checks(code=1)["model"]
    assert found == {
        "subject": "model",
        "outcome": "note",  # the first run of index downloads them
        "text": "bge-small-en-v1.5 is not on this machine",
        "cure": found["cure"],
    }
    assert found["cure"].startswith("minisearch models download bge-small-en-v1.5")
    Path(".minisearch").mkdir()
    Path(".minisearch", "minisearch.db").touch()
    assert checks(code=1)["model"]["outcome"] == "problem"


def test_a_file_in_the_current_folder_is_not_run(home: Path) -> None:
    for name in ("annoy", "yaml", "rich"):
        Path(f"{name}.py").write_text(f"open('{home}/ran', 'w').close()\nraise ImportError('of the user')")
    assert [doctor._failure(doctor._importing(name)) for name in ("annoy", "yaml", "rich")] == ["", "", ""]
    assert not (home / "ran").exists()


def test_an_import_opens_no_socket(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("urllib3")
    hook = "lambda event, _: event == 'socket.__new__' and os._exit(3)"
    (home / "watched.py").write_text(f"import os, sys\nsys.addaudithook({hook})\nimport urllib3")
    monkeypatch.setenv("PYTHONPATH", str(home))
    assert doctor._failure(doctor._importing("watched")) == ""


def test_every_module_of_an_extra_is_examined() -> None:
    """The lists are compared with the package's own."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    block = text.partition("[project.optional-dependencies]")[2].partition("\nall = ")[0]
    block = re.sub(r"^docs = .*\n", "", block, flags=re.MULTILINE)  # to build the site, not to run anything
    wanted = set(re.findall(r'"([\w-]+)>=', block)) - {"matplotlib"}  # for plots only; writes when imported
    assert {doctor._distribution(name) for name in doctor.OPTIONAL} == wanted
    assert set(doctor.OPTIONAL.values()) == set(re.findall(r"^([\w-]+) = \[", block, re.MULTILINE))
