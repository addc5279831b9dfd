"""Numbers have one form however they are written, compound names have parts, and neither takes long."""

from __future__ import annotations

import time

import pytest

from minisearch.stores.terms import further_words, numbers_in, words_of_name

# One number in each line, as people write it.
SAME_NUMBERS = [
    *(("+44 20 7946 0018", "+44 (0)20 7946 0018", "020 7946 0018", "(020) 7946-0018", "02079460018"),),
    *(("+442079460018", "0044 20 7946 0018", "020/7946 0018", "+44-20-7946-0018", "+44.20.7946.0018"),),
    *(("+1 212 555 0100", "(212) 555-0100", "212-555-0100", "212.555.0100", "+1 (212) 555-0100"),),
    *(("+49 30 1234567", "030 / 123 45 67", "030/1234567", "0049-30-1234567"),),
    *(("+358 9 123 4567", "09 1234 567", "09-1234567"),),
    *(("DE89 3704 0044 0532 0130 00", "DE89-3704-0044-0532-0130-00", "DE89370400440532013000"),),
    *(("GB29 NWBK 6016 1331 9268 19", "GB29NWBK60161331926819"),),
    *(("978-3-16-148410-0", "978 3 16 148410 0", "9783161484100"), ("0-8044-2957-X", "080442957X")),
    *(("1 234 567", "1,234,567", "1.234.567", "1\u202f234\u202f567", "1'234'567", "1234567"),),
    *(("12,500", "12 500", "12.500", "12'500", "12\u202f500", "12500"), ("1.234", "1,234", "1234")),
    *(("7.500,25", "7,500.25", "7'500.25"), ("999,999", "999999")),
    *(("14 March 2026", "March 14, 2026", "14.3.2026", "2026-03-14", "14th of March, 2026", "20260314"),),
    *(("14. M\u00e4rz 2026", "14.03.2026", "2026/3/14", "14 mars 2026", "14 de marzo de 2026", "3/14/2026"),),
    *(("Mar. 14th 2026", "14-Mar-2026", "2026-03-14T10:00", "14\nmarch 2026", "14/3/2026"),),
    *(("1 Dec 1999", "1999-12-01", "1. Dezember 1999", "1 d\u00e9cembre 1999", "01/12/1999", "19991201"),),
    *(("4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111"), ("2024-03-05", "20240305")),
]


def keys_of(text: str) -> set[str]:
    return {text, *(form for _, forms in numbers_in(text) for form in forms)}


@pytest.mark.parametrize("spellings", SAME_NUMBERS, ids=lambda spellings: spellings[0])
def test_spellings_of_one_number_share_a_form(spellings: tuple[str, ...]) -> None:
    for one in spellings:
        for other in spellings:
            assert keys_of(one) & keys_of(other), (one, other)
        assert set(further_words(f"Call: {one}, please.").split()) >= keys_of(one) - {one}


@pytest.mark.parametrize(
    "text",
    [
        *("10:30", "2024", "1.2.3", "3.14159265", "1 2 3", "5, 6, 7, 8, 9, 10, 11", "0.25", "0.125"),
        *("1234.5", "12,50", "12,5000", "March 2026", "32 March 2026", "14 Marsh 2026"),
    ],
)
def test_other_numbers_have_no_further_form(text: str) -> None:
    assert further_words(text) == ""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("getUserById", "get User By Id"),
        ("HTTPSConnectionPool", "HTTPS Connection Pool"),
        ("parse_HTTPHeader2", "HTTP Header 2"),
        ("KB5034441 V2.0 v1.2.3-rc1", "KB 5034441 2.0 1.2.3"),
        ("snake_case kebab-case SHP-7 CVE-2024-1234 URLs PDFs Word WORD a1", ""),
        ("fooBar fooBar", "foo Bar"),
    ],
)
def test_compound_names_have_parts_once(text: str, parts: str) -> None:
    assert further_words(text) == parts


def test_only_the_nearest_folders_name_a_file() -> None:
    assert words_of_name("one/two/three/four/reportQ3.md") == "two three four reportQ3 report Q 3 md"


@pytest.mark.parametrize(
    "unit",
    ["1 ", "1-", "aB", "A", "1", "+1", "(1", "1 may ", "may 1", "2026-1", "GB29 NWBK ", "1,234,", "a1"],
)
def test_any_text_is_read_in_linear_time(unit: str) -> None:
    started_s = time.process_time()
    further_words(unit * 100_000)
    assert time.process_time() - started_s < 5
