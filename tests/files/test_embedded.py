"""Embedded data is no text, in every format; words that look a little like it are."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import random
import time
from pathlib import Path

import pytest

from minisearch import MiniSearch, TextDocument
from minisearch.chunking.positions import Positions
from minisearch.files.embedded import embedded_data, without_ranges
from minisearch.indexing.changes import without_embedded
from minisearch.parsers import parse
from minisearch.types import Document, Origin
from tests.fakes import HashingEncoder

LETTER = "Dear Lena, the herons are back in the marsh, three of them.\n" * 20
BYTES = random.Random(0).randbytes(6_000)
LINES = base64.encodebytes(BYTES[:600]).decode()
RUN = base64.b64encode(BYTES).decode()
SIGNATURE = base64.encodebytes(BYTES[:119]).decode()
UUENCODED = "".join(binascii.b2a_uu(BYTES[i : i + 45]).decode() for i in range(0, 300, 45))
PATH = (
    "M12 2C6.48 2 2 6.48 2 12s4.48 10 10 10 10-4.48 10-10S17.52 2 12 2zm0 18c-4.41 0-8-3.59-8-8s3.59-8 8-8z"
)
SCRIPT = (
    '!function(e,t){"use strict";var n=e.document;if(!n){throw Error(t)}for(var r=0;r<9;r++){n.b(r)}}(a,b);'
    * 9
)
STYLE = ".heron{color:#123;margin:0 auto}.marsh>li:hover{background:url(a.png);border:1px solid red}" * 9
PERCENT = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'%3E%3Cpath d='M0 0h8'/%3E%3C/svg%3E"


def armour(kind: str, body: str, head: str = "") -> str:
    return f"-----BEGIN {kind}-----\n{head}{body}-----END {kind}-----"


DATA = {
    "a picture in Markdown": ("![a heron](", f"data:image/png;base64,{RUN}", ")\n"),
    "a small picture": (
        "![dot](",
        "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
        ")",
    ),
    "a reference": ("[image1]: <", f"data:image/png;base64,{RUN}", ">\n"),
    "a picture on several lines": (
        '<img alt="heron" src="',
        f"data:image/png;base64,{LINES}".strip(),
        '">\n',
    ),
    "a drawing in a style": ('a { background: url("', PERCENT, '") }\n'),
    "a drawing without quotes": ("url(", "data:image/svg+xml;utf8," + "%3Csvg%20a=1%3E" * 5, ")\n"),
    "a value of JSON": ('{"heron": "', RUN[:300], '", "n": 3}'),
    "a certificate": ("Trust it:\n", armour("CERTIFICATE", LINES), "\nDone.\n"),
    "a certificate of Windows": (
        "Trust it:\r\n",
        armour("CERTIFICATE", LINES).replace("\n", "\r\n"),
        "\r\nDone.\r\n",
    ),
    "a certificate in one line": ("ca: '", armour("CERTIFICATE", LINES).replace("\n", "\\n"), "'\n"),
    "a certificate that is indented": (
        "ca: |\n  ",
        armour("CERTIFICATE", LINES).replace("\n", "\n  "),
        "\nb: 1\n",
    ),
    "a short signature": (
        "Ada\n",
        armour("PGP SIGNATURE", f"\n{SIGNATURE}=aB3d\n", "Version: GnuPG v2.0.22 (Linux)\n"),
        "\n",
    ),
    "a signature in a reply": (
        "> Ada\n> ",
        armour("PGP SIGNATURE", f"\n{SIGNATURE}=aB3d\n").replace("\n", "\n> "),
        "\nThanks.\n",
    ),
    "lines": ("It came so:\n", LINES, "Three herons.\n"),
    "lines of a reply": (
        "> So:\n",
        "".join(f"> {line}\n" for line in LINES.splitlines()),
        "> Three herons.\n",
    ),
    "lines of code": ("x = (\n", "".join(f'    b"{line}"\n' for line in LINES.splitlines()), ")\n"),
    "uuencode": ("See below.\n", f"begin 644 heron.gif\n{UUENCODED}`\nend", "\nAda\n"),
    "a path of a drawing": ('<path fill="red" d="', PATH, '"/>\n'),
    "a script": ("<script>\n", SCRIPT, "\n</script>\n"),
    "a style sheet": ("```css\n", STYLE, "\n```\n"),
}


@pytest.mark.parametrize("kind", DATA)
def test_embedded_data_is_found_and_nothing_beside_it(kind: str) -> None:
    before, data, after = DATA[kind]
    text = f"{LETTER}{before}{data}{after}{LETTER}"
    assert without_ranges(text, embedded_data(text)).split() == f"{LETTER}{before}{after}{LETTER}".split()


@pytest.mark.parametrize(
    "text",
    [
        LETTER,
        "/home/ada/projects/Herons2024/Data/Winter/North/" * 3 + "\n",
        "ACGTTGCAACGT" * 90,
        "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV" * 4,
        "0123456789abcdef" * 4 + "\n" + "d41d8cd98f00b204e9800998ecf8427e\n" * 9,
        "".join(f"{hashlib.sha256(bytes([n])).hexdigest()}\n" for n in range(4)),
        "".join(f"{hashlib.sha512(bytes([n])).hexdigest()}  file-{n}.tar.gz\n" for n in range(9)),
        "".join(f"> {hashlib.sha1(bytes([n])).hexdigest()}\n" for n in range(9)),
        f"sha512-{RUN[:86]}== is the sum, and sha256:{hashlib.sha256(b'').hexdigest()}\n",
        "https://example.org/" + "a-long-name-of-a-page-" * 20,
        "https://example.org/search?" + "&".join(f"field{n}=value{n}" for n in range(60)),
        "snake_case_names_that_go_on_and_on_" * 9,
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3,
        "違章停車的罰款是五百元請在三十天內繳納" * 60,
        "A data URI begins with data:image/png;base64,iVBORw0KGgo= and so on; data:text/plain,hello too.",
        "data: see the table below, data:12,13,14",
        "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nMeet me at the marsh.\n",
        "-----BEGIN LETTER-----\nwe saw three herons in the marsh and all went home\n-----END LETTER-----\n",
        "We begin 644 years ago\nand end here.\nbegin 644 herons\nThey were counted.\nend\n",
        "Codes: M54.5, M79.1, M25.5, S52.0, M47.8, Z51.1, C50.9, M16.1, M17.1, H25.1, T81.4, A41.9, L40.5",
        "M 3 small talk that calls at last all that small talk that calls at last all",
        json.dumps([{"time": n, "level": "info", "message": "herons counted"} for n in range(40)]),
        "INSERT INTO birds VALUES " + ", ".join(f"({n}, 'heron', 'marsh {n}')" for n in range(60)) + ";",
        "x = [" + ", ".join(f"({n}, {n * n})" for n in range(99)) + "]",
        "$$" + r"\frac{a_{ij}}{b_{ij}}+\sum_{k=1}^{n}x_{k}\left(y_{k}-z_{k}\right)" * 12 + "$$",
        "for (n = 0; n < 9; n++) { count the herons; then go home } " * 20,
    ],
)
def test_words_stay(text: str) -> None:
    assert embedded_data(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "data:image/png;a=b" * 9_000,
        "data:image/png;base64," * 9_000,
        '"data:image/svg+xml,' * 9_000,
        "-----BEGIN A-----\nVersion: 1\n" * 9_000,
        "-----BEGIN A-----" + "\\n" * 90_000,
        "begin 644 a\n" + "M\n" * 90_000,
        ("begin 644 a\n" + "M" * 60 + "\n") * 2_000,
        (RUN[:60] + "\n") * 2 + "!\n" + (RUN[:60] + "\n") * 5_000 + "=",
        "m1 1" * 50_000,
        "M1,1 " * 50_000,
        "M" + "1" * 200_000,
        "a;{" * 90_000,
    ],
)
def test_a_search_takes_time_that_grows_with_the_text(text: str) -> None:
    def seconds(text: str) -> float:
        start = time.process_time()
        embedded_data(text)
        return time.process_time() - start

    assert seconds(text * 4) < 10 * max(seconds(text), 0.02)  # 16 times, if it grew with the square


def test_positions_lead_to_the_same_characters_of_the_file() -> None:
    text = "".join(
        f"# Größe {n}\n\n- item {n} {before}{data}{after}\nend {n}.\n\n"
        for n, (before, data, after) in enumerate(DATA.values())
    )
    for name in ("a.md", "a.txt"):
        data = text.encode()
        document = parse(name, data)
        clean = without_embedded(document)
        assert clean.notes == (
            f"{len(document.text) - len(clean.text):,} characters of embedded data left out",
        )
        starts = [i for i, character in enumerate(clean.text) if not character.isspace()]
        offsets = Positions(clean).byte_offsets(starts).tolist()
        assert all(
            data[at:].startswith(clean.text[i].encode()) for i, at in zip(starts, offsets, strict=True)
        )
        titles = [clean.text[one.start :].partition("\n")[0] for one in clean.headings]
        assert titles == [f"# {one.title}" for one in document.headings]
        assert all(not clean.text[start:end].isspace() for start, end in clean.blocks)


def test_headings_and_titles_lose_it_too() -> None:
    document = parse(
        "a.md", f"# Herons ![](data:image/png;base64,{RUN}) of the marsh\n\nThree of them.\n".encode()
    )
    clean = without_embedded(document)
    assert "base64" not in clean.title + clean.headings[0].title
    assert clean.title.startswith("Herons")


NOTEBOOK = {"cells": [{"cell_type": "markdown", "source": ["We saw an owl.\n", "{}"]}], "nbformat": 4}
FILES = {
    "walrus.md": "# Trip\n\nWe saw a walrus.\n\n![photo]({})\n\nThen we went home.\n",
    "heron.md": "![photo]({})\n\nWe saw a heron.\n",
    "stork.rst": "Trip\n====\n\nWe saw a stork.\n\n.. image:: {}\n",
    "eagle.txt": "Trip\n\n{}\n\nWe saw an eagle. Then we went home.\n",
    "otter.html": '<p>We saw an otter.<p>{}<img src="{}">',
    "crane.eml": "Subject: Trip\nContent-Type: text/plain\n\nWe saw a crane.\n\n{}\n",
    "robin.json": '{"text": "We saw a robin. Then we went home.", "photo": "{}"}',
    "owl.ipynb": json.dumps(NOTEBOOK),
}


def test_a_document_with_prose_beside_data_is_indexed_without_the_data(tmp_path: Path) -> None:
    uri = f"data:image/jpeg;base64,{RUN * 12}"
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.replace("{}", uri))
    (tmp_path / "only.md").write_text(f"![]({uri})")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as engine:
        report = engine.index(tmp_path)
        assert [one.reason.partition(":")[0] for one in report.skipped] == ["data without prose"]
        assert report.added == len(FILES)
        assert report.n_chunks <= 2 * len(FILES)
        assert f"{len(uri):,} characters of embedded data left out" in {note.text for note in report.notes}
        for name in FILES:
            assert Path(engine.query(name.partition(".")[0], 1)[0].path).name == name
        engine.add([TextDocument(id="x", text=f"We saw a puffin: ![]({uri})")])
        assert engine.query("puffin", 1)[0].text == "We saw a puffin: ![]()"


def test_a_file_of_data_that_is_named_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "ca.txt").write_text(armour("CERTIFICATE", LINES))
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as engine:
        assert engine.index(tmp_path / "ca.txt").added == 1
        assert "BEGIN CERTIFICATE" in engine.query("certificate")[0].text


def test_a_document_of_data_alone_stays_as_it_is() -> None:
    document = Document("a.txt", RUN, "text", Origin(RUN))
    assert without_embedded(document) is document
