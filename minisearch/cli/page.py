"""Results as text: a page for people, with place, heading, evidence and scores; CSV; Markdown.

`SearchResults` come in, the text for a `Terminal` or a file goes out.  What an empty result means is left to
`query_options`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from minisearch.cli.passage import INDENT, PASSAGE_LINES, passage
from minisearch.cli.terminal import (
    CYAN,
    FAINT,
    MAGENTA,
    Marked,
    Terminal,
    name_line,
    one_line,
    printable,
    shortened,
    width,
    wrap,
)
from minisearch.formats import format_of
from minisearch.results import OUTDATED, SearchResult, place_name

if TYPE_CHECKING:
    from minisearch.rag import Context
    from minisearch.results import Place, Query, SearchResults

PLACES_SHOWN = 6
LABEL = 10  # columns of the names that --why prints


def page(
    found: SearchResults,
    terminal: Terminal,
    *,
    whole: bool = False,
    why: bool = False,
    remark: str = "",
    n_lines: int = PASSAGE_LINES,
) -> str:
    """The results of one query: ``whole`` passages, or ``n_lines`` around the evidence.

    The ``remark`` is printed below.
    """
    parts = []
    if found.typed:
        parts.append(corrected(found, "\n(--literal"))
    if said := unclear(found):
        parts.append(terminal.styled(said, "1"))
    parts += [_faint(note, terminal) for note in notes(found)]
    if why:
        parts.append("\n".join(terminal.styled(line, FAINT) for line in _plan(found, terminal)))
    parts += ["\n".join(_result(hit, found.query, terminal, whole, why, n_lines)) for hit in found]
    parts += [_faint(note, terminal) for note in (outdated(found), remark) if note]
    return "\n\n".join(parts)


def _faint(note: str, terminal: Terminal) -> str:
    return "\n".join(terminal.styled(line, FAINT) for line in _wrapped(note, terminal.columns))


def corrected(found: SearchResults, as_typed: str) -> str:
    """What is said above the results of a corrected query; ``as_typed`` begins how to search as typed."""
    return (
        f"Showing results for: {one_line(found.query.text)}{as_typed} searches for: {one_line(found.typed)})"
    )


def unclear(found: SearchResults | Context) -> str:
    """What is said above results without a clear answer; "" for others."""
    if found.is_confident is not False or not found:
        return ""
    known = [one.relevance for one in found if isinstance(one, SearchResult) and one.relevance is not None]
    match = f" (best match {percent(max(known))})" if known else ""
    return f"No clear answer found. Closest passages{match}:"


def rating(hit: SearchResult) -> str:
    """The relevance of a result, or else its score."""
    return f"{hit.score:.3f}" if hit.relevance is None else f"{percent(hit.relevance):>4}"


def percent(relevance: float) -> str:
    """A relevance in whole percent, rounded down so that 39.9% is not shown as the least clear answer.

    >>> percent(0.399), percent(0.29)
    ('39%', '29%')
    """
    return f"{math.floor(100 * relevance + 1e-6)}%"


def notes(found: SearchResults) -> list[str]:
    """What a reader has to know of the query: its required, excluded and unknown words."""
    return [note for note in (_limits(found.query), _unknown(found)) if note] if found else []


def _limits(query: Query) -> str:
    """The required and excluded phrases: a query such as ``rm -rf build`` may not mean to exclude words."""
    sides = {"with": query.required, "without": query.excluded}
    said = []
    for side, phrases in sides.items():
        quoted = (f'"{phrase}"' if len(phrase.split()) > 1 else phrase for phrase in phrases)
        said += [f"{side}: {shortened(one_line(', '.join(quoted)))}"] if phrases else []
    them = "it" if sum(map(len, sides.values())) == 1 else "them"
    return f"Only passages {'; '.join(said)} (--literal treats {them} as text)" if said else ""


def _unknown(found: SearchResults) -> str:
    """The words that no passage has: what is near in meaning may be about something else."""
    words = [shortened(one_line(word)) for word in found.unknown_words]
    return f"No passage has the word{'s' * (len(words) > 1)}: {', '.join(words)}" if words else ""


def outdated(found: SearchResults) -> str:
    """What to do about files that are no longer as they were indexed."""
    if all(hit.file_state not in OUTDATED for hit in found):
        return ""
    return "(files have changed: minisearch index updates the index, query --refresh does so first)"


def _result(
    hit: SearchResult, query: Query, terminal: Terminal, whole: bool, why: bool, n_lines: int
) -> Iterator[str]:
    yield f"{hit.rank:>2}  {rating(hit)}  {place(hit, terminal)}"
    if hit.file_state in OUTDATED:
        yield INDENT + terminal.styled(OUTDATED[hit.file_state], FAINT)
    if heading := one_line(hit.full_heading):
        lines = _wrapped(heading, terminal.columns - len(INDENT))
        yield from (INDENT + terminal.styled(line, MAGENTA) for line in lines)
    yield from passage(hit, query, terminal, whole=whole, n_lines=n_lines)
    yield from _also(hit, terminal)
    if why:
        yield from (INDENT + terminal.styled(line, FAINT) for line in _reasons(hit))


def place(hit: SearchResult, terminal: Terminal) -> str:
    """``path:line:column`` of the evidence, ``path:line`` of the passage, or its page."""
    line, column, page = hit.at
    text = name_line(hit.place + (f":{column}" if hit.evidence and hit.place.endswith(f":{line}") else ""))
    return terminal.linked(terminal.styled(text, CYAN), hit.path, line, column, page_to_open(hit.path, page))


def page_to_open(path: str, page: int | None) -> int | None:
    """The page at which a viewer can open the file."""
    return page if format_of(path).name == "pdf" else None


def _also(hit: SearchResult, terminal: Terminal) -> Iterator[str]:
    """The other places of a merged result, each path once, as many in a line as fit."""
    places = _other_places(hit)
    lead, line, used = INDENT + "also: ", "", 0
    for before, text, place in places[:PLACES_SHOWN]:
        if used and len(lead) + used + len(before) + width(text) > terminal.columns:
            yield lead + line + before.rstrip()
            lead, line, used = " " * len(lead), "", 0
        before = before if used else ""
        page = page_to_open(place.path, place.page)
        line += before + terminal.linked(text, place.path, place.line, page=page)
        used += len(before) + width(text)
    n_more = len(places) - PLACES_SHOWN
    if places:
        yield lead + line + (f" and {n_more} more" if n_more > 0 else "")


def _other_places(hit: SearchResult) -> list[tuple[str, str, Place]]:
    """Each place with its text and what separates it from the one before it; those of its own file first."""
    line_of_hit, _, page_of_hit = hit.at
    names = {place_name(hit.path, line_of_hit, page_of_hit), hit.path}
    found: list[tuple[str, str, Place]] = []
    for path in dict.fromkeys([hit.path, *(place.path for place in hit.merged)]):
        here = [place for place in hit.merged if place.path == path]
        new = {place_name(path, one.line, one.page): one for one in reversed(here)}
        new = {
            name: new[name] for name in sorted(new, key=lambda name: (new[name].page or 0, new[name].line))
        }
        before = None
        for name in (name for name in new if name not in names):
            within = name.removeprefix(path)  # ":12", " p. 3", " sheet 2, row 14" or nothing
            kind = within.rstrip("0123456789")
            if kind == before:
                text = within.removeprefix(kind)
            elif before is not None:
                text = within.strip()
            elif path != hit.path:
                text = one_line(name)
            else:
                is_one = len(new.keys() - names) == 1
                text = within.replace(":", "line " if is_one else "lines ").strip()
            found.append((", " if kind == before else "; ", text, new[name]))
            before = kind
    return found


# --- CSV and Markdown -------------------------------------------------------------------------------

COLUMNS = ("rank", "relevance", "score", "path", "line", "page", "title", "heading", "text", "place")


def as_csv(found: SearchResults, *, query: str | None = None, has_header: bool = True) -> str:
    """A row for each result, which begins with the ``query`` in a batch; empty without results.

    ``line`` and ``page`` are those where the passage begins, ``place`` is that of the sentences that answer.
    """
    import csv  # a page needs neither
    import io

    before = [] if query is None else [printable(query)]
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    if has_header and found:
        rows.writerow(["query"] * len(before) + [*COLUMNS])
    for hit in found:
        values = hit.to_dict()
        cells = (values[name] for name in COLUMNS)
        rows.writerow(before + [printable(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()


def as_markdown(found: SearchResults, *, query: str | None = None) -> str:
    """A list of links to the results, each with its evidence, or its passage, as a quotation."""
    from urllib.parse import quote

    blocks = [] if query is None else [f"## {one_line(query)}"]
    if said := unclear(found):
        blocks.append(said)
    for hit in found:
        line, _, page = hit.at
        heading = one_line(hit.full_heading or PurePath(hit.path).name)
        label = heading.translate({ord(char): f"\\{char}" for char in r"\`*_[]<"})
        at_page = page_to_open(hit.path, page)
        link = f"{quote(hit.path, errors='surrogateescape')}#" + (
            f"page={at_page}" if at_page else f"L{line}"
        )
        rating = "" if hit.relevance is None else f", {percent(hit.relevance)}"
        blocks.append(f"{hit.rank}. [{label}]({link}) {one_line(hit.place)}{rating}")
        text = printable(hit.evidence.text if hit.evidence else hit.text).strip()
        blocks.append("\n".join(f"   > {line}".rstrip() for line in text.splitlines()))
    return "\n\n".join(blocks) + "\n" * bool(blocks)


# --- why --------------------------------------------------------------------------------------------


def _plan(found: SearchResults, terminal: Terminal) -> Iterator[str]:
    """How the search was done, in lines."""
    query = found.query
    rows = [("searched", f"{found.mode}: {shortened(query.text)!r}")]
    rows += [("steered", f"{weight:+g} {concept}") for concept, weight in query.steers]
    n = "" if found.n_matching is None else f" of the {found.n_matching:,} passages it leaves"
    if found.plan == "scan":
        rows.append(("filter", "exact scan" + n))
    elif found.plan:
        rows.append(("filter", f"{found.plan}: vector search until enough are found{n}"))
    if found.n_reranked:
        rows.append(("reranked", f"the first {found.n_reranked:,}; the others follow in their order"))
    for name, value in rows:
        first, *rest = _wrapped(one_line(value), terminal.columns - LABEL) or [""]
        yield f"{name:<{LABEL}}{first}"
        yield from (" " * LABEL + line for line in rest)


def _reasons(hit: SearchResult) -> Iterator[str]:
    """The ranks and scores of a result in each search step, in lines."""
    trace, rows = hit.trace, []
    if trace.cosine is not None:
        rows.append(("dense", f"{_rank(trace.dense_rank)}, cosine {trace.cosine:.3f}"))
    if trace.bm25 is not None:
        share = f", {trace.words:.0%} of a perfect match of the words" if trace.words is not None else ""
        rows.append(("lexical", f"{_rank(trace.lexical_rank)}, BM25 {trace.bm25:.2f}{share}"))
    elif trace.fused is not None:
        rows.append(("lexical", "none of the words"))
    if trace.exact is not None:
        rows.append(("exact", f"{trace.exact:.0%} of the query's exact tokens or its name"))
    if trace.fused is not None:
        before = trace.rank_before_rerank  # among all passages; the ranks of the results count merged ones
        rows.append(("fused", (f"{_rank(before)}, " if before else "") + f"{trace.fused:.3f}"))
    if trace.rerank is not None:
        rows.append(("rerank", f"score {trace.rerank:.3f}"))
    if hit.evidence is not None and hit.evidence.score is not None:
        rows.append(("evidence", f"cosine {hit.evidence.score:.3f}"))
    if hit.relevance is not None:
        rows.append(("relevance", f"{hit.relevance:.3f}"))
    yield from (f"{name:<{LABEL}}{value}" for name, value in rows)


def _rank(rank: int | None) -> str:
    return "not among the first" if rank is None else f"rank {rank}"


def _wrapped(text: str, columns: int) -> list[str]:
    return [line.text for line in wrap(Marked.plain(text), columns)]
