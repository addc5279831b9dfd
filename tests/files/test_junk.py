"""Files that nobody wrote to be read stay out, are counted by kind, and come back when asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.files.embedded import embedded_data
from minisearch.files.junk import junk_kind, junk_text_kind
from minisearch.files.walk import FoundFile, LeftOut, walk
from minisearch.manifest import FileChoice
from tests.fakes import HashingEncoder

KINDS = [
    ("package-lock.json", "lock file"),
    ("Cargo.lock", "lock file"),
    ("Pipfile.lock", "lock file"),
    ("go.sum", "lock file"),
    ("~$budget.xlsx", "lock file"),
    ("jquery.min.js", "minified file"),
    ("app-min.css", "minified file"),
    ("bundle.js.map", "source map"),
    ("logo.SVG", "drawing"),
    ("flow.drawio", "drawing"),
    ("service_pb2.py", "generated file"),
    ("service.pb.go", "generated file"),
    ("Form1.Designer.cs", "generated file"),
    ("IMG_0001.JPG", "media file"),
    ("talk.mp3", "media file"),
    ("font.woff2", "media file"),
]
PROSE = [
    *(
        "notes.md",
        "lock.md",
        "~$budget.md",
        "deadlock.txt",
        "minutes.min.md",
        "map.txt",
        "roadmap.map",
        "app.js",
        "style.css",
    ),
    *(
        "course-bundle.js",
        "svg.md",
        "pb2.py",
        "data.csv",
        "settings.json",
        "vendor.md",
        "report.pdf",
        "mail.eml",
        "generated.go",
    ),
]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_name_that_says_so_is_junk(name: str, kind: str) -> None:
    assert junk_kind(f"/x/{name}", name, is_folder=False) == kind


@pytest.mark.parametrize("name", PROSE)
def test_other_names_are_not(name: str) -> None:
    assert junk_kind(f"/x/{name}", name, is_folder=False) == ""


def a_tree(folder: Path) -> Path:
    files = {
        "notes.md": "Notes on herons.",
        "logo.svg": "<svg><path d='M0 0L9 9'/></svg>",
        "photo.jpg": "not really",
        "web/package.json": "{}",
        "web/vendor/jquery.js": "function jquery() {}",
        "web/node_modules/left-pad/index.js": "module.exports = pad",
        "web/app.min.js": "a()",
        "web/app.egg-info/SOURCES.txt": "setup.py",
        "letters/vendor/acme.md": "A letter from a vendor.",
        "python/pyvenv.cfg": "home = /usr",
        "env/pyvenv.cfg": "home = /usr",
        "env/lib/thing.py": "pass",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def names(folder: Path) -> tuple[set[str], dict[str, str]]:
    found, left_out = set(), {}
    for item in walk(folder):
        name = str(Path(item.path).relative_to(folder))
        if isinstance(item, FoundFile):
            found.add(name)
        elif isinstance(item, LeftOut):
            left_out[name] = item.kind
    return found, left_out


def test_junk_is_left_out_of_a_walk_and_vendor_only_beside_code(tmp_path: Path) -> None:
    found, left_out = names(a_tree(tmp_path))
    assert found == {"notes.md", "web/package.json", "letters/vendor/acme.md"}
    assert left_out == {
        "logo.svg": "drawing",
        "photo.jpg": "media file",
        "web/vendor": "vendored folder",
        "web/node_modules": "vendored folder",
        "web/app.min.js": "minified file",
        "web/app.egg-info": "generated file",
        "env": "vendored folder",
        "python": "vendored folder",
    }


def test_an_ignore_file_takes_junk_back_and_so_does_naming_it(tmp_path: Path) -> None:
    a_tree(tmp_path)
    (tmp_path / ".minisearchignore").write_text("!*.svg\n!vendor/\n")
    found, _ = names(tmp_path)
    assert {"logo.svg", "web/vendor/jquery.js"} <= found
    (alone,) = walk(tmp_path / "web" / "app.min.js")
    assert isinstance(alone, FoundFile)


def test_a_run_counts_junk_by_kind_and_include_brings_it_back(tmp_path: Path) -> None:
    with MiniSearch.open(a_tree(tmp_path), encoder=HashingEncoder()) as engine:
        report = engine.index(tmp_path)
        assert dict(report.n_junk) == {
            "drawing": 1,
            "generated file": 1,
            "media file": 1,
            "minified file": 1,
            "vendored folder": 4,
        }
        assert {one.path for one in engine.coverage().left_out} >= {str(tmp_path / "logo.svg")}
        engine.index(tmp_path, choice=FileChoice(include=("*.md", "*.svg")), prune=True)
        assert {Path(hit.path).name for hit in engine.query("path heron", 9)} >= {"logo.svg", "notes.md"}


# --- by content --------------------------------------------------------------------------------------------

NUMBERS = "\n".join(f"{n},{n * 7 % 13},{n / 3:.5f},-{n}.25e{n % 9}" for n in range(200))
BASE64 = "\n".join("aGVyb25zIGxpdmUgaW4gdGhlIG1hcnNo1a2b3c4d5e6f7g8h9i0jKLMNOPQRSTUVWXYZ" for _ in range(60))
CERTIFICATE = f"-----BEGIN CERTIFICATE-----\n{BASE64[:679]}\nEgiEWg==\n-----END CERTIFICATE-----\n"
JQUERY = "/*! j */" + "(function(a,b){return a.b(c)}),d=e.f;" * 100
CODE = "\n".join(f"function step{n}(value) {{\n  return value + {n};\n}}" for n in range(60))
LETTER = "Dear Lena, the herons are back in the marsh, three of them.\n" * 60


@pytest.mark.parametrize(
    ("text", "language", "kind"),
    [
        (NUMBERS, "", "data without prose"),
        (BASE64, "", "data without prose"),
        (JQUERY, "javascript", "minified file"),
        ('"""Build the auto-generated API pages."""\nimport os\n', "python", ""),
        ("// Do not edit the numbers below without asking Anna.\nlet x;", "javascript", ""),
        ("# certbot: for files that are automatically generated\na: b\n", "yaml", ""),
        ("# This file was automatically generated by cmake.\nall:\n", "python", "generated file"),
        ("# Code generated by protoc. DO NOT EDIT.\nx = 1\n", "python", "generated file"),
        (
            "# **** WARNING: AUTOGENERATED! ALL EDITS WILL BE LOST ****\nimport os\n",
            "python",
            "generated file",
        ),
        ("/* @generated by a tool */\nlet x;", "typescript", "generated file"),
        ("<!-- This file is auto-generated. -->\n<a/>", "xml", "generated file"),
        ("/* Generated by Cython 3.0.8 */\n#define A 1\n", "c", "generated file"),
        ("# file generated by setuptools-scm\nversion = '1'\n", "python", "generated file"),
        ("// Generated from Calc.g4 by ANTLR 4.9\nlet x;", "javascript", "generated file"),
        ("/*\n * Automatically generated file.\n */\nint a;", "c", "generated file"),
        ("# Pages that were generated by Sphinx are checked here.\n", "python", ""),
        ("# Generated by hand, with care.\nx = 1\n", "python", ""),
        ("# Generated names begin with _.\nx = 1\n", "python", ""),
        ("# Generated by Django 4.2 on 2024-03-01\nimport a\n", "python", ""),
        ("/*\n * This file was generated by the Gradle 'init' task.\n */\n", "kotlin", ""),
        ("# DO NOT EDIT on the server: change them in git.\n[mail]\n", "ini", ""),
        ("-- DO NOT EDIT applied migrations, add a new one.\ncreate table t;\n", "sql", ""),
        ('// It skips files with "// Code generated by protoc. DO NOT EDIT."\nx\n', "go", ""),
        ("# A linter: no file that it reads may say DO NOT EDIT\nx = 1\n", "python", ""),
        ("/**\n * Removes every file with an @generated mark.\n */\n", "javascript", ""),
        ("# Generated code goes to build/gen, see docs\na: b\n", "yaml", ""),
        ("# Generated code is not linted here.\nx = 1\n", "python", ""),
        ("# This file was autogenerated by uv via the following command:\na==1\n", "ini", "generated file"),
        ("// This file is @generated by prost-build.\nx\n", "rust", "generated file"),
        ("# Note: this file is generated.\nx\n", "python", "generated file"),
        ("# Made by build.py. DO NOT EDIT!\nx\n", "python", "generated file"),
        ("/* DO NOT EDIT THIS FILE - it is machine generated */\nx\n", "c", "generated file"),
        ("#" * 50_000 + f"\n{LETTER}", "python", ""),  # in time that grows with its length
        ("# a" + "! " * 25_000 + f"\n{LETTER}", "python", ""),
        (CERTIFICATE, "", "data without prose"),
        (f"# Issuer: CN=Root CA\n# Subject: CN=Root CA O=Acme\n{CERTIFICATE}" * 20, "", "data without prose"),
        (f"{LETTER[:240]}It came with this:\n{CERTIFICATE * 3}", "", ""),
        (f"# Issuer: Root CA\n{CERTIFICATE}", "", "data without prose"),
        (f"How to install the root:\n{CERTIFICATE}{LETTER}", "", ""),
        (CODE, "javascript", ""),
        (LETTER, "", ""),
        (LETTER.replace("\n", " "), "", ""),
        ("違章停車的罰款是五百元，請在三十天內繳納。" * 200, "", ""),
        ("รถจอดผิดที่ต้องเสียค่าปรับห้าร้อยบาท " * 99, "", ""),
        ("Лена, цапли вернулись на болото. " * 99, "", ""),
        ("date,payee,amount\n" + "2024-01-31,Rewe,-23.40\n" * 200, "", ""),
        ("1,2,3\n", "", ""),  # too short to tell
        ("# How we work\n\nGenerated files say DO NOT EDIT at their top.", "markdown", ""),
        ("def edit():\n    'Do what no generated code does.'\n", "python", ""),
    ],
)
def test_a_text_is_junk_if_its_content_leaves_no_doubt(text: str, language: str, kind: str) -> None:
    assert junk_text_kind(text, embedded_data(text), language, "code" if language else "text") == kind


def test_a_table_of_numbers_is_no_junk() -> None:
    assert junk_text_kind("Date;Amount\n" + NUMBERS, [], "", "csv") == ""


def test_an_ignore_file_takes_junk_by_content_back(tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text(JQUERY)
    (tmp_path / ".minisearchignore").write_text("!app.js\n")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as engine:
        assert engine.index(tmp_path).added == 1


def test_a_file_that_is_named_beside_its_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text(JQUERY)
    (tmp_path / "notes.md").write_text("Notes on herons.")
    for n, roots in enumerate(([tmp_path, tmp_path / "app.js"], [tmp_path / "app.js", tmp_path])):
        with MiniSearch.open(tmp_path / f"index{n}", encoder=HashingEncoder()) as engine:
            assert engine.index(*roots).added == 2


def test_junk_by_content_is_skipped_with_its_kind_unless_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text(JQUERY)
    (tmp_path / "notes.md").write_text("Notes on herons.")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as engine:
        (skipped,) = engine.index(tmp_path).skipped
        assert skipped.reason == "minified file: to index it, add !app.js to .minisearchignore"
        engine.index(tmp_path, choice=FileChoice(include=("*.js", "*.md")))
        assert engine.status().n_documents == 2


def test_a_certificate_that_an_earlier_version_indexed_leaves_the_index(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "ca.crt").write_text(CERTIFICATE)
    (tmp_path / "notes.md").write_text(f"Herons.\n\n{CERTIFICATE}\nOwls.\n" + LETTER)
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as engine:
        with monkeypatch.context() as earlier:
            earlier.setattr("minisearch.indexing.changes.junk_text_kind", lambda *_: "")
            earlier.setattr("minisearch.indexing.changes.without_embedded", lambda document, _: document)
            earlier.setattr("minisearch.manifest.INGEST_VERSION", 1)
            assert engine.index(tmp_path).added == 2
        report = engine.index(tmp_path, prune=True)
        assert (report.removed, report.updated) == (1, 1)
        (note,) = report.notes
        assert note.text == f"{len(CERTIFICATE) - 1:,} characters of embedded data left out"
        assert not [hit for hit in engine.query("heron") if "MarSh" in hit.text or "aGVyb25z" in hit.text]
