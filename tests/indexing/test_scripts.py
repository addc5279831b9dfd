"""Documents in another script than Latin."""

from __future__ import annotations

import pytest

from minisearch.indexing.pipeline import is_in_another_script
from minisearch.minilm.catalog import CATALOG
from minisearch.types import Chunk

KOREAN = "실패한 작업을 다시 실행합니다"


def chunks(*texts: str) -> list[Chunk]:
    return [
        Chunk(
            text=text,
            start=0,
            end=len(text),
            byte_start=0,
            byte_end=0,
            line=1,
            end_line=1,
            heading="",
            n_tokens=1,
        )
        for text in texts
    ]


@pytest.mark.parametrize(
    "text",
    [
        "失败的任务会自动重试",
        "失敗したタスクを再実行する",
        KOREAN,
        "Повторите задачу",
        "أعد المهمة",
        "הפעל שוב",
        "क\u093eर\u094dय फ\u093fर स\u0947",
        "Προσπάθησε ξανά",
        KOREAN + " retry_task(42)",
    ],
)
def test_most_letters_are_not_latin(text: str) -> None:
    assert is_in_another_script(chunks(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1234 5678 \u00b2 \u2014 \u2026 \U0001f600",
        "Run a failed task again.",
        "Ångström naïve řeka łódź ệ ư ß ĳ ﬁn",
        "cafe\u0301 re\u0301sume\u0301",
        "Ｒｅｔｒｙ",
        "the angles α, β and γ add up to π",
        "def retry():  # 再試行\n    return run(task, again=True)",
    ],
)
def test_most_letters_are_latin_or_there_are_none(text: str) -> None:
    assert not is_in_another_script(chunks(text))


def test_a_long_document_is_looked_at_all_over_and_an_empty_one_has_no_script() -> None:
    english = "Run a failed task again. " * 40
    assert is_in_another_script(chunks(english, *[KOREAN * 9] * 99))
    assert not is_in_another_script(chunks(KOREAN * 9, *[english] * 99))
    assert not is_in_another_script([])


def test_the_models_made_for_many_languages_are_the_ones_that_are_not_english() -> None:
    assert sorted(row.name for row in CATALOG.values() if not row.is_english) == [
        "Multilingual-MiniLM-L12-H384",
        "paraphrase-multilingual-MiniLM-L12-v2",
    ]
