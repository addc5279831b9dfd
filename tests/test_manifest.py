"""A manifest comes back from its store as it was written, and damage is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.errors import IndexCorrupt, IndexNotFound
from minisearch.manifest import BASELINE_VERSION, FileChoice, Manifest, ScoreBaseline, Settings
from minisearch.paths import Trusted
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder


def a_manifest() -> Manifest:
    manifest = Manifest.of(HashingEncoder(), Settings(max_tokens=50), "flat")
    return Manifest(
        **{name: getattr(manifest, name) for name in manifest.__slots__ if name not in ("roots", "choices")},
        roots=("docs", "/else/\udcff"),
        choices={"docs": FileChoice(include=["*.md"], keep_secrets=False), "a": FileChoice(max_bytes=7)},
    ).with_baseline(ScoreBaseline((0.2, 0.4), (0.5, 0.5), 9))


class Meta(dict[str, str]):
    """The metadata of a store."""

    def meta(self) -> dict[str, str]:
        return self

    def set_meta(self, **values: str) -> None:
        self.update(values)


def test_a_manifest_comes_back_as_it_was_written() -> None:
    store = Meta()
    with pytest.raises(IndexNotFound, match="is empty"):
        Manifest.read(store, Path("folder"))
    a_manifest().write(store)
    assert list(store) == ["manifest"]
    assert Manifest.read(store, Path("folder")) == a_manifest()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("dimension", value) for value in (0, -5, 1.5, "8", None, True, 10**20)),
        *(("model", 5), ("backend", None), ("chunk_tokens", 0), ("overlap_tokens", -1)),
        *(("roots", "docs"), ("roots", [5]), ("choices", []), ("choices", {"docs": {"include": "*"}})),
        *(("choices", {"docs": {"unknown": 1}}), ("choices", {"docs": 5})),
        *(("trusted", []), ("trusted", {}), ("trusted", {"inode": "1", "folder": "", "paths": []})),
        *(
            ("baseline", 5),
            ("baseline", {}),
            ("baseline", {"generic": [0.5], "own": [0.5, 0.6], "n_documents": 1}),
        ),
        *(
            ("baseline", {"generic": [0.6, 0.5], "own": [0.5, 0.6], "n_documents": 1}),
            ("baseline_version", "1"),
        ),
        ("baseline", {"generic": [float("nan"), 0.5], "own": [0.5, 0.6], "n_documents": 1}),
    ],
)
def test_a_damaged_field_is_named(name: str, value: object) -> None:
    store = Meta(manifest=json.dumps(json.loads(a_manifest().to_json()) | {name: value}))
    with pytest.raises(IndexCorrupt, match=rf"folder/minisearch\.db is damaged \(its manifest: its {name}: "):
        Manifest.read(store, Path("folder"))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "{}", "[" * 100_000, '{"model": "m"}'])
def test_what_is_no_manifest_is_damage(text: str) -> None:
    with pytest.raises(IndexCorrupt, match="is damaged"):
        Manifest.read(Meta(manifest=text), Path("folder"))


def test_the_baseline_of_another_version_is_measured_again() -> None:
    manifest = a_manifest()
    assert not manifest.is_baseline_due
    held = json.loads(manifest.to_json()) | {"baseline_version": BASELINE_VERSION + 1, "baseline": "other"}
    other = Manifest.from_json(json.dumps(held))
    assert (other.is_baseline_due, other.baseline) == (True, None)
    assert not manifest.with_baseline(None).is_baseline_due


def test_rollback_brings_the_manifest_back_with_the_documents(tmp_path: Path) -> None:
    """Roots, choices, settings and backend; but what a user has named stays named."""
    for folder in ("docs", "more"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").write_text(f"words of {folder}")
    database = tmp_path / ".minisearch" / "minisearch.db"

    def manifest() -> Manifest:
        with LocalStore(database) as store:
            return Manifest.read(store, tmp_path)

    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path / "docs", backend="flat", choice=FileChoice(exclude=["drafts/"]))
    before = manifest()
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "o.md").write_text("words of elsewhere")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder(), settings=Settings(max_tokens=40)) as ms:
        ms.index(tmp_path / "more", outside, backend="faiss", choice=FileChoice(max_bytes=99))
        after = manifest()
        assert (after.backend, after.chunk_tokens, len(after.roots)) == ("faiss", 40, 3)
        ms.rollback()
        back = manifest()
        assert back.trusted == after.trusted != Trusted()
        assert (back.backend, back.chunk_tokens) == (before.backend, before.chunk_tokens)
        assert (back.roots, back.choices) == (before.roots, before.choices)
        ms.rollback()
        assert manifest() == after
