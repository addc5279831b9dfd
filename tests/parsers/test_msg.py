"""Outlook messages: made by hand as the specification says, in UTF-16 and in code pages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from minisearch.errors import IngestError
from minisearch.parsers import parse
from tests.parsers import made_files as made

SENT = (
    int((datetime(2024, 3, 5, 9, 30, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10**7
)
HEAD = {0x0037: "Über rye", 0x0C1A: "Ada Lovelace", 0x5D01: "ada@example.org", 0x0E04: "Bob; Zoë"}
TEXT = "Subject: Über rye\nFrom: Ada Lovelace <ada@example.org>\nTo: Bob, Zoë\nDate: 2024-03-05 09:30:00Z"
PACKED = (  # the first example of MS-OXRTFCP
    b"-\0\0\0+\0\0\0LZFu\xf1\xc5\xc7\xa7\x03\0\n\0rcpg125B2\n\xf3 hel\t\0 bw\x05\xb0ld}\n\x80\x0f\xa0"
)


def recipient(kind: int, name: str, address: str) -> made.Folder:
    return made.message({0x3001: name, 0x39FE: address}, short={0x0C150003: kind}, header=8)


@pytest.mark.parametrize(
    ("encoding", "code_page"), [("", 1252), ("cp1252", 1252), ("cp1250", 1250), ("utf-8", 65001)]
)
def test_a_message_has_its_headers_and_its_body_in_either_form_of_text(encoding: str, code_page: int) -> None:
    head = {number: words.replace("ë", "é") for number, words in HEAD.items()}
    short = {0x00390040: SENT, 0x3FFD0003: code_page}
    data = made.ole(made.message(head | {0x1000: "Bake it\r\nwell.\r\n"}, encoding=encoding, short=short))
    document = parse("a.msg", data)
    assert document.text == f"{TEXT.replace('ë', 'é')}\n\nBake it\nwell."
    assert (document.title, document.format, document.notes) == ("Über rye", "msg", ())
    assert document.fields == {
        "title": ("Über rye",), "from": ("Ada Lovelace <ada@example.org>",), "to": ("Bob", "Zoé"),
        "date": ("2024-03-05 09:30:00Z",),
    }  # fmt: skip


def test_recipients_have_addresses_and_attachments_are_named_or_read_if_they_are_messages() -> None:
    inner = made.message({0x0037: "Inner", 0x1000: "Deep words."}, header=24)
    folders: made.Folder = {
        "__recip_version1.0_#00000000": recipient(1, "Bob", "bob@example.org"),
        "__recip_version1.0_#00000001": recipient(2, "zoe@example.org", "zoe@example.org"),
        "__recip_version1.0_#00000002": recipient(3, "Secret", "s@example.org"),
        "__attach_version1.0_#00000000": made.message(
            {0x3707: "plan.pdf"}, long={0x3701: b"x" * 9_000}, header=8
        ),
        "__attach_version1.0_#00000001": {**made.message({}, header=8), "__substg1.0_3701000D": inner},
    }
    document = parse("a.msg", made.ole(made.message(HEAD | {0x1000: "Outer words."}, folders=folders)))
    assert "To: Bob <bob@example.org>\nCc: zoe@example.org\n\nOuter words." in document.text
    assert document.text.endswith("Outer words.\n\nSubject: Inner\n\nDeep words.")
    assert "Secret" not in document.text
    assert document.notes == ("attachments left out: plan.pdf",)


def test_a_body_in_html_or_rtf_is_read_where_there_is_no_plain_one() -> None:
    html = "<html><body><p>Caf\u00e9</p><p hidden>no</p></body></html>".encode("cp1252")
    short = {0x3FDE0003: 1252}
    document = parse("a.msg", made.ole(made.message({0x1000: " "}, long={0x1013: html}, short=short)))
    assert document.text == "Café"
    assert parse("a.msg", made.ole(made.message({0x0037: "x"}, long={0x1009: PACKED}))).text.endswith(
        "hello world"
    )
    plain = b"\0" * 8 + b"MELA" + b"\0" * 4 + rb"{\rtf1 bread\par water}"
    assert parse("a.msg", made.ole(made.message({}, long={0x1009: plain}))).text == "bread\n\nwater"


def test_a_large_message_is_whole() -> None:
    words = " ".join(f"word{n}" for n in range(20_000))
    assert parse("a.msg", made.ole(made.message({0x1000: words}))).text == words


def test_what_is_no_message_says_what_to_do() -> None:
    with pytest.raises(IngestError, match=r"not an Outlook message: save an old Office document as \.docx"):
        parse("a.msg", made.ole({"WordDocument": b"x"}))
    with pytest.raises(IngestError, match="damaged: not an OLE file"):
        parse("a.msg", b"Bread and water")
    with pytest.raises(IngestError, match=r"a message \(call it \.msg\)"):
        parse("a.txt", made.ole(made.message(HEAD)))


@pytest.mark.parametrize("n", range(0, 3_000, 97))
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_damaged_message_ends_with_a_reason_or_a_document(n: int, *, is_cut: bool) -> None:
    data = bytearray(made.ole(made.message(HEAD | {0x1000: "Words."}, long={0x1009: PACKED})))
    data[n % len(data)] ^= 0xFF
    try:
        parse("a.msg", bytes(data[: n + 1]) if is_cut else bytes(data))
    except IngestError as error:
        assert str(error)
