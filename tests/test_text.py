"""Scripts, words, sentences and front matter."""

from __future__ import annotations

import re
import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.text import (
    CJK,
    EAST_ASIAN,
    HANGUL,
    LATIN,
    PAIRED_RUN,
    STOP_WORDS,
    UNSPACED,
    bigrams,
    front_matter,
    is_mostly_latin,
    normalised_words,
    paired_parts,
    sentence_starts,
    stem,
)

# Each line is a text, its sentences told apart by " | ".
ENGLISH = """
Mr. Okafor came by. | Dr. Weber prescribed two pills a day. | We met Prof. Lang at St. Jakobi.
Mrs. Lee and Ms. Adeyemi paid approx. 30 euros, i.e. less than before.
Judges Sandra Day O'Connor, David H. Souter and Stephen G. Breyer agreed.
J. R. Weber wrote it. | J. S. Bach did not. | T. S. Eliot read it.
J.-P. Sartre met J.R.R. Tolkien in the U.S. capital. | Gov. Linda Lingle was there.
They moved to the U.S. | It was cold there. | U.S. Army trucks came.
We left at 5 p.m. | The shop was shut. | At 9 a.m. Monday it opened.
The firm is Smith Inc. | They sell boilers. | Apple Inc. shares fell, Alcoa Inc. (aluminium) too.
Warner Bros. TV bought Jones & Co. Ltd. | He was glad.
Fruit, bread, cheese etc. | Then we ate.
See Fig. 5 and Eq. (4), cf. Table 2, pp. 12, vol. 3, no. 7. | More is in Sec. 8.
Is it there? | No. | We looked. | No. 5 is gone. | Why (No.)? | End.
On Jan. 12 and Dec. 30, 2013 it rained. | We go in Sept. | Mary stays.
The cat sat. | Mary stood. | Sun. 5 May it is shut. | We love the sun. | Mary too.
Martin Luther King Jr. spoke. | John Smith Jr. | He was next. | Ali vs. Frazier was on.
He lives on Main St. | The shop is near. | St. Paul's is far.
He was 30. | She was 25. | They were 9.5. | It cost $30. | Which is dear.
First, do this: 1. The pump goes off. | 2. Open the valve.
In 2018. | Peter left. | Smith et al. Nature 5 (1999). | Smith et al. | They were right.
Take vitamin C. | It helps. | Heat it to 180 °C. | Pour it in. | It takes 5 V. | Plug it in.
Press Ctrl-C. | Wait. | Use -AV. | Peter uses -V. | Peter does.
Call substr. | Bob calls. | Set it to C. | (Peter did.)
Press `q`. | Done. | (It was 5.) | Peter went. | (He saw Smith et al.) | Mary came.
"I know Mr. Lee Jr." | Bob did.
The rule is in ops.c. | More is in node.js. | Mary wrote it, a.k.a. (the) author. | _Dr. Weber_ read it.
I can't. | Mary can. | It is Mary's. | Bob agrees.
He said "Go to Dr. Weber." | Then he went. | (It was Mr. Lee.) | All is well.
Well... Mary was late.
Rep. Smith? | Yes! | Is it 5? | Peter knows. | He shouted 7! | Bob heard.
Look at e.g. Mary, viz. Bob, i.e. Sue (approx. Five).
Dr.
Keep it in mind. | Peter did. | He works in HR. | Mary has MS. | Peter lives in CA. | Bob, too.
The value of x. | Peter knows x. | Let x. y. Z be so.
"""
GERMAN = """
Am 3. Oktober kam Herr Dr. Meier, z.B. wegen der Heizung. | Die Nr. 5 ist ca. 20 m entfernt.
Er kam am 5. Mai 2024. | Wir gingen im 3. Stock umher, zum 2. Mal.
Das gilt z. B. Kindern, d. h. Söhnen, u. a. Peter und i. d. R. Frauen.
Hr. Weber und Fr. Lang, geb. Kurz, wohnen in der Goethestr. 5 bzw. Hauptstr. 7.
Dr. med. dent. Weber sah ggf. Karies, vgl. S. 5 und Abb. 3.
Brot, Käse usw. | Danach gab es Tee. | Es kostet inkl. Versand 5,90. | Die Post kommt.
Er hat 5 Mio. Euro, sie 2 Mrd. | Wir haben nichts. | Das ist wahr.
Tel. 040 / 669 12 70, Tel. (030) 5 und tel. +49 40.
Der Laden ist in der Bonner Str. | Die Tür ist grün. | Das war im 19. Jh. | Es war kalt.
Nach Art. 5 Abs. 2 und Kap. IV gilt es. | Es war ca. 300 v. Chr. | Sie starb.
Es gilt evtl. über Nacht, bzw. überall, ab 5. über Tag etc. über alles.
Die Müller GmbH & Co. KG zahlt max. 50 Euro, mind. aber 20.
"""
FRENCH_AND_SPANISH = """
M. Dupont et Mme. Curie sont là. | Il est tard, p. ex. Minuit. | Voir p. 5, chap. 3. | Élodie est venue.
Fruits, pain, etc. | Paul mange. | É. Zola écrivait, c.-à-d. Souvent. | L'été est là. | À demain.
El Sr. García vive en la Av. Libertad núm. 5. | Tiene aprox. 30 años.
La Sra. López fue a EE. UU. Ayer volvió. | ¿Por qué? | ¡No! | ¿Quién sabe? | Está en la pág. 5.
"""
LINES = [line for table in (ENGLISH, GERMAN, FRENCH_AND_SPANISH) for line in table.strip().splitlines()]


def cut(text: str, start: int = 0, end: int | None = None) -> list[str]:
    end = len(text) if end is None else end
    starts = [start, *sentence_starts(text, start, end)]
    return [text[a:b].strip() for a, b in zip(starts, [*starts[1:], end], strict=True)]


@pytest.mark.parametrize("line", LINES)
def test_sentences_end_where_they_end(line: str) -> None:
    assert cut(line.replace(" | ", " ")) == line.split(" | ")


@pytest.mark.parametrize("line", LINES)
def test_a_line_break_is_a_space(line: str) -> None:
    assert cut(line.replace(" | ", "\n").replace(" ", "\n")) == line.replace(" | ", "|").replace(
        " ", "\n"
    ).split("|")


def test_the_table_has_more_than_sixty_sentences() -> None:
    assert sum(len(line.split(" | ")) for line in LINES) > 60


def test_nothing_outside_of_the_stretch_is_looked_at() -> None:
    text = "Dr. No. The end. There"
    assert sentence_starts(text, 4, len(text)) == [8, 17]
    assert sentence_starts(text, 4, 16) == [8]
    assert sentence_starts(text, 4, 7) == []
    assert sentence_starts("", 0, 0) == []
    assert sentence_starts("Mr. Lee", 1, 7) == [4]
    assert sentence_starts("U.S. Theory", 0, 8) == [5]


def test_a_word_longer_than_what_is_looked_at_is_no_abbreviation() -> None:
    assert cut("x" * 40 + "vs. Mary") == ["x" * 40 + "vs.", "Mary"]


PLAIN = st.sampled_from(
    [
        "Dr. Weber met Mr. Lee on 5 Jan. 2025.",
        "Why did J. R. Smith go to No. 5?",
        "Am 3. Oktober kam z. B. Frau Lang, vgl. S. 7.",
        "The U.S. team paid approx. 30 euros!",
        'Mary said "see Fig. 5 of vol. 2."',
        "水は要る。",
    ]
)


@settings(deadline=None)
@given(st.lists(PLAIN, min_size=1))
def test_neighbours_are_told_apart(sentences: list[str]) -> None:
    assert cut(" ".join(sentences)) == sentences


TEXTS = st.text(st.sampled_from("aBÉé.!? \n'\"()-_*°5。」1")) | st.lists(
    st.sampled_from(
        ["Dr.", "z.", "B.", "a.m.", "No.", "5.", "The", "mary", "Mary", "(It", "...", "$3.", "\n"]
    )
).map(" ".join)


@settings(deadline=None)
@given(TEXTS)
def test_a_sentence_begins_only_after_a_stop(text: str) -> None:
    starts = sentence_starts(text, 0, len(text))
    assert starts == sorted(set(starts))
    for start in starts:
        before = text[:start].rstrip().rstrip("\"'”’)]」』）")
        assert before.endswith((".", "!", "?", "。"))
        assert before.endswith("。") or (text[start - 1].isspace() and not text[start : start + 1].islower())


# --- scripts -----------------------------------------------------------------------------------------------


def characters_in(ranges: str) -> set[str]:
    return set(re.findall(f"[{ranges}]", "".join(map(chr, range(sys.maxunicode + 1)))))


def test_every_chinese_japanese_or_korean_letter_is_cjk_and_nothing_else_is() -> None:
    cjk = characters_in(CJK)
    assert set("検索するテスト失败검색ㄅ々〇") <= cjk
    assert not cjk & characters_in(LATIN)
    assert cjk == characters_in(UNSPACED) | characters_in(HANGUL)
    assert not characters_in(UNSPACED) & characters_in(HANGUL)
    assert all(not unicodedata.category(char).startswith(("P", "S", "Z")) for char in cjk)


def test_wide_text_is_all_of_cjk_with_its_punctuation() -> None:
    wide = characters_in(EAST_ASIAN)
    assert characters_in(UNSPACED) <= wide
    assert set("。、「」（）！Ａ１검") <= wide
    assert not set("aé.…“’αя") & wide


@pytest.mark.parametrize("text", ["", "42 %", "Ångström ﬁn", "Ｒｅｔｒｙ", "the angle α"])
def test_latin_text_or_text_without_letters_is_mostly_latin(text: str) -> None:
    assert is_mostly_latin(text)


@pytest.mark.parametrize("text", ["失败的任务会自动重试", "Повторите задачу", "실패한 작업을 retry"])
def test_text_in_another_script_is_not_mostly_latin(text: str) -> None:
    assert not is_mostly_latin(text)


# --- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("-- ...", []),
        ("snake_case, kebab-case", ["snake", "case", "kebab", "case"]),
        ("CO₂ ﬁn Ｐｙｔｈｏｎ", ["CO2", "fin", "Python"]),
        ("Python™ 20℃", ["Python", "TM", "20", "C"]),
        ("E[x]tract a[i]", ["Extract", "a", "i"]),
        ("cafe\u0301", ["caf\u00e9"]),
        ("検\n索", ["検索"]),
        ("नमस्ते", ["नमस्ते"]),
        ("inter\u00adnational \ufeffFoo\u200bBar", ["international", "FooBar"]),
        ("tri\u00ad \n  bunal", ["tribunal"]),
    ],
)
def test_words_have_one_form_and_no_signs(text: str, words: list[str]) -> None:
    assert normalised_words(text) == words


def test_cjk_runs_become_overlapping_pairs() -> None:
    assert PAIRED_RUN.findall("Pythonの入門 v2") == ["の入門"]
    assert bigrams("の入門") == ["の入", "入門"]
    assert bigrams("門") == ["門"]


@pytest.mark.parametrize(
    "forms",
    ["retry retries retried retrying", "note notes noted noting", "box boxes boxed boxing"],
)
def test_common_endings_do_not_count(forms: str) -> None:
    assert len({stem(form) for form in forms.split()}) == 1


def test_a_stem_has_at_least_three_letters() -> None:
    assert [stem(word) for word in ("is", "bed", "ring")] == ["is", "bed", "ring"]


def test_stop_words_are_lower_case_words() -> None:
    assert {"the", "and", "is"} <= STOP_WORDS
    assert all(word.isalpha() and word.islower() for word in STOP_WORDS)


# --- front matter ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("head", "body", "language"),
    [
        ("---\ntitle: A\n---\n", "title: A\n", "yaml"),
        ("--- \ntitle: A\n\ntags: [b]\n...\n", "title: A\n\ntags: [b]\n", "yaml"),
        ('+++\ntitle = "A"\n+++\n', 'title = "A"\n', "toml"),
    ],
)
def test_front_matter_stands_between_two_rules(newline: str, head: str, body: str, language: str) -> None:
    head, body = head.replace("\n", newline), body.replace("\n", newline)
    found = front_matter(f"{head}# Text{newline}")
    assert found is not None
    assert (found[0], found["body"]) == (head, body)
    assert found[language]
    at_end = front_matter(head.rstrip("\r\n"))
    assert at_end is not None
    assert at_end["body"] == body


@pytest.mark.parametrize(
    "text", ["", "---", "---\ntitle: A\n", " ---\na: b\n---\n", "---\n\nText\n---\n", "---\na: b\n+++\n"]
)
def test_no_front_matter_without_two_rules_or_after_a_blank_line(text: str) -> None:
    assert front_matter(text) is None


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_front_matter_that_never_ends_takes_linear_time(newline: str) -> None:
    started = time.process_time()
    assert front_matter(f"---{newline}" + f"a: b{newline}" * 100_000) is None
    assert time.process_time() - started < 1


@given(st.text(st.sampled_from("aé 検索カ한국_1\n")))
def test_parts_are_the_text_and_only_runs_of_cjk_are_marked(text: str) -> None:
    parts = paired_parts(text)
    assert "".join(part for part, _ in parts) == text
    assert [part for part, is_paired in parts if is_paired] == PAIRED_RUN.findall(text)
    assert all(part and (is_paired or not PAIRED_RUN.search(part)) for part, is_paired in parts)
