"""The list of models, what one holds, and downloads from a hub of our own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from transformers import BertConfig, BertForPreTraining

from minisearch.cli import cli
from minisearch.minilm.catalog import CATALOG

NAME = "MiniLM-L12-H384-uncased"  # its repository has pytorch_model.bin and vocab.txt
ROW = CATALOG[NAME]


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["models", *arguments], prog_name="minisearch")
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLM_MODELS_PATH", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


# --- the list and one model -------------------------------------------------------------------------


def test_the_list_has_every_model_once_and_fits_a_narrow_terminal(
    nothing_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run().stdout.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split() for line in lines if line.startswith("  ") and "M" in line}
    assert rows.keys() == CATALOG.keys()
    assert rows["all-MiniLM-L6-v2"] == ["all-MiniLM-L6-v2", "6", "22.6M", "90", "MB", "package"]
    assert rows["all-MiniLM-L12-v2"][-2:] == ["not", "here"]
    monkeypatch.setenv("COLUMNS", "140")
    wide = run().stdout
    assert max(map(len, wide.splitlines())) <= 140
    assert all(row.about in wide for row in CATALOG.values())


def test_the_list_as_json_has_the_numbers_and_the_place(nothing_here: Path) -> None:
    rows = json.loads(run("--json").stdout)
    assert [row["name"] for row in rows] == list(CATALOG)
    assert rows[0] | {"about": ""} == {
        "name": "all-MiniLM-L6-v2",
        "kind": "embedder",
        "about": "",
        "repository": "sentence-transformers/all-MiniLM-L6-v2",
        "revision": "8b3219a92973c328a8e22fadcfa821b5dc75636a",
        "n_layers": 6,
        "n_parameters": 22_565_376,
        "place": "installed package",
    }
    assert rows[1]["place"] is None


def test_the_list_loads_neither_torch_nor_the_hubs_library() -> None:
    code = (
        "import sys; from minisearch.cli import cli; cli(['models'], standalone_mode=False);"
        "heavy = {'torch', 'numpy', 'tokenizers', 'huggingface_hub', 'safetensors'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_model_shows_what_was_really_loaded_and_what_was_left_out(nothing_here: Path) -> None:
    lines = run("show", "sentence-transformers/all-MiniLM-L6-v2").stdout.splitlines()
    manifest = [tuple(line.split(None, 1)) for line in lines if not line.startswith(("max", "left", " "))]
    assert ("parameters", "22,565,376 in 101 tensors, float32") in manifest
    assert ("layers", "6, 384 wide, 12 heads") in manifest
    assert ("SHA-256", CATALOG["all-MiniLM-L6-v2"].sha256) in manifest
    assert "            verified: equal to the catalog's" in lines
    assert "left out    embeddings.position_ids: a constant, 0, 1, 2 and so on" in lines
    found = json.loads(run("show", "all-MiniLM-L6-v2", "--json").stdout)
    assert (found["name"], found["place"]) == ("all-MiniLM-L6-v2", "installed package")
    assert found["report"]["n_parameters"] == 22_565_376
    assert found["settings"]["max_length"] == 256


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "all-MiniLM-L6"], "unknown model 'all-MiniLM-L6'; did you mean all-MiniLM-L6-v2?"),
        (["show", "all-MiniLM-L12-v2"], "no weights for all-MiniLM-L12-v2. Searched:"),
        (["download", "gpt"], "unknown model 'gpt': expected one of: all-MiniLM-L6-v2"),
        (["download", NAME, "--offline"], f"{NAME} is not on this machine; not downloaded: offline"),
    ],
)
def test_a_mistake_is_one_clear_error(nothing_here: Path, arguments: list[str], message: str) -> None:
    result = run(*arguments, code=1)
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stdout == ""


# --- downloads --------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """The few answers of huggingface.co that a download asks for; ``files`` is what its repository has."""

    files: dict[str, bytes]
    published: str  # the SHA-256 that it gives for the weights
    asked: list[str]

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        name = self.path.partition(f"/resolve/{ROW.revision}/")[2]
        if self.path.startswith(f"/api/models/{ROW.repository}/tree/"):
            tree = [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for path, content in self.files.items()
            ]
            body = json.dumps(tree).encode()
        elif self.path.startswith(f"/api/models/{ROW.repository}"):
            listed = [{"rfilename": path} for path in self.files]
            body = json.dumps({"id": ROW.repository, "sha": ROW.revision, "siblings": listed}).encode()
        elif name in self.files:
            body = self.files[name]
        else:
            self.send_error(404)
            return
        self.send_response(200)
        is_large = name == "pytorch_model.bin"
        tag = self.published if is_large else hashlib.sha1(body).hexdigest()
        self.send_header("ETag", f'"{tag}"')
        if is_large:
            self.send_header("X-Linked-Etag", f'"{tag}"')
        self.send_header("X-Repo-Commit", ROW.revision)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests print their own."""


@pytest.fixture
def hub(tmp_path: Path, weights: Path) -> Iterator[type[Hub]]:
    """A hub with one small encoder, saved as BERT leaves its own training."""
    torch.manual_seed(0)
    config = BertConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=12, intermediate_size=48)
    state = BertForPreTraining(config).state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin")
    Hub.files = {
        "config.json": config.to_json_string().encode(),
        "vocab.txt": (weights / "vocab.txt").read_bytes(),
        "tokenizer_config.json": b'{"do_lower_case": true}',
        "pytorch_model.bin": (tmp_path / "pytorch_model.bin").read_bytes(),
        "tf_model.h5": b"not wanted",
    }
    Hub.published = hashlib.sha256(Hub.files["pytorch_model.bin"]).hexdigest()
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Hub.address = f"http://127.0.0.1:{server.server_port}"
    yield Hub
    server.shutdown()
    server.server_close()
    thread.join()


def minisearch(folder: Path, *arguments: str, endpoint: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_HOME": str(folder / "hf"), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}  # where there is one
    return subprocess.run(
        [sys.executable, "-m", "minisearch", "models", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
    )


def test_a_download_fetches_what_is_needed_verifies_it_and_leaves_it_ready(
    tmp_path: Path, hub: type[Hub]
) -> None:
    done = minisearch(tmp_path, "download", NAME, endpoint=hub.address)
    folder = (
        tmp_path / "hf" / "hub" / "models--microsoft--MiniLM-L12-H384-uncased" / "snapshots" / ROW.revision
    )
    assert done.stdout.splitlines() == [
        f"Downloaded {NAME} ({folder})",
        "SHA-256 verified: equal to the hub's",
    ], done.stderr
    names = {file.name for file in folder.iterdir()}
    assert names == hub.files.keys() - {"tf_model.h5"}, "nothing but what is needed"

    hub.asked.clear()
    again = minisearch(tmp_path, "download", f"microsoft/{NAME}", "--json", endpoint=hub.address)
    assert json.loads(again.stdout) == {
        "name": NAME,
        "folder": str(folder),
        "downloaded": False,
        "sha256": hub.published,
        "vouched_by": "hub",
    }
    assert hub.asked == []
    shown = json.loads(minisearch(tmp_path, "show", NAME, "--json", endpoint=hub.address).stdout)
    assert shown["report"]["vouched_by"] == "hub"
    assert shown["report"]["format"] == "pytorch"
    assert shown["report"]["ignored"]["cls.predictions.bias"]
    assert any(
        NAME in line and line.endswith("cache")
        for line in minisearch(tmp_path, endpoint=hub.address).stdout.splitlines()
    )
    assert hub.asked == []


def test_a_download_that_is_not_what_the_hub_says_is_refused(tmp_path: Path, hub: type[Hub]) -> None:
    hub.published = "0" * 64
    done = minisearch(tmp_path, "download", NAME, endpoint=hub.address)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"expected {'0' * 64}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hub_that_has_it_not_is_one_clear_error(tmp_path: Path, hub: type[Hub]) -> None:
    hub.files = {}
    done = minisearch(tmp_path, "download", NAME, endpoint=f"{hub.address}/elsewhere")
    assert (done.returncode, done.stdout) == (1, "")
    error = f"Error: {NAME} could not be downloaded: download failed: "
    assert done.stderr.splitlines()[-1].startswith(error)
    assert "Traceback" not in done.stderr
