"""Calendars and address cards: unfolded, decoded, readable, and mapped to the lines of the file."""

import base64
import quopri

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.parsers import parse
from minisearch.types import Document
from tests.parsers.anchors import check_anchors, in_source, line_of


def read(text: str, name: str = "a.ics") -> Document:
    document = parse(name, text.encode())
    check_anchors(document)
    return document


CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//y
X-WR-CALNAME:Harbour
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19701025T030000
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:1@x
DTSTART;TZID=Europe/Berlin:20250304T090000
DTEND;VALUE=DATE:20250305
SUMMARY:Dentist appoint
 ment\\, folded\\; twice
DESCRIPTION:First line\\nsecond: 20250304 \\\\ x
RRULE:FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20251231T000000Z
ORGANIZER;CN="Lovelace, Ada":mailto:ada@example.org
X-APPLE-THING:7
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Reminder
END:VALARM
LOCATION:Quay 4
END:VEVENT
BEGIN:VTODO
SUMMARY:Paint
DUE:20250401T120000Z
END:VTODO
END:VCALENDAR
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_calendar_is_its_events_and_tasks(end):
    document = read(CALENDAR.replace("\n", end))
    assert document.text == (
        "Start: 2025-03-04 09:00 (Europe/Berlin)\nEnd: 2025-03-05\n"
        "Summary: Dentist appointment, folded; twice\nDescription: First line\nsecond: 20250304 \\ x\n"
        "Repeats: WEEKLY, BYDAY MO,WE, UNTIL 2025-12-31 00:00 UTC\n"
        "Organizer: Lovelace, Ada, ada@example.org\nLocation: Quay 4\n\n"
        "Summary: Paint\nDue: 2025-04-01 12:00 UTC"
    )
    assert document.title == "Harbour"
    titles = [heading.title for heading in document.headings]
    assert titles == ["Dentist appointment, folded; twice", "Paint"]
    assert document.notes == ("properties left out: X-APPLE-THING (1)",)
    assert line_of(document, "ment, folded") == 16
    assert line_of(document, "Quay") == 25


def test_cards_of_all_versions_are_read():
    photo = base64.b64encode(b"\xff\xd8" * 90).decode()
    folded = "\n ".join(photo[i : i + 60] for i in range(0, len(photo), 60))
    document = read(
        f"BEGIN:VCARD\nVERSION:3.0\nN:Müller;Jürgen;;Dr.;\nFN:Dr. Jürgen Müller\n"
        f"PHOTO;ENCODING=b;TYPE=JPEG:{folded}\n"
        "TEL;TYPE=work,voice:+49 1\nitem1.EMAIL;TYPE=INTERNET;TYPE=home:j@x.org\n"
        "item1.X-ABLabel:_$!<Home>!$_\n"
        "ADR:;;Quay 4;Kiel;;24103;Germany\nBDAY:19850412\nX-SKYPE:jm\nREV:2020\nEND:VCARD\n"
        "BEGIN:VCARD\nVERSION:4.0\nFN:Ada\nTEL;VALUE=uri:tel:+44 2\n"
        "PHOTO:data:image/png;base64,AAAA\nEND:VCARD\n",
        "a.vcf",
    )
    assert document.text == (
        "Full name: Müller, Jürgen, Dr.\nName: Dr. Jürgen Müller\nPhone (work): +49 1\n"
        "Email (home): j@x.org\nAddress: Quay 4, Kiel, 24103, Germany\nBirthday: 1985-04-12\n"
        "Skype: jm\n\nName: Ada\nPhone: +44 2"
    )
    assert [heading.title for heading in document.headings] == ["Dr. Jürgen Müller", "Ada"]
    assert document.notes == ("properties left out: PHOTO (2), X-ABLABEL (1)",)


def test_the_quoted_printable_of_vcard_21_is_decoded_in_its_character_set():
    document = read(
        "BEGIN:VCARD\nVERSION:2.1\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=BCr=\ngen\n"
        "NOTE;QUOTED-PRINTABLE;CHARSET=windows-1251:=EF=F0=E8=E2=E5=F2=0D=0Ax\nTEL;WORK;VOICE:1\n"
        "ORG:Har\n bour\nEND:VCARD\n",
        "a.vcf",
    )
    assert document.text.replace("\r", "") == (
        "Name: Jürgen\nNote: привет\nx\nPhone (work): 1\nOrganisation: Har bour"
    )
    assert document.title == "Jürgen"
    assert in_source(document, "ürgen").startswith("=C3=BC")


words = st.text(st.sampled_from("ab ,;\\:ü東\n=\"'-1"), min_size=1, max_size=60).filter(str.strip)


def folded(line: str, width: int) -> str:
    """A line in the way of RFC 5545: the first has so many characters, the others follow a space."""
    return "\r\n ".join(line[i : i + width] for i in range(0, len(line), width))


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=1, max_size=4), st.integers(1, 20))
def test_values_that_were_escaped_and_folded_come_back(values, width):
    lines = ["BEGIN:VEVENT"]
    for value in values:
        escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
        lines.append(folded(f"COMMENT:{escaped}", width))
    document = read("\r\n".join([*lines, "END:VEVENT", ""]))
    assert document.text == "\n".join(f"Comment: {value}" for value in values)


@settings(max_examples=40, deadline=None)
@given(words.filter(lambda value: value.strip("; ")))
def test_quoted_printable_values_come_back(value):
    value = value.replace("\\", "/").replace("\n", " ").strip()
    if not value.strip("; "):
        return
    coded = quopri.encodestring(value.encode(), quotetabs=True).decode()
    document = read(f"BEGIN:VCARD\nVERSION:2.1\nNOTE;ENCODING=QUOTED-PRINTABLE:{coded}\nEND:VCARD\n", "a.vcf")
    assert document.text == f"Note: {value}"


pieces = st.sampled_from([
    "BEGIN:VCARD", "END:VCARD", "BEGIN:VALARM", "END:VALARM", "BEGIN:", "FN", "N:", ";", ":", "=", '"', "\n",
    "\r\n",    "\n ",
    "ENCODING=QUOTED-PRINTABLE", "CHARSET=x", "DTSTART", "20250304", "T090000Z", "\\", "\\n", "ü",
    "PHOTO", "X-A",
])  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(pieces, max_size=25).map("".join))
def test_no_card_however_broken_breaks_the_reader(text):
    read(text)


def test_a_text_without_events_or_cards_is_plain_text():
    document = read("")
    assert (document.format, document.notes) == ("text", ())


@pytest.mark.parametrize(
    "unit", ["x", "\n ", "=\n", ';"', ';a="', "BEGIN:VEVENT\n", "BEGIN:VALARM\n", "\\", "A:b\n", ";"]
)
@pytest.mark.parametrize(
    "head", ["BEGIN:VEVENT\nSUMMARY:", "BEGIN:VCARD\nN;ENCODING=QUOTED-PRINTABLE:", "BEGIN:VCARD\nA"]
)
def test_hostile_cards_end(head, unit):
    parse("a.vcf", (head + unit * (100_000 // len(unit))).encode())


def test_a_line_that_quoted_printable_continues_is_not_folded() -> None:
    card = "BEGIN:VCARD\nVERSION:2.1\nFN:Ada\nNOTE;ENCODING=QUOTED-PRINTABLE:two =C3=BC=\n three\nEND:VCARD\n"
    assert parse("a.vcf", card.encode()).text == "Name: Ada\nNote: two ü three"


def test_a_link_that_ends_with_an_equals_sign_is_folded_in_new_cards() -> None:
    card = "BEGIN:VCARD\nVERSION:4.0\nFN:Ada\nNOTE:http://x.org/?a=\n bc\nEND:VCARD\n"
    assert parse("a.vcf", card.encode()).text == "Name: Ada\nNote: http://x.org/?a=bc"
