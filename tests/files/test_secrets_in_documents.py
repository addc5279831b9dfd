"""A screened document has no secret left in any of its parts, and every position it had."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.files.secrets import has_only_blanks, screened
from minisearch.parsers import parse
from minisearch.types import Document, Heading, Origin

KEY = "AKIAQ3EGRZXB4MPLVW2K"
PASSWORD = "k9$Vq2!zR7wLx4Tb8Nf"


def document(text: str, **parts: object) -> Document:
    return Document("a.md", text, "markdown", Origin(text), **parts)


def test_a_document_without_secrets_is_as_it_was() -> None:
    plain = document("# Bread\n\nsalt", title="Bread", headings=(Heading(0, 1, "Bread"),), notes=("odd",))
    assert screened(plain) == plain


def test_no_part_of_a_document_keeps_a_secret() -> None:
    found = screened(
        document(
            f"{KEY} in text",
            title=f"{KEY} in a title",
            headings=(Heading(0, 1, f"In {KEY}"), Heading(5, 2, "Plain")),
            fields={"key": (KEY, 3.0, True, "plain")},
            notes=(f"odd {KEY}",),
        )
    )
    assert KEY not in repr(found).replace(repr(found.origin), "")
    assert [heading.title for heading in found.headings] == ["In " + "█" * len(KEY), "Plain"]
    assert found.fields == {"key": ("█" * len(KEY), 3.0, True, "plain")}
    assert found.notes == (
        "odd " + "█" * len(KEY),
        "1 possible secret hidden: AWS key, line 1 (--keep-secrets indexes them)",
    )


def test_what_is_a_secret_in_its_place_is_one_where_it_stands_alone() -> None:
    found = screened(parse("a.md", f"---\nurl: x\npassword: {PASSWORD}\n---\n# Bread\n".encode()))
    assert PASSWORD not in found.text
    assert found.fields["password"] == ("█" * len(PASSWORD),)


@pytest.mark.parametrize("prefix", ["", "x.", "a.b."])
def test_a_field_that_is_named_by_a_secret_is_left_out(prefix: str) -> None:
    token = "ghp_aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"
    for secret in (KEY, token):
        found = screened(document(f"{secret}: 1", fields={f"{prefix}{secret.lower()}": (1.0,)}))
        assert found.fields == {}
    text = f"---\n{KEY}: 1\n{KEY[::-1]}: 3\nplain name: {KEY}\n---\n# Bread\n"
    assert dict(screened(parse("a.md", text.encode())).fields) == {
        KEY[::-1].lower(): (3.0,),
        "plain name": ("█" * len(KEY),),
    }


def test_many_secrets_are_counted_and_the_first_are_placed() -> None:
    found = screened(document(f"{KEY}\n" * 1_200))
    assert found.notes[0].startswith("1,200 possible secrets hidden: AWS key, line 1; AWS key, line 2; ")
    assert found.notes[0].endswith("AWS key, line 5 and 1,195 more (--keep-secrets indexes them)")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), st.just(f" {KEY} "), st.just("\r\n"), st.just("█"))))
def test_positions_stay_and_what_is_no_secret_too(parts: list[str]) -> None:
    text = "".join(parts)
    found = screened(document(text))
    assert len(found.text) == len(text)
    assert found.text == text.replace(KEY, "█" * len(KEY))


@pytest.mark.parametrize(
    ("text", "expected"), [("", False), ("█", True), (" ██\n█ ", True), ("█ a", False), (" ", False)]
)
def test_a_text_of_blanks_alone_is_told(text: str, expected: bool) -> None:
    assert has_only_blanks(text) is expected


def test_a_password_in_front_matter_is_blanked_there_and_in_the_text() -> None:
    front = b"---\ntags: [a]\npassword: tR4x9-qq8Wz\n---\n\n"
    document = screened(parse("a.md", front + b"Text.\n"))
    assert "tR4x9" not in repr((document.fields, document.names))
    assert (document.fields["tags"], document.names[0]) == (("a",), "a")
    assert document.notes == ("1 possible secret hidden: password, metadata (--keep-secrets indexes them)",)
    document = screened(parse("a.md", front + b"Text with tR4x9-qq8Wz.\n"))
    assert "tR4x9" not in repr((document.text, document.fields, document.names))
