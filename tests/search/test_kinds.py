"""Reference lists, contents, link lists and licences are recognised, and what only looks like them is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.results import Mode, SearchResults
from minisearch.search.kinds import asked_for, kind_of
from minisearch.text import short_leaders
from tests.fakes import HashingEncoder

NUMBERED = """\
[11] A. Lindqvist and P. Okoro, "Tidal mixing in narrow straits," J. Coastal Res., vol. 31, pp. 88-97, 2009.
[12] M. Farrugia, S. Tan, and W. Brandt. Sediment budgets revisited. Marine Geology, 212(3):401-419, 2014.
[13] T. Achterberg. Measuring bed load by ear. PhD thesis, University of Tromsø, 1998.
[14] R. Sousa et al. Harbour siltation. In Proceedings of the 9th Coastal Conference, pages 14-22, 2017."""

AUTHOR_YEAR = """\
Ferreira, J. P., & Mbeki, L. (2011). The price of waiting: queues in public offices. Service Research
Journal, 8(1), 33–51. https://doi.org/10.1000/xyz
Nakagawa, T. (1987). Lines and counters. Oxford University Press.
Petrov, I., Sand, K., & Ruiz, M. (2020). Tickets, please. Public Administration Review, 80(4), 610–622."""

FULL_NAMES = """\
Ingrid Halvorsen and Paulo Reis. 2016. Learning to see river ice. In Proceedings of the Conference on Remote
Sensing, pages 310–318.
Mei Tanaka, Olu Adeyemi, and Franz Huber. 2019. Attention for floods. In Advances in Water Informatics 32,
pages 1187–1199.
Lena Vogt. 2021. A survey of gauges. arXiv preprint arXiv:2104.00000."""

RST = """\
References
----------
.. [1] Wexford, B., "A rank test for paired grids", Annals of Gridding, Vol. 12, pp. 40-51, 1951.
.. [2] Ode, C. and Lall, R. (1974). "On ties", J. Amer. Grid. Assoc., 69, 207-211.
.. [3] Sarkis, Z., "Exact tables", Technical Report 77, University of Ankara, 1982."""

LEADERS = """\
1 Getting started ................ 1
1.1 Installing ................... 2
1.2 A first map .................. 5
2 Layers ......................... 11
2.1 Raster layers ................ 14"""

JOINED_LEADERS = (
    "Preface . . . . . . . . vii 1 Soil . . . . . . . 3 2 Water . . . . . . . 27 3 Light . . . . . . . 58 "
    "4 Pests . . . . . . . 81"
)

PLAIN_CONTENTS = """\
Contents
1 Why bees swarm 3
2 The empty box 9
2.1 Which wood 11
3 Moving day 24
4 The first winter 40"""

INDEX = """\
alignment, 14, 92
anchors, 7, 33-35
annotations, 118
arrays, 12, 45-47, 60
aspect ratio, 71
axis labels, 22, 23"""

TREE = """\
Guides
======

.. toctree::
   :maxdepth: 2

   install
   first_steps
   advanced/tuning
   Glossary <terms/glossary>
"""

REFS = """\
* :ref:`starting_out`
* :ref:`inventory_basics`
* :ref:`vault`
* :ref:`roles_and_reuse`
* :ref:`galaxy`"""

MARKDOWN_LINKS = """\
## Read more
- [Cold frames](frames.md)
- [Compost in winter](compost.md)
- [When to prune](prune.md)
- [Seed banks](https://example.org/seeds)"""

MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software, to deal in the
Software without restriction. The above copyright notice and this permission notice shall be included in all
copies. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, INCLUDING THE WARRANTIES OF
MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE. IN NO EVENT SHALL AUTHORS BE LIABLE FOR ANY CLAIM."""

BSD = """\
Copyright (c) 2019, the authors. All rights reserved.
Redistribution and use in source and binary forms, with or without changes, are permitted
if the following conditions are met: Redistributions of source code must retain the above copyright notice."""

HEADER = """\
# Copyright (C) 2021 The Tide Table Authors. All rights reserved.
# Licensed under the Apache License, Version 2.0; you may not use this file except in compliance with it.
# SPDX-License-Identifier: Apache-2.0"""

OF_A_KIND = {
    "references": [NUMBERED, AUTHOR_YEAR, FULL_NAMES, RST],
    "contents": [
        LEADERS,
        short_leaders(LEADERS),
        "A.4 Moving day .... 24",
        JOINED_LEADERS,
        PLAIN_CONTENTS,
        INDEX,
    ],
    "links": [TREE, REFS, MARKDOWN_LINKS],
    "licence": [MIT, BSD, HEADER],
}

PROSE = [
    "Moving day .... 24 people came.\nThey carried the box.\nIt was late.",
    "",
    "7",
    "Tidal mixing was first measured by Lindqvist and Okoro (2009), and Farrugia et al. (2014) give a budget "
    "of the sediment. Later work (Sousa et al., 2017; Brandt, 2018) found that dredging moves silt a mile, "
    "which our gauges show too.",
    "1914 the strike began. In 1917 the mill closed; by 1921 half of the town had left, and in 1926 the line "
    "was lifted. The census of 1931 counts 412 people, that of 1951 only 96.",
    "Item: Keys; Deposit: 50\nItem: Locker; Deposit: 60\nItem: Car; Deposit: 100\nItem: Bag; Deposit: 120",
    "Flour 500\nSugar 200\nButter 150\nMilk 250\nSalt 5",
    "Room 1\nRoom 2\nRoom 3\nRoom 4\nRoom 5",
    "Oslo 9\nBergen 7\nTromsø 3\nBodø 4\nAlta 2",
    "1. Switch the boiler off.\n2. Wait until the gauge shows 0.\n3. Open valve 2.\n4. Fill bucket 1.",
    "The library is under the MIT licence, so you can use it in a closed product; keep the notice in the "
    "copies that you ship. The fonts are not ours: ask their foundry.",
    "- [Cold frames](frames.md) keep the frost off seedlings that were sown in February.\n"
    "- [Compost](compost.md) must be turned once a month, or it rots.\n"
    "- [Pruning](prune.md) is for dry days, because wet cuts let canker in.\n"
    "- [Seeds](seeds.md) keep for three years in a dry tin.",
    "## 2.1.0 (2023-04-11)\n- Fixed the clock (#120)\n- Fast (#131)\n## 2.0.1 (2022-12-01)\n- New door (#99)",
    "def total(rows):\n    # copyright notices are counted too\n    return sum(row.pages for row in rows)",
    "Waiting ... and then nothing 1. She counted 2 ... 3 ... 4 and fell asleep.",
    "See `first`_, `second`_, `third`_ and `fourth`_ for how a run is planned, and what it costs.",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind in OF_A_KIND for text in OF_A_KIND[kind]])
def test_a_passage_is_of_its_kind(kind: str, text: str) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("path", "is_test"),
    [
        ("tests/test_a.py", True),
        ("src/test_a.py", True),
        ("pkg/tests/unit/helpers.py", True),
        ("a/conftest.py", True),
        ("web/page.test.tsx", True),
        ("net/http_test.go", True),
        ("src/main/OrderServiceTest.java", True),
        ("spec/models/user_spec.rb", True),
        ("/srv/test/shop/src/pay.py", False),
        ("/home/me/tests/helpers.py", True),
        ("src/spec/handlers.go", False),
        ("src/latest.py", False),
        ("src/contest.py", False),
        ("src/protest/march.py", False),
        ("src/greatest.java", False),
        ("tests/blood.md", False),  # notes
        ("test results.txt", False),
    ],
)
def test_code_of_tests_is_known_by_its_path(path: str, is_test: bool) -> None:
    assert kind_of("x = 1", path) == ("test" if is_test else None)


def test_a_file_with_the_name_of_a_licence_is_one_if_it_speaks_of_rights() -> None:
    assert kind_of("Copyright 2020 the authors", "NOTICE") == "licence"
    assert kind_of("The office is closed on Friday.", "hr/notice.md") is None


@pytest.mark.parametrize("run", ["." * 200_000, ". " * 100_000, "…" * 100_000, "a....b" * 20_000])
def test_runs_of_dots_take_time_that_grows_with_their_length(run: str) -> None:
    assert kind_of(f"Name {run}\nplease sign here") is None


@pytest.mark.parametrize("text", PROSE)
def test_prose_tables_and_code_are_of_no_kind(text: str) -> None:
    assert kind_of(text) is None


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("how do bees choose a nest", set()),
        ("which licence is it under?", {"licence"}),
        ("MIT License", {"licence"}),
        ("who has commit rights and file permissions", set()),
        ("References on tidal mixing", {"references"}),
        ("who cites Lindqvist 2009, which journal", {"references"}),
        ("table of contents", {"contents", "links"}),
        ("how is the clock mocked in tests", {"test"}),
        ("links in the menu", {"links", "navigation"}),
    ],
)
def test_a_query_asks_for_a_kind_by_its_name(query: str, kinds: set[str]) -> None:
    assert asked_for(query) == kinds


# --- in a search ------------------------------------------------------------------------------------------

PAPER = (
    "Tidal streams are fast where the straits are narrow, and the mixing of the water is strongest at spring "
    "tide."
)
CITED = """\
[1] A. Lindqvist, "Tidal mixing in narrow straits," J. Coastal Res., vol. 31, pp. 88-97, 2009.
[2] S. Tan, "Narrow straits and tidal power," Ocean Eng., vol. 4, pp. 1-9, 2011.
[3] W. Brandt, "Mixing by tides," Marine Geology, vol. 9, pp. 40-44, 2014."""


@pytest.fixture
def ms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MiniSearch]:
    monkeypatch.chdir(tmp_path)
    texts = [PAPER, CITED, CITED.replace("[3] W", "[LQ-77] W"), *(f"Boat {n} is green." for n in range(9))]
    for name, text in zip(["paper", "cited", "marked", *map(str, range(9))], texts, strict=True):
        Path(f"{name}.txt").write_text(text, encoding="utf-8")
    with MiniSearch.open(".", encoder=HashingEncoder(max_tokens=254)) as engine:
        engine.index(".")
        yield engine


def first(results: SearchResults) -> str:
    assert [one.score for one in results] == sorted((one.score for one in results), reverse=True)
    numbers = [one.relevance or 0 for one in results]
    assert numbers == sorted(numbers, reverse=True)
    return results[0].path


def test_prose_comes_before_a_reference_list_that_shares_more_words(
    ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "tidal mixing in narrow straits"
    assert first(ms.query(query, by="chunk")) == "paper.txt"
    monkeypatch.setattr("minisearch.search.ranking.KIND_PENALTY", 0.0)
    assert first(ms.query(query, by="chunk")) != "paper.txt"


@pytest.mark.parametrize("mode", ["dense", "lexical"])
def test_one_ranking_alone_looks_at_no_kinds(ms: MiniSearch, mode: Mode) -> None:
    results = ms.query("tidal mixing in narrow straits", by="chunk", mode=mode)
    names = [one.trace.cosine if mode == "dense" else one.trace.bm25 for one in results]
    assert [one.score for one in results] == pytest.approx(names)


def test_a_reference_list_comes_first_where_the_query_asks_for_it_or_has_its_exact_token(
    ms: MiniSearch,
) -> None:
    assert first(ms.query("references on tidal mixing in narrow straits", by="chunk")) != "paper.txt"
    assert first(ms.query("spring tide LQ-77", by="chunk")) == "marked.txt"


ONE_REFERENCE = "[17] A. Lindqvist et al. Mixing in narrow straits. Ocean Letters, 2017."


@pytest.mark.parametrize(
    "heading", ["References", "Tides > 7. References", "Gezeiten > Literaturverzeichnis"]
)
def test_text_below_a_heading_of_references_is_references(heading: str) -> None:
    assert kind_of(ONE_REFERENCE, "paper.pdf", heading) == "references"
    assert kind_of(f"{heading.split('> ')[-1]}\n{ONE_REFERENCE}") == "references"


@pytest.mark.parametrize("heading", ["Tides > Mixing", "References > get()", "Preferences", "API reference"])
def test_text_below_other_headings_is_not(heading: str) -> None:
    assert kind_of(ONE_REFERENCE, "paper.pdf", heading) is None


def test_the_headers_of_a_mail_alone_are_of_a_kind_and_a_short_mail_is_not() -> None:
    headers = "From: <Saved by Blink>\nSubject: The old harbour\nDate: Mon, 1 Jul 2024 10:00:00 -0000"
    assert kind_of(headers, "page.mht") == "headers"
    assert kind_of(f"{headers}\n\nIt opens at five.", "page.mht") is None
    assert asked_for("mails about the harbour") == {"headers"}


def test_links_around_the_content_come_after_the_page_that_they_lead_to(tmp_path: Path) -> None:
    around = (
        "<header><a href=/>Heron House</a> | <a href=/b>Blog</a></header>"
        "<nav><a>Oven temperature</a><a>Rye flour</a><a>Opening hours</a></nav><main>{}</main>"
        "<footer><a>Oven temperature for rye</a><a>Privacy policy</a></footer>"
    )
    contents = {
        "oven": "<h1>Heating</h1>The temperature of the oven falls from 250 to 200 in ten minutes.",
        "rye": "<h1>Rye</h1>Coarse flour drinks more water than that of wheat does.",
        "visit": "<h1>Visit</h1>Our opening hours are from eight to noon, and never on Monday.",
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.html").write_text(around.format(content))
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        for query, name in (("oven temperature", "oven"), ("rye flour", "rye"), ("opening hours", "visit")):
            (first,) = ms.query(query, 1)
            assert Path(first.path).name == f"{name}.html" and "Navigation" not in first.heading
        (first,) = ms.query("privacy policy", 1)
        assert first.heading.endswith("Navigation links")
        assert ms.query("links: oven temperature", 1)[0].heading.endswith("Navigation links")
