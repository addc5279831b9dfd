"""The forms that mail takes: alternatives, delivery reports, format=flowed, and mailboxes."""

import email.policy
import mailbox
import re
import tracemalloc
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.parsers import parse
from minisearch.parsers.source import AnchoredText
from minisearch.parsers.transfer import unflowed
from minisearch.types import Anchors, Document
from tests.parsers.anchors import check_anchors, in_source


def read(data: bytes | str, name: str = "a.eml") -> Document:
    return parse(name, data.encode() if isinstance(data, str) else data)


def message(body: str, **headers: str) -> EmailMessage:
    mail = EmailMessage(policy=email.policy.default)
    for name, value in headers.items():
        mail[name.title()] = value
    mail.set_content(body)
    return mail


def body_of(document: Document) -> str:
    return re.sub("\n{2,}", "\n\n", document.text.partition("\n\n")[2].replace("\r\n", "\n")).strip()


# --- alternatives ----------------------------------------


def alternative(plain: str, marked: str) -> bytes:
    mail = message(plain, subject="s")
    mail.add_alternative(marked, subtype="html")
    return mail.as_bytes()


@pytest.mark.parametrize(("plain", "marked", "expected"), [
    ("The ferry leaves at nine.\n\nBring\nshoes.\n", "<p>The ferry leaves at <b>nine</b>.<p>Bring shoes.",
     "The ferry leaves at nine.\n\nBring\nshoes."),
    ("No HTML here?\n", "<p>The ferry leaves at nine from the old pier.", "No HTML here?\n\n"
     "The ferry leaves at nine from the old pier."),
    ("The ferry leaves at nine from the pier.\n\nDogs travel free.", "<p>The ferry leaves at nine.",
     "The ferry leaves at nine from the pier.\n\nDogs travel free."),
    ("See https://example.org/x now\n1. ferry", "<p>See <a href='https://example.org/x'>now</a><ol><li>ferry</ol>",
     "See https://example.org/x now\n1. ferry"),
    ("The ferry leaves.", "<h1>The ferry leaves</h1><p>The price is five.</p>",
     "The ferry leaves\n\nThe price is five."),
    ("今天天气很好\n我们去", "<p>今天天气很好我们去", "今天天气很好\n我们去"),
])  # fmt: skip
def test_no_word_of_alternatives_is_lost_and_what_both_say_comes_once(plain, marked, expected):
    document = read(alternative(plain, marked))
    assert body_of(document) == expected
    check_anchors(document)


def test_html_beside_its_pictures_is_an_alternative_too():
    mail = message("Please use another program.\n", subject="s")
    mail.add_alternative("<h1>The parcel</h1> arrives on Friday", subtype="html")
    mail.get_payload()[1].add_related(b"\x89PNG", "image", "png", filename="a.png")
    document = read(mail.as_bytes())
    assert body_of(document) == "Please use another program.\n\nThe parcel\n\narrives on Friday"
    assert [heading.title for heading in document.headings] == ["The parcel"]
    assert document.notes == ("attachments left out: a.png (image/png)",)


words = st.lists(st.sampled_from("ferry nine pier Übung 東 free x1 price".split()), max_size=12)  # noqa: SIM905


@settings(max_examples=40, deadline=None)
@given(words, words)
def test_every_word_of_either_alternative_is_in_the_text(plain, marked):
    document = read(alternative(" ".join(plain), f"<p>{' '.join(marked)}</p>"))
    said = document.text.removeprefix("Subject: s").split()
    assert {*said} == {*plain, *marked}
    if {*plain} == {*marked}:
        assert len(said) == len(plain)
    check_anchors(document)


def test_an_invitation_is_readable():
    mail = message("You are invited.\n", subject="s")
    invitation = "BEGIN:VEVENT\r\nSUMMARY:Dive\r\nDTSTART;TZID=Europe/Paris:20250304T090000\r\nEND:VEVENT\r\n"
    mail.add_alternative(invitation, subtype="calendar")
    assert "Start: 2025-03-04 09:00 (Europe/Paris)" in read(mail.as_bytes()).text


# --- reports and mails inside mails ----------------------------------------

REPORT = """\
Subject: Undelivered
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

I could not deliver it.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; ada@example.org
Diagnostic-Code: smtp; 550 mailbox
 is full
--b
Content-Type: {kind}
Content-Transfer-Encoding: {encoding}

{inner}
--b--
"""


@pytest.mark.parametrize("kind", ["message/rfc822", "text/rfc822-headers", "message/global"])
@pytest.mark.parametrize(("encoding", "inner"), [
    ("7bit", "Received: by x\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nThe ferry."),
    ("base64", "U3ViamVjdDogR3LDvMOfZQoKVGhlIGZlcnJ5Lg=="),
    ("quoted-printable", "Subject: Gr=C3=BC=C3=9Fe\n\nThe fer=\nry."),
])  # fmt: skip
def test_a_delivery_report_says_who_and_why_and_what_came_back(kind, encoding, inner):
    document = read(REPORT.format(kind=kind, encoding=encoding, inner=inner))
    for words in (
        "I could not deliver it.",
        "Final-Recipient: rfc822; ada@example.org",
        "550 mailbox",
        "is full",
    ):
        assert words in document.text
    assert document.text.endswith("Subject: Grüße\n\nThe ferry.")
    assert document.notes == ()
    check_anchors(document)


def test_the_parts_of_a_digest_are_mails():
    digest = (
        "Subject: d\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\nFirst.\n--b--\n"
    )
    assert read(digest).text == "Subject: d\n\nSubject: one\n\nFirst."


@pytest.mark.parametrize("head", [
    "Content-Type: message/rfc822\n\n",
    "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n",
    "Content-Type: multipart/alternative; boundary=b{0}e\n\n--b{0}e\n",
    "Content-Type: multipart/digest; boundary=b{0}e\n\n--b{0}e\n\n",
])  # fmt: skip
def test_mails_nested_a_thousand_deep_end(head):
    document = read("Subject: x\n" + "".join(map(head.format, range(1000))) + "\n\ndeep words")
    assert document.notes == ("parts nested deeper than 20 are left out",)


# --- format=flowed ----------------------------------------


def flowed(text: str, *, deletes_space: bool = False) -> str:
    return unflowed(AnchoredText(text, Anchors((0,), (0,))), deletes_space=deletes_space).text


def test_lines_that_end_with_a_space_continue_and_stuffed_spaces_are_removed():
    assert flowed("a \nb \nc\nd\n") == "a b c\nd\n"
    assert flowed("flow \ned \n\nnext", deletes_space=True) == "flowed \n\nnext"
    assert flowed(" From here\n  two\n >no quote\n") == "From here\n two\n>no quote\n"
    assert flowed("> a \n> b\n>> c \n> d \ne") == "> a b\n>> c \n> d \ne"
    assert flowed("end \n-- \nAda \nKing") == "end \n-- \nAda King"
    assert flowed("> end \n> -- \n> Ada") == "> end \n> -- \n> Ada"
    assert flowed("a \r\nb\r\n") == "a b\r\n"


def written(paragraphs: list[tuple[int, str]], width: int, *, deletes_space: bool) -> str:
    """The paragraphs with their depths of quotes as lines of format=flowed (RFC 3676, section 4.2)."""
    lines: list[str] = []
    for depth, text in paragraphs:
        marks = ">" * depth
        rest = text
        while len(rest) > width:
            at = width if deletes_space else rest.rfind(" ", 0, width) + 1
            if at <= 0:
                break
            lines.append(f"{marks} {rest[:at]}{' ' * deletes_space}")
            rest = rest[at:]
        lines.append(f"{marks} {rest}")
    return "\n".join(lines)


paragraph = st.tuples(
    st.integers(0, 3),
    st.lists(st.text(st.sampled_from("abü>-東."), min_size=1, max_size=9), min_size=1, max_size=12).map(
        " ".join
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(paragraph, min_size=1, max_size=6), st.integers(8, 30), st.booleans())
def test_paragraphs_written_as_flowed_lines_come_back(paragraphs, width, deletes_space):
    text = written(paragraphs, width, deletes_space=deletes_space)
    expected = "\n".join(f"{'>' * depth}{' ' * (depth > 0)}{words}" for depth, words in paragraphs)
    assert flowed(text, deletes_space=deletes_space) == expected


def test_a_flowed_mail_keeps_its_places_in_the_file():
    text = "This is a flow \ned paragraph.\n\n> quoted \n> words\n"
    head = "Subject: s\nContent-Type: text/plain; format=Flowed; delsp=YES\n"
    for encoding, body in (("7bit", text), ("quoted-printable", text.replace(" \n", "=20\n"))):
        document = read(f"{head}Content-Transfer-Encoding: {encoding}\n\n{body}")
        assert body_of(document) == "This is a flowed paragraph.\n\n> quotedwords"
        assert in_source(document, "ed paragraph").startswith("ed paragraph.")
        check_anchors(document)


# --- mailboxes ----------------------------------------


def test_a_mailbox_is_its_mails_each_under_its_subject_sender_and_date(tmp_path: Path):
    mails = [
        message(
            "From the start.\n>From a quote\n\nFrom now on\nNote: no mail\n",
            subject="Fähre",
            date="Tue, 04 Mar 2025 09:00:00 +0100",
        ),
        message("Größe\n" * 3, subject="s2", **{"from": "Ada <a@b.org>"}),
        message("From\n" + "x" * 99, subject="s3"),
    ]
    mails[1].replace_header("Content-Transfer-Encoding", "base64")
    mails[1].set_payload("R3LDtsOfZQo=\n")
    mails[2].add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
    box = mailbox.mbox(tmp_path / "a.mbox")
    for mail in mails:
        box.add(mail)
    box.close()
    document = parse("a.mbox", (tmp_path / "a.mbox").read_bytes())
    titles = [heading.title for heading in document.headings]
    assert titles == ["Fähre, Tue, 04 Mar 2025 09:00:00 +0100", "s2, Ada <a@b.org>", "s3"]
    assert [document.text[heading.start :].split(":")[0] for heading in document.headings] == [
        "Subject", "Subject", "Subject",
    ]  # fmt: skip
    assert "\nFrom the start.\nFrom a quote\n\nFrom now on\nNote: no mail\n" in document.text.replace(
        ">From", "From"
    )
    assert ">From the start" not in document.text
    assert "Größe" in document.text
    assert document.notes == ("attachments left out: a.pdf (application/pdf)",)
    assert (document.title, document.fields) == ("", {})
    check_anchors(document)


@pytest.mark.parametrize("line", [
    "From a@x Mon Jan  1 00:00:00 2025", "From - Thu, 01 Jan 2025 0:00:00",
    "From MAILER-DAEMON Fri Jul 8 12:08:34 2011",
    "From 1699@xxx Mon Jan 01 00:00:00 +0000 2025",
    "From ada at example.org  Tue Mar  4 09:00:00 2025", "From a@x",
])  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_mails_begin_at_lines_that_programs_write(line, end):
    text = f"{line}\nSubject: one\n\nFirst.\n>>From b\n\n{line}\nSubject: two\n\nSecond.\n".replace("\n", end)
    document = read(text, "a.mbox")
    assert [heading.title for heading in document.headings] == ["one", "two"]
    assert ">From b" in document.text and ">>From" not in document.text


def test_sentences_begin_no_mails_and_a_mail_outside_a_mailbox_keeps_its_marks():
    body = "Hi\n\nFrom Monday to Friday 10:00\nRoom: 5\n\nFrom then on, 9:30\nx: y\n\nFrom here\nx: y\n"
    assert read(f"From a@x Mon Jan  1 00:00:00 2025\nSubject: s\n\n{body}").title == "s"
    assert read(f"Subject: s\n\n{body}>From a\n").text.endswith(">From a\n")


def test_a_large_mailbox_is_not_copied_for_each_mail():
    mail = (
        b"From a@x Mon Jan  1 00:00:00 2025\nSubject: s\nContent-Type: application/x; name=a\n\n"
        + b"A" * 4_000
    )
    data = b"\n\n".join([mail] * 2_000)
    tracemalloc.start()
    try:
        read(data, "a.mbox")
        assert tracemalloc.get_traced_memory()[1] < 2.2 * len(data)  # the decoded file, once beside its bytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "unit", ["From ", "From a\n", "\nFrom a@x\n", "\nFrom a@x\n:", "\n>From ", "\nFrom a Mon 1:11", ">"]
)
@pytest.mark.parametrize(
    "head", ["From a@x\nSubject: s\n\n", "Subject: s\nContent-Type: text/plain; format=flowed\n\n"]
)
def test_hostile_mailboxes_end(head, unit):
    check = read(head + unit * (100_000 // len(unit)), "a.mbox")
    assert check.format == "email"


def test_a_page_saved_as_one_file_is_its_text_without_style_sheets():
    data = b"""From: <Saved by Blink>
Snapshot-Content-Location: https://bread.local/rye
Subject: Rye bread
MIME-Version: 1.0
Content-Type: multipart/related; type="text/html"; boundary="B"

--B
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

<html><head><title>Rye</title><style>p {color: red}</style></head><body><h1>Rye</h1>
<p>Dark caf=C3=A9 bread =E2=80=93 with caraway.</p></body></html>
--B
Content-Type: text/css
Content-Transfer-Encoding: quoted-printable

@charset "utf-8"; .bread { color: brown }
--B
Content-Type: image/png
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--B--
"""
    for name in ("a.mht", "a.mhtml"):
        document = parse(name, data.replace(b"\n", b"\r\n"))
        assert document.title == "Rye bread"
        assert "Dark caf\u00e9 bread \u2013 with caraway." in document.text
        assert "color" not in document.text
        assert [one.title for one in document.headings] == ["Rye"]
        assert "attachments left out: unnamed (text/css), unnamed (image/png)" in document.notes
