"""Words find the passages that hold them, in every script, ordered by BM25; no text is an operator."""

from __future__ import annotations

import math
import random
import re
import time
import unicodedata
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minisearch.filters import And, Contains, Extension, Not, Or, Path
from minisearch.search import ranking
from minisearch.search.words import unknown_words, with_known_numbers
from minisearch.stores.local import LocalStore, full_text
from minisearch.types import Hits
from tests.stores.store_cases import a_chunk, a_document, assert_sound, lexical, put, sql, vectors_of

WORDS = ["kelp", "lava", "moth", "quartz", "fern", "onyx", "hail"]  # words that stemming leaves as they are


def put_one(store, path, text, *, title="", heading=""):
    store.put(a_document(path, title=title), [a_chunk(text, heading)], vectors_of([text]))


def texts_found(store, query, k=10):
    hits = lexical(store, query, k)
    chunks = store.chunks(hits.ids.tolist())
    return [chunks[id_].text for id_ in hits.ids.tolist()]


def fill_up(store, n=9):
    """Passages from memory about something else, so that a word elsewhere is rare, and no name counts."""
    put(store, "//other", *(f"filler number{i}" for i in range(n)))


# --- what is found ---------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", " ", "?!", "\0", "\ud800", "🎉", '""', "zebra", "-"])
def test_without_a_word_that_is_there_nothing_is_found(store, query):
    put(store, "a.md", "kelp")
    hits = lexical(store, query, 5)
    assert (len(hits), hits.ids.dtype, hits.scores.dtype) == (0, np.int64, np.float32)


def test_an_empty_store_has_no_hits(store):
    assert len(lexical(store, "kelp 海藻", 5)) == 0


@pytest.mark.parametrize(
    "query",
    ["retry", "RETRIES", "a retrying zebra", "re-try: retried!", "“retry”", "retry\0\ud800", "retry_it"],
)
def test_any_word_is_enough_whatever_its_ending_case_and_the_signs_around_it(store, query):
    fill_up(store)
    put_one(store, "a.md", "It retries twice")
    assert texts_found(store, query) == ["It retries twice"]


SPELLINGS = [
    *(("Straßenbahn", "Strassenbahn"), ("Łódź", "Lodz"), ("smørrebrød", "smorrebrod"), ("Đakovo", "Dakovo")),
    *(("отчёт", "отчет"), ("ΟΔΥΣΣΕΑΣ", "Οδυσσέας"), ("IĞDIR", "ığdır"), ("İstanbul", "istanbul")),
    *(("Ｆｕｌｌ", "full"), ("oﬃce", "office"), ("Ægir", "aegir"), ("cœur", "coeur"), ("Þór", "thor")),
    *(("مُحَمَّد", "محمد"), ("أحمد", "احمد"), ("شָלוֹם"[1:], "שלום"[1:]), ("کتاب", "كتاب"), ("за́мок", "замок")),
    *(("inter\u00adnational", "international"), ("Foo\u200bBar", "foobar"), ("Get\u2060User", "getuser")),
    *(("می\u200cخواهم", "میخواهم"), ("\ufeffkelp", "kelp"), ("हिन्दी", "हिन्दी"), ("क्\u200dष", "क्ष")),
]


@pytest.mark.parametrize("pair", SPELLINGS)
def test_words_in_two_spellings_find_each_other_in_every_field(store, path, pair):
    for word, query in (pair, pair[::-1]):
        fill_up(store)
        put_one(store, "a.md", f"the {word} here")
        put_one(store, "b.md", "x", title=f"Of {word}")
        put_one(store, "c.md", "y", heading=f"Of {word}")
        assert sorted(texts_found(store, query)) == sorted([f"the {word} here", "x", "y"])
        assert len(store.select(Contains(query))) == 3
        assert len(store.select(Contains(f"the {query} here"))) == 1
    assert_sound(path)


@pytest.mark.parametrize(
    ("text", "other"), [("मैदान", "मदन"), ("май", "маи"), ("їжак", "іжак"), ("ガス", "カス"), ("पानी", "पीना")]
)
def test_a_mark_that_makes_another_letter_or_vowel_counts(store, text, other):
    fill_up(store)
    put(store, "a.md", text)
    assert (texts_found(store, text), texts_found(store, other)) == ([text], [])


SENTENCES = [
    "คณะกรรมการประชุมเรื่องงบประมาณที่กรุงเทพ",
    "ລາວເປັນປະເທດທີ່ສວຍງາມ",
    "ភាសាខ្មែរជាភាសាផ្លូវការ",
    "ရန်ကုန်မြို့သည်မြန်မာနိုင်ငံတွင်ရှိသည်",
]


@pytest.mark.parametrize(
    ("query", "found"), [("ประชุม", 0), ("กรุงเทพ", 0), ("ປະເທດ", 1), ("ខ្មែរ", 2), ("မြန်မာ", 3), ("ပြည်ပ", None)]
)
def test_words_inside_a_sentence_without_spaces_are_found_in_south_east_asia(store, query, found):
    put(store, "a.md", *SENTENCES)
    best = [SENTENCES[found]] if found is not None else []
    assert texts_found(store, query)[:1] == best or found is None
    phrase = store.chunks(store.select(Contains(query)).tolist()).values()
    assert [chunk.text for chunk in phrase] == best


@pytest.mark.parametrize("query", ["naive cafe", "NAÏVE", unicodedata.normalize("NFD", "café"), "Ｃａｆｅ"])
def test_accents_and_widths_do_not_matter(store, query):
    fill_up(store)
    put_one(store, "a.md", "the naïve café")
    assert texts_found(store, query) == ["the naïve café"]


def test_a_title_counts_twice_and_a_heading_once(store):
    fill_up(store)
    put_one(store, "text.md", "kelp x y")
    put_one(store, "heading.md", "x y", heading="kelp")
    put_one(store, "title.md", "x y ", title="kelp")
    hits = lexical(store, "kelp", 5)
    chunks = store.chunks(hits.ids.tolist())
    assert [chunks[id_].path for id_ in hits.ids.tolist()] == ["title.md", "text.md", "heading.md"]
    assert hits.scores[1] == hits.scores[2] < hits.scores[0]


def test_equal_scores_are_ordered_by_id_and_k_cuts_there(store):
    fill_up(store, 30)
    put(store, "a.md", *["kelp"] * 9)
    every = lexical(store, "kelp", 99).ids.tolist()
    assert every == sorted(every)
    assert len(every) == 9
    assert lexical(store, "kelp", 4).ids.tolist() == every[:4]


# --- scores ----------------------------------------------------------------------------------------


def reference(passages, query, table_of, *, rarity_by_table=None):
    """BM25 as FTS5's documentation has it, over lists of words: each passage's score, by its position.

    Lengths are those of a passage's own table; words are as rare as they are in all tables together, but in
    ``rarity_by_table`` as in that table.  A question is words, and pairs of them that count as one.
    """
    n = len(passages)
    lengths = {
        table: np.mean([len(words) for words, own in zip(passages, table_of, strict=True) if own == table])
        for table in set(table_of)
    }
    scores = dict.fromkeys(range(n), 0.0)
    for asked in query:
        for i, words in enumerate(passages):
            those = [p for p, own in zip(passages, table_of, strict=True) if own == table_of[i]]
            those = those if table_of[i] == rarity_by_table else passages
            n_with = sum(n_times(asked, other) > 0 for other in those)
            rarity = math.log((len(those) - n_with + 0.5) / (n_with + 0.5))
            rarity = rarity if rarity > 0 else 1e-6
            f, length = n_times(asked, words), len(words) / lengths[table_of[i]]
            weight = 1 if isinstance(asked, str) else ranking.PAIR_WEIGHT
            scores[i] += weight * rarity * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * length))
    return {i: score for i, score in scores.items() if score}


def n_times(asked, words):
    """How often a word stands among words, or two of them side by side."""
    return words.count(asked) if isinstance(asked, str) else list(pairwise(words)).count(asked)


def side_by_side(text, passages):
    """Pairs of plain words that a question asks for: both somewhere, not both in most passages."""
    parts = re.findall(r"[a-z0-9]+|[\u4e00-\u9fff]+", text)
    n_with = {word: sum(word in passage for passage in passages) for word in parts}
    return [
        (one, other)
        for one, other in dict.fromkeys(pairwise(parts))
        if f"{one}{other}".isascii() and 0 < min(n_with[one], n_with[other]) <= len(passages) / 2
    ]


def as_words(text):
    """A text's words; a run of Chinese as each character with the next, and the last alone."""
    words = []
    for part in re.findall(r"[a-z0-9]+|[\u4e00-\u9fff]+", text):
        words += [part] if part.isascii() else [part[i : i + 2] for i in range(len(part))]
    return words


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.95, 1])
@pytest.mark.parametrize("few", [0, 1_000])
def test_scores_are_bm25_of_all_passages_whatever_their_scripts(store, seed, share, few, monkeypatch):
    monkeypatch.setattr(full_text, "MANY", few)
    monkeypatch.setattr(ranking, "FEW", few)
    random_ = random.Random(f"{seed} {share}")
    texts = []
    for _ in range(60):
        words = random_.choices([*WORDS, "rare"], [5, 4, 3, 2, 2, 1, 1, 1], k=random_.randint(1, 12))
        if random_.random() < share:
            words.insert(random_.randint(0, len(words)), "".join(random_.choices("天地人日月山川", k=4)))
        texts.append(" ".join(words))
    put(store, "//a", *texts)
    ids = store.chunk_ids().tolist()
    is_paired = [not text.isascii() for text in texts]
    passages = [as_words(text) for text in texts]
    big = True if sum(is_paired) >= 54 else False if sum(is_paired) <= 6 else None
    big = None if few else big
    for query in (
        "rare hail onyx",
        "kelp lava moth quartz fern onyx hail rare",
        "天地人 hail",
        "日月山川 rare 人天",
    ):
        asked = [word for word in as_words(query) if len(word) > 1 or word.isascii()]
        asked = [word for word in asked if sum(word in passage for passage in passages)]
        asked = [word for word in asked if sum(word in passage for passage in passages) <= 30] or asked
        asked += side_by_side(query, passages)
        expected = reference(passages, asked, is_paired, rarity_by_table=big)
        hits = lexical(store, query, 100)
        assert dict(zip(hits.ids.tolist(), hits.scores.tolist(), strict=True)) == {
            ids[i]: pytest.approx(score, rel=1e-5) for i, score in expected.items()
        }
        order = [(-score, id_) for id_, score in zip(hits.ids.tolist(), hits.scores.tolist(), strict=True)]
        assert order == sorted(order)
        assert all(score > 0 for score in hits.scores)


def test_no_passage_scores_more_than_the_ceiling_and_one_full_of_the_word_comes_near(store):
    fill_up(store, 30)
    put(store, "a.md", "kelp " * 5_000, "kelp")
    hits = lexical(store, "kelp", 5)
    perfect = 2.2 * math.log(30.5 / 2.5)
    assert hits.ceiling == pytest.approx(5**0.3 * perfect, rel=1e-6)  # a query of one word
    assert 0.7 * perfect < hits.scores[0] < perfect


def test_a_word_that_is_nowhere_raises_the_ceiling_alone(store):
    fill_up(store, 30)
    put(store, "a.md", "kelp")
    plain, more = lexical(store, "kelp", 5), lexical(store, "kelp zebra", 5)
    assert more.scores.tolist() == plain.scores.tolist()
    perfect = plain.ceiling / 5**0.3 + 2.2 * math.log(31.5 / 0.5)
    assert more.ceiling == pytest.approx(2.5**0.3 * perfect, rel=1e-6)  # a query of two words


def test_a_word_in_most_passages_counts_only_where_there_is_no_other(store):
    put(store, "a.md", "the kelp", "the lava", "the moth", "quartz")
    assert texts_found(store, "the kelp") == ["the kelp"]
    assert set(texts_found(store, "the")) == {"the kelp", "the lava", "the moth"}
    assert set(texts_found(store, "the zebra")) == {"the kelp", "the lava", "the moth"}


def test_in_a_few_passages_a_name_counts_more_than_where_and_does(store):
    fill_up(store, 19)
    put(store, "a.md", "where the pipes go", "what it does", "Wilhelmina Crouch, Trondheim")
    hits = lexical(store, "where does Wilhelmina live", 9)
    texts = texts_found(store, "where does Wilhelmina live")
    assert texts == ["Wilhelmina Crouch, Trondheim", "what it does", "where the pipes go"]
    assert hits.scores[0] > 2 * hits.scores[1]
    name, function_word, nowhere = (math.log(21.5 / 1.5), math.log(46.5 / 26.5), math.log(22.5 / 0.5))
    perfect = 2.2 * (name + 2 * function_word + nowhere)
    assert hits.ceiling == pytest.approx(2.5**0.3 * perfect, rel=1e-6)  # two words count


def test_in_many_passages_function_words_are_as_rare_as_they_are(store):
    fill_up(store, ranking.FEW)
    put(store, "a.md", "where it goes", "a kelp is")
    hits = lexical(store, "where kelp", 9)
    assert hits.scores[0] == hits.scores[1]


def test_two_words_side_by_side_count_more_than_apart_and_in_their_order_alone(store):
    fill_up(store, 30)
    put(store, "//a", "kelp lava moth", "lava kelp moth", "kelp moth lava")
    assert texts_found(store, "kelp lava")[0] == "kelp lava moth"
    together, apart, turned = lexical(store, "kelp lava", 9).scores
    assert turned == apart < together
    rarity = math.log(32.5 / 1.5)  # of the pair, in one passage of 33
    own, average = 3, (30 * 2 + 3 * 3) / 33
    once = rarity * 2.2 / (1 + 1.2 * (0.25 + 0.75 * own / average))
    assert together - apart == pytest.approx(0.4 * once, rel=1e-5)


def test_a_pair_of_function_words_is_no_pair(store):
    fill_up(store, 30)
    put_one(store, "a.md", "put them out", title="What to do with the bins")
    put_one(store, "b.md", "an orchid needs light", title="The orchid")
    assert texts_found(store, "what to do with the orchid")[0] == "an orchid needs light"


@pytest.mark.parametrize("few", [0, 1_000])
def test_what_a_passage_has_of_the_words_leaves_function_words_and_pairs_out(store, few, monkeypatch):
    monkeypatch.setattr(full_text, "MANY", few)
    monkeypatch.setattr(ranking, "FEW", few)
    fill_up(store, 30)
    put(store, "//a", "what is it", "kelp and lava", "what is kelp " * 30)
    both, many, none = (lexical(store, text, 9) for text in ("kelp lava", "what is kelp", "what is it"))
    own, average = 3, (30 * 2 + 3 + 3 + 90) / 33
    once = 1 / (1 + 1.2 * (0.25 + 0.75 * own / average))  # of what a word comes to that is repeated for ever
    assert dict(zip(both.ids.tolist(), both.words.tolist(), strict=True))[32] == pytest.approx(once, rel=1e-4)
    assert many.words.max() == pytest.approx(30 / (30 + 1.2 * (0.25 + 0.75 * 90 / average)), rel=1e-4)
    assert len(none) > 0 and none.words.tolist() == [0] * len(none)


@pytest.mark.parametrize("query", ["kelp 東京 lava", "kelp zebra lava"])
def test_words_with_something_between_them_are_no_pair(store, query):
    fill_up(store, 30)
    put(store, "a.md", "kelp lava", "lava kelp")
    one, other = lexical(store, query, 9).scores
    assert one == other


def test_of_a_long_text_the_first_pairs_count_and_it_takes_no_time(store):
    put(store, "a.md", *(" ".join(random.Random(i).choices(WORDS, k=9)) for i in range(99)))
    asked = random.Random(3).choices([f"w{i}" for i in range(150)] + WORDS, k=60_000)
    started_s = time.process_time()
    lexical(store, " ".join(asked), 3)
    assert time.process_time() - started_s < 1


def test_of_a_long_text_the_first_words_count_and_it_takes_no_time(store):
    fill_up(store)
    put(store, "a.md", "kelp", "lava")
    words = " ".join(f"w{i}" for i in range(ranking.MAX_WORDS - 1))
    started_s = time.process_time()
    assert texts_found(store, f"{words} {words} kelp lava {'x' * 1_000_000} " + "y z " * 100_000) == ["kelp"]
    assert time.process_time() - started_s < 2


# --- scripts without spaces ------------------------------------------------------------------------

CJK = [
    "東京都の天気は晴れです",
    "数据库的备份很重要",
    "한국어 검색 엔진",
    "Pythonの入門書",
    "ﾊﾝｶｸｶﾅのテスト",
    "𠮷野家で食べる",
    "折れた\n文章の行",
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("東京", [0]),
        ("天気", [0]),
        ("京都", [0]),
        ("晴", [0]),
        ("す", [0]),
        ("数据", [1]),
        ("备份 重要", [1]),
        ("数\U000e0100据\ufe00", [1]),
        ("검색", [2]),
        ("한국", [2]),
        ("python", [3]),
        ("Python入門", [3]),
        ("書", [3]),
        ("ハンカク", [4]),
        (unicodedata.normalize("NFD", "ガ"), []),
        ("𠮷野", [5]),
        ("れた文章", [6]),
        ("大阪", []),
        ("備份", []),
    ],
)
def test_two_characters_are_enough_to_find_a_passage(store, query, found):
    put(store, "a.md", *CJK)
    assert sorted(texts_found(store, query)) == sorted(CJK[i] for i in found)


def test_a_single_hit_in_another_script_is_not_lost_among_many(store):
    """Rarity is counted over all passages: in a table of three rows the word alone would weigh nothing."""
    put(store, "en.md", *(f"python {word} {i}" for i, word in enumerate(WORDS * 5)))
    put(store, "ja.md", "Pythonの入門", "入門の本", "山の本")
    assert texts_found(store, "python 入門")[:2] == ["Pythonの入門", "入門の本"]


def test_passages_leave_both_tables_with_their_document(store, path):
    put(store, "a.md", *CJK, "plain")
    put(store, "b.md", *CJK, "plain")
    assert_sound(path)
    put(store, "a.md", "plain", "東京")
    store.remove([store.documents()["b.md"].id])
    assert_sound(path)
    assert sql(path, "select count(*) from chunks_rewritten") == [(1,)]
    store.remove([store.documents()["a.md"].id])
    assert_sound(path)
    for table in ("chunks_fts", "chunks_rewritten"):
        sql(path, f"create virtual table {table}_words using fts5vocab('{table}', 'row')")
        assert sql(path, f"select term from {table}_words") == []


# --- one form for each word --------------------------------------------------------------------------

OTHER_FORMS = ["CO₂", "x²", "Ｐｙｔｈｏｎ", "ofﬁce", "ℝⁿ", "Ⅷ", "ſtreet", "½", "naïve", "क़लम", "ΟΔΟΣ", "５月"]
OTHER_FORMS += [unicodedata.normalize("NFD", word) for word in ("café", "한국어", "ガラス")]


@pytest.mark.parametrize("word", OTHER_FORMS)
@pytest.mark.parametrize("asked", [str, partial(unicodedata.normalize, "NFKC"), str.lower])
def test_a_word_is_found_as_it_stands_there_and_in_its_plain_form(store, word, asked):
    fill_up(store)
    put(store, "a.md", f"the {word} here", "the other there")
    put_one(store, "title.md", "x", title=f"Of {word}")
    put_one(store, "heading.md", "x", heading=f"Of {word}")
    ids = store.chunk_ids().tolist()
    holding = [ids[9], ids[11], ids[12]]
    assert sorted(lexical(store, asked(word), 9).ids.tolist()) == holding
    assert store.select(Contains(asked(word))).tolist() == holding
    assert store.select(Contains(f"the {asked(word)} here")).tolist() == holding[:1]


@pytest.mark.parametrize("sign", ["™", "🤖", "₽", "\ue0b0", "…", "\xa0", "®", "＂", "´", "㎡"])
def test_a_sign_is_no_part_of_the_word_beside_it(store, path, sign):
    fill_up(store)
    put(store, "a.md", f"kelp{sign}lava {sign}moth{sign}")
    for word in ("kelp", "lava", "moth", f"moth{sign}", f"kelp{sign}lava"):
        assert len(lexical(store, word, 9)) == 1, word
        assert len(store.select(Contains(word))) == 1, word
    put(store, "a.md")
    assert_sound(path)


@pytest.mark.parametrize("text", ["wait… “no” – it’s café\xa0!", "Trường, Привет май", "✔️ שלום ěščř"])
def test_only_texts_that_would_be_read_otherwise_are_rewritten(store, path, text):
    put(store, "a.md", text, f"{text} ﬁn")
    assert sql(path, "select is_rewritten from chunks order by id") == [(0,), (1,)]


def test_every_word_of_a_passage_in_any_script_finds_it(store, path):
    fill_up(store)
    known = st.characters(exclude_categories=["Cs"])
    odd = st.sampled_from(
        [*"²₂ﬁ½™🤖₽ﷺ´＂ªŉ①㎡ｶﾞが々ー한국\u1112\u1161\u0301\u093c\u200d\ufe0f\ue0b0'\"-_*\0", *" \n"]
    )
    texts = st.text(st.one_of(odd, odd, st.sampled_from("abZé東京のकд \t"), known), max_size=30)

    @settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(texts, texts)
    def check(heading, text):
        put_one(store, "a.md", text, heading=heading)
        (id_,) = store.chunk_ids()[9:].tolist()
        for word in [*words_of(heading), *words_of(text)]:
            assert id_ in lexical(store, word, 99).ids.tolist(), word
            assert id_ in store.select(Contains(word)).tolist(), word

    check()
    assert_sound(path)


# Letters that SQLite takes for signs: New Tai Lue vowels, which Unicode 8 made letters, and two Vedic signs.
NO_LETTERS = re.compile("[\u19b0-\u19c0\u19c8\u19c9\u1cf2\u1cf3]")


# Of Unicode's derived core property Default_Ignorable_Code_Point, what is no control of an old script.
IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def words_of(text):
    """What stands between spaces, and what between signs, if there is a letter or a digit in it."""
    text = "".join(c for c in text if not IGNORABLE.match(c))
    between_signs = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text)
    for word in {*text.split(), *between_signs.split()}:
        if any(c.isalnum() for c in unicodedata.normalize("NFKC", NO_LETTERS.sub("", word))):
            yield word


# --- names and numbers in a text -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("HTTPSConnectionPool fails", ["HTTPSConnectionPool", "connection pool", "https"]),
        ("call getUserById now", ["getuserbyid", "get_user_by_id", "user by id"]),
        ("see max_retry_count, SHP-7", ["max_retry_count", "retry count", "SHP-7", "shp 7"]),
        ("fixed in v1.2.3 by KB5034441", ["v1.2.3", "1.2.3", "KB5034441", "5034441"]),
        ("call +44 20 7946 0018.", ["+44 20 7946 0018", "02079460018", "(020) 7946-0018", "7946"]),
        ("or 030/1234567,", ["+49 30 123 45 67", "0301234567"]),
        ("IBAN DE89 3704 0044 0532 0130 00", ["DE89370400440532013000", "DE89 3704 0044 0532 0130 00"]),
        ("ISBN 9783161484100", ["978-3-16-148410-0", "9783161484100"]),
        ("costs 12.500,75 euros", ["12,500", "12 500", "12500", "12'500.75"]),
        ("12500 people", ["12,500", "12.500", "12\u202f500 people"]),
        ("met on March 14, 2026", ["14 March 2026", "2026-03-14", "14.3.2026", "20260314"]),
        ("met on 2026-03-14", ["14th of March 2026", "14.03.2026", "14. März 2026"]),
        ("Łódź: 1 234 567 zł", ["1234567", "1,234,567"]),
    ],
)
def test_identifiers_and_numbers_are_found_whole_in_parts_and_in_any_spacing(store, path, text, queries):
    fill_up(store)
    put(store, "//a", text)
    for query in queries:
        known = with_known_numbers(query, store)
        assert texts_found(store, known) == [text], query
        assert len(store.select(Contains(query))) == 1, query
        assert unknown_words(known, store) == ()
    assert_sound(path)


# --- names of files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["acme", "invoice", "2025-03-04", "AcmeInvoice", "bills", "txt", "facture", "Übersicht"]
)
def test_a_word_of_the_name_of_a_file_or_its_folders_finds_each_passage(store, path, query):
    fill_up(store)
    name = unicodedata.normalize("NFD", "home/bills/AcmeInvoice_2025-03-04-\u00fcbersicht+facture.txt")
    put(store, name, "kelp", "Ωmega")
    assert texts_found(store, query) == ["kelp", "Ωmega"]
    assert_sound(path)
    put(store, name)
    assert texts_found(store, query) == []
    assert_sound(path)


def test_a_name_counts_like_a_title_and_folders_far_above_do_not_count(store):
    put(store, "//other", *(f"filler number{i}" for i in range(20)))
    put(store, "far/near/by/in/kelp.md", "moth lava")
    put_one(store, "//b", "moth lava in by near kelp md md md md")
    assert texts_found(store, "kelp") == ["moth lava", "moth lava in by near kelp md md md md"]
    assert (len(texts_found(store, "near")), len(texts_found(store, "far"))) == (2, 0)


# --- filters and hostile strings -------------------------------------------------------------------


def test_a_filter_leaves_the_scores_as_they_are(store):
    fill_up(store, 30)
    random_ = random.Random(3)
    for i in range(12):
        put_one(
            store,
            f"{i}.{'md' if i % 3 else 'rst'}",
            " ".join(random_.choices(WORDS, k=6)) + " 東京" * (i % 2),
        )
    every = lexical(store, "kelp lava 東京", 99)
    for where in (Extension("rst"), Not(Extension("rst")), Or(()), And(()), Path("*1*")):
        among = store.select(where)
        kept = np.isin(every.ids, among)
        for k in (1, 3, 99):
            expected = Hits(every.ids[kept][:k], every.scores[kept][:k])
            hits = lexical(store, "kelp lava 東京", k, where=among)
            assert hits.ids.tolist() == expected.ids.tolist()
            assert hits.scores.tolist() == expected.scores.tolist()
            assert hits.ceiling == every.ceiling


HOSTILE = [
    *(
        '"',
        "'",
        "a-b",
        "AND",
        "OR",
        "NOT",
        "NEAR(",
        "who's",
        "t:who",
        "title:kelp",
        "^kelp",
        "kelp*",
        "{a b}:c",
        "--",
    ),
    *(
        "kelp AND",
        "(" * 2_000,
        '"' * 999,
        "*",
        "+",
        "a OR (b",
        "kelp NEAR/2 lava",
        "\0",
        "kelp\0lava",
        "\ud800",
    ),
    *(
        "\udcff",
        "x'; drop table chunks; --",
        "%",
        "_",
        "\\",
        "é",
        "e\u0301",
        "שלום",
        "नमस्ते",
        "ไทย",
        "🎉",
        "東京",
        "ｶﾞ",
    ),
    *(
        "\u200d",
        "\ufeff",
        "\U0010ffff",
        "１２",
        "²",
        "ﬁ",
        "İ",
        "ß",
        "\ue000",
        "日\0本",
        "ー",
        "々",
        "한",
        "\u1112\u1161",
    ),
]


def a_hostile_text(random_):
    parts = [
        random_.choice(HOSTILE)
        if random_.random() < 0.6
        else "".join(chr(random_.randrange(0x110000)) for _ in range(random_.randint(1, 4)))
        for _ in range(random_.randint(1, 6))
    ]
    return random_.choice(["", " "]).join(parts)


def test_ten_thousand_hostile_texts_are_only_texts(store, path):
    put(store, "a.md", "kelp lava", "東京", "x")
    random_ = random.Random(11)
    for _ in range(10_000):
        hits = lexical(store, a_hostile_text(random_)[:300], 5)
        assert set(hits.ids.tolist()) <= {1, 2, 3}
    assert_sound(path)


def test_any_stored_text_is_found_by_its_own_words(path):
    random_ = random.Random(12)
    texts = [a_hostile_text(random_).encode("utf-8", "replace").decode() + f" tail{i}" for i in range(300)]
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", *texts)
        for i in range(0, 300, 7):
            assert texts_found(store, f"tail{i}") == [texts[i]]
    assert_sound(path)


@pytest.mark.parametrize("query", ["extract a gzipped archive", '"Extract a"', "E[x]tract"])
def test_a_letter_that_is_set_apart_as_a_mnemonic_parts_no_word(store, query):
    fill_up(store)
    put_one(store, "tar.md", "- E[x]tract a g[z]ipped archive:")
    assert texts_found(store, query) == ["- E[x]tract a g[z]ipped archive:"]
    assert list(store.select(Contains("extract a gzipped"))) == list(store.select(Path("tar.md")))
