"""Files and folders made to harm whoever reads them, each with what is expected of a run over it.

A maker puts files into an empty folder.  What it returns says of each, by its path from there, how it ends:
INDEXED, or a pattern that its reason matches.
"""

from __future__ import annotations

import os
import socket
import stat
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from tests.parsers import made_files as made
from tests.parsers.test_odf import flat, odf

INDEXED = ""
BYSTANDERS = ("0.md", "m/middle.md", "~.md")

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">'
    + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    + "]>"
)


def write(folder: Path, files: Mapping[str, bytes | str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def bystanders(folder: Path) -> dict[str, str]:
    """Files that nothing is wrong with: first, between and last in the order of names."""
    write(folder, {name: f"# {name}\n\nBread and water, {name}.\n" for name in BYSTANDERS})
    return dict.fromkeys(BYSTANDERS, INDEXED)


# --- large ------------------------------------------------------------------------------------------


def too_large(folder: Path, n_bytes: int) -> dict[str, str]:
    """Files over the size limit, which take no room on the disk: they have no bytes but one line break."""
    for name in ("line.md", "sheet.csv", "book.pdf"):
        with (folder / name).open("wb") as file:
            file.seek(n_bytes - 1)
            file.write(b"\n")
    return dict.fromkeys(("line.md", "sheet.csv", "book.pdf"), r"too large: [0-9,]+ bytes.*--max-bytes")


def large(folder: Path, n_bytes: int) -> dict[str, str]:
    """Files under a limit that was raised: one line, only line breaks, no space at all, NULs."""
    line = b"Bread and water and a stone from the river are all that there is here. "
    (folder / "line.txt").write_bytes(line * (n_bytes // len(line)))
    (folder / "breaks.md").write_bytes(b"\n" * (n_bytes // 2))
    (folder / "short-lines.rst").write_bytes(b"a\n" * (n_bytes // 20))
    (folder / "nospace.txt").write_bytes(b"ab" * 500_000)
    (folder / ".minisearchignore").write_bytes(b"!*\n")  # takes data without prose, too
    (folder / "one\u2028token.md").write_bytes("é".encode() * 500_000)
    with (folder / "nul.txt").open("wb") as file:
        file.truncate(n_bytes)
    return {
        "line.txt": INDEXED,
        "breaks.md": "no text in it",
        "short-lines.rst": INDEXED,
        "nospace.txt": INDEXED,
        "one\u2028token.md": INDEXED,
        "nul.txt": "binary file",
    }


# --- archives, XML, PDF -----------------------------------------------------------------------------


def archives(folder: Path) -> dict[str, str]:
    """Zip bombs, entities, names that lead out, a document that is none."""
    bomb = "x" * 60_000_000  # some 60 kB packed
    body = f"<w:p><w:r><w:t>{bomb}</w:t></w:r></w:p>"
    docx = made.docx_entries(made.paragraph("Bread and water"))
    xlsx = made.xlsx({"Sheet": [["bread", 1]]})
    epub = made.epub_entries({"one.xhtml": "<p>Bread and water</p>"})
    outside = {"../../../../tmp/minisearch-was-here": "x", "/tmp/minisearch-was-here": "x"}
    odf_cell = '<table:table-cell table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell>'
    odf_row = f'<table:table-row table:number-rows-repeated="999999">{odf_cell}</table:table-row>'
    laughing = LAUGHS + "<worksheet><sheetData>&l11;</sheetData></worksheet>"
    write(
        folder,
        {
            "bomb.docx": made.zipped(made.docx_entries(body)),
            "bomb.xlsx": _replaced(xlsx, {"xl/worksheets/sheet1.xml": f"<worksheet>{' ' * 60_000_000}"}),
            "bomb.epub": made.zipped({**epub, "OEBPS/one.xhtml": f"<html><body>{bomb}</body></html>"}),
            "bomb.pptx": _replaced(made.pptx([("Title", "text", "")]), {"ppt/slides/slide1.xml": bomb}),
            "laughs.docx": made.zipped({**docx, "word/document.xml": LAUGHS + "<a>&l11;</a>"}),
            "laughs.xlsx": _replaced(xlsx, {"xl/worksheets/sheet1.xml": laughing}),
            "laughs.epub": made.zipped(made.epub_entries({"one.xhtml": "<p>Bread</p>"}, prolog=LAUGHS)),
            "laughs.xml": LAUGHS + "<a>&l11;</a>",
            "overlap.docx": _overlapping(made.zipped(docx)),
            "outside.docx": made.zipped({**docx, **outside}),
            "outside.epub": made.zipped({**epub, **outside}),
            "link.docx": _with_link(docx),
            "bomb.odt": odf("text", f"<text:p>{bomb}</text:p>"),
            "rows.ods": odf("spreadsheet", f"<table:table>{odf_row * 200}</table:table>"),
            "laughs.odt": made.zipped({"content.xml": LAUGHS + "<a>&l11;</a>"}),
            "deep.odt": odf("text", "<text:list><text:list-item>" * 3_000),
            "rows.odp": odf(
                "presentation", f"<draw:page><table:table>{odf_row * 200}</table:table></draw:page>"
            ),
            "deep.fodt": flat("text", "<text:list><text:list-item>" * 3_000),
            "rows.fods": flat("spreadsheet", f"<table:table>{odf_row * 200}</table:table>"),
            "spaces.fodt": flat("text", '<text:p>Bread<text:s text:c="999999999"/></text:p>'),
            "laughs.fodt": LAUGHS.encode() + flat("text", "<text:p>&l11;</text:p>"),
            "deep.rtf": rb"{\rtf1 " + b"{" * 1_000_000,
            "words.rtf": rb"{\rtf1 " + rb"\u65?" * 1_000_000 + rb"\cell" * 100_000,
            "binary.rtf": rb"{\rtf1 {\pict\bin9999999999 " + bytes(range(256)) * 1_000,
            "deep.msg": made.ole(_nested_message(60)),
            "many.msg": made.ole(
                {f"__attach_version1.0_#{n:08X}": {} for n in range(5_000)} | made.message({})
            ),
            "loop.msg": _looping(made.ole(made.message({0x1000: "Bread and water. " * 1_000}))),
            "packed.msg": made.ole(
                made.message({}, long={0x1009: bytes(8) + b"LZFu" + bytes(4) + b"\xff" * 9**6})
            ),
            "cut.msg": made.ole(made.message({0x1000: "Bread and water. " * 1_000}))[:3_000],
            "many.docx": made.zipped({**docx, **{f"word/{n}.xml": "" for n in range(10_001)}}),
            "text.docx": "Bread and water.",
            "archive.md": made.zipped({"a.txt": "Bread and water"}),
        },
    )
    unsafe = "refused as unsafe"
    return {
        "bomb.docx": unsafe, "bomb.xlsx": unsafe, "bomb.epub": unsafe, "bomb.pptx": unsafe,
        "bomb.odt": unsafe, "rows.ods": "of text in it|memory", "laughs.odt": unsafe,
        "deep.msg": INDEXED, "many.msg": "deep", "loop.msg": INDEXED, "packed.msg": "no text",
        "cut.msg": "damaged", "deep.odt": "damaged|deep",
        "rows.odp": INDEXED, "rows.fods": "of text in it|memory", "spaces.fodt": INDEXED,
        "laughs.fodt": unsafe, "deep.fodt": "damaged|deep",
        "deep.rtf": "deep", "words.rtf": INDEXED, "binary.rtf": "no text",
        "laughs.docx": unsafe, "laughs.xlsx": unsafe, "laughs.epub": unsafe,
        "laughs.xml": INDEXED, "overlap.docx": "damaged", "outside.docx": INDEXED, "outside.epub": INDEXED,
        "link.docx": INDEXED, "many.docx": unsafe, "text.docx": "not a ZIP archive",
        "archive.md": "ZIP archive",
    }  # fmt: skip


def _nested_message(depth: int) -> made.Folder:
    """A message with a message attached, and so on."""
    inner: made.Folder = {"__substg1.0_3701000D": _nested_message(depth - 1)} if depth else {}
    return made.message(
        {0x1000: f"Bread {depth}"}, folders={"__attach_version1.0_#00000000": inner}, header=24
    )


def _looping(file: bytes) -> bytes:
    """An OLE file whose table of sectors leads each sector to itself."""
    start = 512 * (int.from_bytes(file[76:80], "little") + 1)
    return file[:start] + b"".join(n.to_bytes(4, "little") for n in range(128)) + file[start + 512 :]


def _replaced(archive: bytes, entries: Mapping[str, str]) -> bytes:
    with zipfile.ZipFile(BytesIO(archive)) as old:
        kept = {name: old.read(name) for name in old.namelist() if name not in entries}
    return made.zipped({**kept, **entries})


def _overlapping(archive: bytes) -> bytes:
    """The same archive with every entry of its directory pointing at the first one."""
    at, out = archive.index(b"PK\x01\x02"), bytearray(archive)
    while out[at : at + 4] == b"PK\x01\x02":
        n_name, n_extra, n_comment = (
            int.from_bytes(out[at + n : at + n + 2], "little") for n in (28, 30, 32)
        )
        out[at + 42 : at + 46] = bytes(4)
        at += 46 + n_name + n_extra + n_comment
    return bytes(out)


def _with_link(entries: Mapping[str, str | bytes]) -> bytes:
    out = BytesIO(made.zipped(entries))
    with zipfile.ZipFile(out, "a") as archive:
        link = zipfile.ZipInfo("word/footnotes.xml")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()


def pdfs(folder: Path) -> dict[str, str]:
    """PDFs that go in circles, unpack to much, stop half-way, or are none."""
    whole = made.pdf("Bread and water")
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>"
    catalogue = b"<< /Type /Catalog /Pages 2 0 R >>"
    bomb = made.stream(made.deflated(400), b"/Filter /FlateDecode")
    write(
        folder,
        {
            "circle.pdf": made.pdf_objects([catalogue, b"<< /Type /Pages /Count 9 /Kids [2 0 R 2 0 R] >>"]),
            "previous.pdf": made.pdf_objects([catalogue, b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", page],
                                             trailer=b"/Prev 9 "),
            "bomb.pdf": made.pdf_of_streams([bomb]),
            "half.pdf": whole[: len(whole) // 2],
            "marked.pdf": b"%PDF-1.7\n" + bytes(range(256)) * 40,
            "text.pdf": b"Bread and water, as text.",
            "pdf.md": whole,
        },
    )  # fmt: skip
    return {
        "circle.pdf": ".", "previous.pdf": "no text in it|scanned|damaged", "bomb.pdf": ".", "half.pdf": ".",
        "marked.pdf": ".", "text.pdf": ".", "pdf.md": "a PDF by another name",
    }  # fmt: skip


# --- nesting ----------------------------------------------------------------------------------------


def nested(folder: Path, n: int) -> dict[str, str]:
    """n of whatever may stand in another of its kind."""
    write(
        folder,
        {
            "quotes.md": ">" * n + " bread",
            "quoted-lines.md": "\n".join(">" * k + " bread" for k in range(1, 400)),
            "brackets.md": "[" * n + "bread" + "]" * n,
            "images.md": "![" * n + "bread" + "](a)" * n,
            "stars.md": "*" * n + " bread " + "_" * n,
            "items.md": "".join("  " * k + "- bread\n" for k in range(600)),
            "front.md": "---\n"
            + "a:\n"
            + "".join(" " * k + "b:\n" for k in range(1, 2_000))
            + "---\nbread\n",
            "front2.md": "---\na: " + "[" * n + "\n---\nbread\n",
            "aliases.md": "---\na: &a [x]\n"
            + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}' if k else '*a'] * 9)}]\n" for k in range(12))
            + "---\nbread\n",
            "divs.html": "<div>" * n + "bread" + "</div>" * n,
            "tags.html": "<" * n + "bread",
            "comments.html": "<!--" * n + "bread",
            "tables.html": "<table><tr><td>" * (n // 10) + "bread",
            "deep.json": "[" * n + '"bread"' + "]" * n,
            "deeper.json": '{"a":' * n + '"bread"' + "}" * n,
            "deep.jsonl": "[" * n + "\n" + '{"a": "bread"}\n',
            "deep.ipynb": '{"cells": ' + "[" * n,
            "round.py": "(" * n + "bread",
            "curly.js": "{" * n + "bread",
            "curly.c": "int bread(){" + "{" * n,
            "angles.cpp": "a<" * n + "bread",
            "square.rs": "fn bread() {" + "[" * n,
            "sections.rst": "".join(f"bread\n{chr(33 + k % 14) * 5}\n\n" for k in range(2_000)),
            "wide.csv": ",".join(["bread"] * n) + "\n" + ",".join(["1"] * n) + "\n",
            "quote.csv": 'a,b\n"' + "bread\n" * n,
            "groups.tex": "{" * n + "bread",
            "begin.tex": r"\begin{itemize}\item " * n + "bread",
            "notes.tex": r"\footnote{\textbf{" * n + "bread",
            "commands.tex": r"\newcommand{\a}{" * n + "bread",
            "links.org": "[[" * n + "bread",
            "drawers.org": "* bread\n:PROPERTIES:\n" * n,
            "blocks.org": "#+begin_src\n" * n + "bread",
            "links.adoc": "link:[" * n + "bread",
            "blocks.adoc": "----\n|===\n" * n + "bread",
            "events.ics": "BEGIN:VEVENT\n" * n + "SUMMARY:bread",
            "folds.ics": "BEGIN:VEVENT\nSUMMARY:bread\n" + " r\n" * n + "END:VEVENT\n",
            "parameters.vcf": "BEGIN:VCARD\nFN" + ';A="b' * n + ":bread\nEND:VCARD\n",
            "cards.vcf": "BEGIN:VCARD\n" * n + "FN:bread",
            "from.mbox": "From a@b Mon Jan  1 00:00:00 2024\n" * n + "Subject: bread\n\nbread",
            "headers.mbox": "From a@b Mon Jan  1 00:00:00 2024\n" + "Subject: a\n" * n + "\nbread",
            "deep.mht": "Content-Type: multipart/related; boundary=a\n\n--a\n" * n + "bread",
            "parts.mht": "MIME-Version: 1.0\nContent-Type: multipart/related; boundary=a\n\n"
            + "--a\nContent-Type: text/html\n\n<p>bread</p>\n" * n,
        },
    )
    (folder / ".minisearchignore").write_bytes(b"!*\n")  # takes data without prose, too
    # A file that makes no sense as what it is called is text all the same.
    names = [path.name for path in folder.iterdir() if path.suffix and path.name not in BYSTANDERS]
    return dict.fromkeys(names, INDEXED) | {"comments.html": "no text in it"}


def deep_folders(folder: Path, n: int, name: str) -> dict[str, str]:
    """One folder in the other, n times, with files on the way; the deepest are beyond what a path can say."""
    depths = (10, n // 10, n // 3)
    here = os.open(folder, os.O_RDONLY)
    for depth in range(1, n + 1):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        if depth in (*depths, n):
            file = os.open("f.md", os.O_WRONLY | os.O_CREAT, dir_fd=here)
            os.write(file, f"Bread at {depth}.\n".encode())
            os.close(file)
    os.close(here)
    return {f"{f'{name}/' * depth}f.md": INDEXED for depth in depths}


# --- no files ---------------------------------------------------------------------------------------


def special(folder: Path) -> dict[str, str]:
    """What is called like a document and is none: pipes, sockets, devices, links."""
    expected = {
        "pipe.md": "named pipe", "socket.md": "socket", "dangling.md": "dangling", "loop.md": "symbolic link",
        "self": "a linked folder", "up": "leads out", "out.md": "leads out", "etc": "leads out",
        "chain.md": "leads out", "inside.md": "the same file as", "hard.md": "the same file as",
        "folder.md/a.md": INDEXED,
    }  # fmt: skip
    os.mkfifo(folder / "pipe.md")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path may have 108 bytes
        try:
            server.bind("socket.md")
        finally:
            os.chdir(here)
    links = {
        "dangling.md": "nowhere.md", "loop.md": "loop2.md", "loop2.md": "loop.md", "self": ".", "up": "..",
        "out.md": "/etc/hostname", "etc": "/etc", "chain.md": "out.md", "inside.md": "0.md",
    }  # fmt: skip
    for name, target in links.items():
        (folder / name).symlink_to(target)
    expected["loop2.md"] = "symbolic link"
    os.link(folder / "0.md", folder / "hard.md")
    write(folder, {"folder.md/a.md": "A folder called like a file.\n"})
    if os.geteuid() == 0:
        os.mknod(folder / "device.md", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
        expected["device.md"] = "device"
    return expected


# --- names ------------------------------------------------------------------------------------------

NAMES = [
    b"new\nline.md", b"tab\t.md", b"-leading.md", b"--index", b"quote'\".md", b"back\\slash.md",
    b" space .md", b"$(touch x).md", b"%s%n.md", b"*?[a].md", b"\x1b[31mred\x1b]0;title\x07.md",
    b"\xff\xfe invalid.md",
    b"a\x80b.md", "\U0001f600\u200d\U0001f4a9.md".encode(), b"cafe\xcc\x81.md", "caf\u00e9.md".encode(),
    "\u202egnp.md".encode(), b"\xed\xa0\x80surrogate.md", b"x" * 252 + b".md", b"CON.md", b"...md",
    b"\x01\x7f.md", b"minisearch.db", "\u2028line.md".encode(), b"A.md", b"a.md", b"~$a.md", b"#a#.md",
    b"!a.md",
]  # fmt: skip


def names(folder: Path) -> dict[str, str]:
    """Names that a file system takes and others may not; as file and as folder."""
    expected = {}
    for number, name in enumerate(NAMES):
        path = os.path.join(os.fsencode(folder), name)
        with open(path, "wb") as file:
            file.write(b"Bread and water number %d.\n" % number)
        os.mkdir(path + b".d") if len(name) < 250 else None
        if len(name) < 250:
            with open(path + b".d/in.md", "wb") as file:
                file.write(b"Stone and river number %d.\n" % number)
            expected[os.fsdecode(name + b".d/in.md")] = INDEXED
        expected[os.fsdecode(name)] = INDEXED
    return {name: end for name, end in expected.items() if not name.startswith(".")}


# --- contents ---------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, str]:
    """Not what their names say, or in other encodings."""
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
    write(
        folder,
        {
            "garbage.md": bytes((7 * k * k + k) % 256 for k in range(50_000)),
            "picture.txt": png,
            "program.py": b"\x7fELF\x02\x01\x01" + bytes(500),
            "utf16.md": "\ufeff# Bread\n\nwater".encode("utf-16-le"),
            "utf16be.txt": "\ufeffbread and water".encode("utf-16-be"),
            "utf32.csv": "\ufeffbread,water\n1,2\n".encode("utf-32-le"),
            "utf16-half.md": b"\xff\xfeb\x00r",
            "utf16-without.txt": "bread without a mark, and water".encode("utf-16-le"),
            "late-nul.md": b"bread " * 3_000 + b"\0\0\0" + b" water",
            "nul.md": b"bread\0water",
            "invalid.md": b"# Br\xffead\n\nwa\xc0\xafter \xed\xa0\x80 \xf4\x90\x80\x80 r\xc3\xadver",
            "latin.txt": "Brötchen für alle".encode("latin-1"),
            "empty.md": b"",
            "blank.md": b" \t\r\n\xc2\xa0\n",
            "bom.md": b"\xef\xbb\xbf",
            "escapes.txt": b"\x1b[2J\x1b]0;owned\x07 Bread \x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\ "
            b"\x9b31m \x08\x08\r.\n",
            "bidi.py": "bread = 1  # \u202e\u2066 water \u2069\u2066".encode(),
            "returns.md": b"# Bread\r\rwater\rstone\r",
        },
    )
    return {
        "garbage.md": "binary file", "picture.txt": "PNG", "program.py": "ELF", "utf16.md": INDEXED,
        "utf16be.txt": INDEXED, "utf32.csv": INDEXED, "utf16-half.md": "UTF-16-LE",
        "utf16-without.txt": INDEXED,
        "late-nul.md": INDEXED, "nul.md": "binary file", "invalid.md": INDEXED, "latin.txt": INDEXED,
        "empty.md": "no text", "blank.md": "no text", "bom.md": "no text", "escapes.txt": INDEXED,
        "bidi.py": INDEXED, "returns.md": INDEXED,
    }  # fmt: skip
