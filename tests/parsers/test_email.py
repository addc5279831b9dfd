"""Mail is decoded from any encoding and character set, and each line maps to its line of the file."""

import email
import email.policy
import random
import time
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.parsers import parse
from minisearch.parsers.email_ import header_words
from minisearch.parsers.encodings import charset_of
from minisearch.types import Document
from tests.parsers.anchors import check_anchors, in_source, line_of


def read(data: bytes | str) -> Document:
    return parse("a.eml", data.encode() if isinstance(data, str) else data)


def message(body: str = "Hello.\n", *, subject: str = "Hi", **headers: str) -> EmailMessage:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["Subject"] = subject
    mail["From"] = "Ada Lovelace <ada@example.org>"
    mail["To"] = 'Charles <charles@example.org>, "Babbage, C." <cb@example.org>'
    mail["Date"] = "Mon, 04 Mar 2024 10:20:30 +0100"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(body)
    return mail


def body_of(document: Document) -> str:
    return document.text.partition("\n\n")[2]


def test_headers_become_fields_and_the_subject_is_the_title():
    document = read(message(subject="Engines, analytical", Cc="x@example.org").as_bytes())
    assert (document.title, document.format, document.notes) == ("Engines, analytical", "email", ())
    assert document.fields == {
        "subject": ("Engines, analytical",),
        "from": ("Ada Lovelace <ada@example.org>",),
        "to": ("Charles <charles@example.org>", "Babbage, C. <cb@example.org>"),
        "cc": ("x@example.org",),
        "date": ("2024-03-04T10:20:30+01:00",),
    }
    assert document.text.startswith(
        "Subject: Engines, analytical\nFrom: Ada Lovelace <ada@example.org>\nTo: "
    )
    assert document.text.endswith("\n\nHello.\r\n")
    assert "MIME" not in document.text


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "quoted-printable", "base64"])
def test_each_line_of_a_body_stands_on_its_line_of_the_file(encoding):
    lines = [
        f"Line {i} of a body that is so long that it has to be folded, and folded once more."
        for i in range(9)
    ]
    if encoding != "7bit":
        lines[4] += " Grüße, 😀 = 1."
    mail = message()
    mail.set_content("\n".join(lines) + "\n", cte=encoding)
    data = mail.as_bytes()
    document = read(data)
    assert body_of(document).splitlines() == lines
    check_anchors(document)
    if encoding == "base64":
        first = data[: data.index(b"\r\n\r\n")].count(b"\r\n") + 3
        for i in range(9):  # 57 bytes a line
            n_before = "\r\n".join(lines).encode().index(f"Line {i}".encode())
            assert line_of(document, f"Line {i}") == first + n_before // 57
    else:
        for i in range(9):
            assert in_source(document, f"Line {i}").startswith(f"Line {i}")


def test_html_is_read_where_there_is_no_plain_text():
    mail = message()
    mail.set_content(
        "<h1>Caf&eacute; größer</h1><p>One <b>two</b></p>", subtype="html", cte="quoted-printable"
    )
    document = read(mail.as_bytes())
    assert body_of(document) == "Café größer\n\nOne two"
    assert document.text[document.headings[0].start :].startswith("Café")
    assert in_source(document, "ößer").startswith("=C3=B6=C3=9Fer")
    check_anchors(document)
    mail = message("Plain words.\n")
    mail.add_alternative("<p>Plain <b>words</b>.</p>", subtype="html")
    assert body_of(read(mail.as_bytes())).strip() == "Plain words."
    mail = message(" \n")
    mail.add_alternative("<p>Marked words.</p>", subtype="html")
    assert body_of(read(mail.as_bytes())) == "Marked words."


def test_attached_texts_follow_the_body_and_other_attachments_are_named():
    mail = message("See below.\n")
    mail.add_attachment("a,b\n1,2\n", subtype="csv", filename="table.csv")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="größe.pdf")
    for i in range(9):
        mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename=f"{i}.png")
    mail.add_attachment(message("Inner words.\n", subject="Forwarded"))
    document = read(mail.as_bytes())
    body = body_of(document).replace("\r\n", "\n")
    assert body.startswith("See below.\n\n\nAttachment: table.csv\na,b\n1,2\n\n\nSubject: Forwarded\nFrom: ")
    assert body.endswith("\n\nInner words.\n")
    assert document.title == "Hi"
    assert document.notes == (
        "attachments left out: größe.pdf (application/pdf), 0.png (image/png), 1.png (image/png), "
        "2.png (image/png), 3.png (image/png), 4.png (image/png), 5.png (image/png), "
        "6.png (image/png) and 2 more",
    )
    check_anchors(document)


def test_encoded_words_are_decoded_also_where_a_character_is_cut_in_two():
    assert (
        header_words("=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?4oKs?=\r\n =?iso-8859-1?Q?_na=EFve?= x")
        == "Grüße€ naïve x"
    )
    assert header_words("=?utf-8?b?4oI=?= =?utf-8?b?rA==?=") == "€"
    assert header_words("=?utf-8?q?broken and =?nonsense?q?x?= ?=") == "broken and =?nonsense?q?x ?="
    assert header_words("Grüße =?utf-8?q?a?= und =?utf-8?b?a?=") == "Grüße =?utf-8?q?a?= und =?utf-8?b?a?="
    data = message(subject="Grüße aus 東京 😀 " * 8).as_bytes()
    assert read(data).title == email.message_from_bytes(data, policy=email.policy.default)["subject"].strip()
    assert line_of(read(data), "Subject") == 1


@pytest.mark.parametrize("charset, text", [
    ("iso-8859-1", "naïve “quoted”"), ("koi8-r", "привет, мир"), ("iso-2022-jp", "日本語です"),
    ("gb18030", "中文 words"),
    ("shift_jis", "日本語"), ("utf-16", "ünï"), ("windows-1252", "naïve"), ("us-ascii", "plain"),
])  # fmt: skip
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_old_character_sets_are_decoded(charset, text, encoding):
    raw = f"{text}\nsecond {text}".encode("cp1252" if charset == "iso-8859-1" else charset)
    if encoding == "8bit" and charset == "utf-16":
        return  # mail cannot carry it so
    if encoding == "quoted-printable":
        wrapped = b"".join(b"=%02X" % byte for byte in raw)
    else:
        wrapped = email.base64mime.body_encode(raw).encode() if encoding == "base64" else raw
    head = (
        f"Subject: x\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
    )
    document = read(head.encode() + wrapped)
    assert body_of(document) == f"{text}\nsecond {text}"
    check_anchors(document)


def test_unknown_encodings_and_character_sets_are_noted():
    document = read("Subject: x\nContent-Type: text/plain; charset=unicode_escape\n\n\\u0041")
    assert body_of(document) == "\\u0041"
    assert document.notes == ("unicode_escape, an unknown character set: read as UTF-8",)
    document = read("Subject: x\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 a")
    assert document.notes == ("x-uuencode, an unknown encoding: read unchanged",)
    assert [charset_of(name) for name in ("zip", "punycode", "idna", "../x", "", "a" * 99, "utf8")] == [
        None
    ] * 6 + ["utf-8"]


def test_a_truncated_mail_and_a_text_without_headers_keep_their_words():
    mail = message("Plain words.\n")
    mail.add_attachment("more", filename="a.txt")
    data = mail.as_bytes()
    assert "Plain words." in read(data[: data.index(b"words.") + 20]).text
    assert (
        read("Content-Type: multipart/mixed; boundary=b\n\nno boundary at all").text == "no boundary at all"
    )
    document = read("only words,\nno header")
    assert (document.format, document.notes) == ("text", ("no mail header: read as plain text",))
    assert read("").text == read("\n").text.strip() == ""
    assert read("From ada Mon Mar  4\nSubject: s\n\nb").text == "Subject: s\n\nb"


def test_parts_nested_too_deep_are_left_out_with_a_note():
    def nested(depth: int) -> str:
        mark = f"b{depth}"
        inner = nested(depth - 1) if depth else "Content-Type: text/plain\n\ndeep words\n"
        return f"Content-Type: multipart/mixed; boundary={mark}\n\n--{mark}\n{inner}\n--{mark}--\n"

    assert "deep words" in read("Subject: x\n" + nested(15)).text
    document = read("Subject: x\n" + nested(25))
    assert document.notes == ("parts nested deeper than 20 are left out",)


# --- against the standard library ------------------------------------------------------------------

words = st.text(st.sampled_from("ab c=.\nGrüße😀東京<>&"), max_size=40)


@settings(max_examples=100, deadline=None)
@given(words, words, st.sampled_from(["8bit", "quoted-printable", "base64"]), st.lists(words, max_size=2))
def test_subject_body_and_attached_texts_are_those_of_the_standard_library(subject, body, encoding, attached):
    mail = message(subject=" ".join(subject.split()))
    mail.set_content(body, cte=encoding)
    for text in attached:
        mail.add_attachment(text, cte=encoding, filename="a.txt")
    data = mail.as_bytes()
    theirs = email.message_from_bytes(data, policy=email.policy.default)
    document = read(data)
    assert " ".join(document.title.split()) == " ".join(theirs["subject"].split())[:200].strip()
    texts = [
        theirs.get_body(("plain",)).get_content(),
        *(part.get_content() for part in theirs.iter_attachments()),
    ]
    said = " ".join(body_of(document).replace("Attachment: a.txt", "").split())
    assert said == " ".join(" ".join(texts).split())
    check_anchors(document)


pieces = st.sampled_from([
    "Subject: ", "From: a@b.c", "To: ((((a", "Date: 99 Foo", "Content-Type: text/plain; charset=", "utf-8",
    "utf-7",
    "Content-Type: multipart/mixed; boundary=b",
    'Content-Type: text/html; charset="koi8-r"', "--b", "--b--", "\n", "\n\n",
    "\r\n", "\r", " ",
    "Content-Transfer-Encoding: ", "base64", "quoted-printable", "=C3=A9", "=", "4oKs", "é", "<p>&amp;",

    "=?utf-8?q?x=?=", "Content-Type: message/rfc822",
    "Content-Disposition: attachment; filename*=utf-8''%C3", ":", "+AGE-",
    "Content-Type: multipart/alternative; boundary=b",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=25).map("".join), st.sampled_from(["utf-8", "cp1252", "utf-16"]))
def test_no_mail_however_broken_breaks_the_reader(text, encoding):
    check_anchors(read(text.encode(encoding)))


def test_any_bytes_with_a_header_are_read():
    dice = random.Random(5)
    for charset in (
        "utf-8",
        "iso-2022-jp",
        "gb18030",
        "utf-7",
        "utf-16",
        "hz",
        "shift_jis",
        "euc_kr",
        "utf-32",
    ):
        for encoding in ("8bit", "base64", "quoted-printable"):
            head = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
            noise = bytes(dice.choice(b"=AB\n\r ~{}+-/\x1b$(\x80\xe9\xff") for _ in range(200))
            check_anchors(read(head.encode() + noise))


# --- hostile ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("head, unit", [
    ("Subject: ", "x"), ("Subject: ", "=?"), ("Subject: ", "=?utf-8?q?"),
    ("Subject: ", "?= "), ("Subject: ", "\n "),
    ("To: ", "("),
    ("To: ", "a,"), ("To: ", '"'), ("To: ", "<"), ("", "a:\n"), ("Content-Type: text/plain; ", "a="),
    ("Content-Type: text/plain; ", ";"), ("Content-Type: text/plain", '; a="\\'), ("Date: ", "1 "),
    ("Content-Type: multipart/mixed; boundary=b\n\n", "--b"),
    ("Content-Type: multipart/mixed; boundary=b\n\n", "--b\n"),
    ("Content-Type: multipart/mixed; boundary=b\n\n", "--b\n\n"),
    ("Content-Type: multipart/mixed; boundary=b\n\n", "--b\nContent-Type: multipart/mixed; boundary=b\n\n"),
    ("Content-Type: message/rfc822\n\n", "Content-Type: message/rfc822\n\n"),
    ("Content-Transfer-Encoding: quoted-printable\n\n", "="),
    ("Content-Transfer-Encoding: quoted-printable\n\n", "=C3"),
    ("Content-Transfer-Encoding: quoted-printable\n\n", "= "),
    ("Content-Transfer-Encoding: base64\n\n", "QQ==\n"),
    ("Content-Transfer-Encoding: base64\n\n", "Q"),
    ("Content-Transfer-Encoding: base64\n\n", "Q\n"),
])  # fmt: skip
def test_time_is_linear_in_hostile_mail(head, unit):
    start = time.process_time()
    read(head + unit * (100_000 // len(unit)))
    assert time.process_time() - start < 5
