"""What an empty page means, and what to do about it.

An index, what was asked of it and its empty answer come in; one line for the user goes out.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from minisearch.cli.asked import is_there
from minisearch.cli.terminal import one_line

if TYPE_CHECKING:
    from minisearch.cli.asked import QueryOptions
    from minisearch.engine import MiniSearch
    from minisearch.results import SearchResults
    from minisearch.types import RunRecord

FIELDS_SHOWN = 8
HOW_IT_ENDED = {"failed": "failed", "interrupted": "was interrupted"}


def why_nothing(ms: MiniSearch, found: SearchResults, asked: QueryOptions) -> str:
    """Why there is no answer, and what would change that."""
    status = ms.status()
    if not status.n_chunks:
        return _nothing_indexed(status.last_run)
    operators = [f'the phrase "{one_line(phrase)}"' for phrase in found.query.required]
    operators += [f'not "{one_line(phrase)}"' for phrase in found.query.excluded]
    if limits := [*asked.limits(), *operators]:
        cures = [*_paths_elsewhere(asked), *_patterns(asked), *_unknown_languages(ms, asked)]
        cures += _unknown_fields(ms, asked)
        cures += ["--literal takes quotes and - in the query as text"] if operators else []
        return "; ".join([f"nothing in the index matches {' and '.join(limits)}", *cures])
    if asked.mode == "lexical":
        return "no passage has any of these words; --mode hybrid looks for what they mean"
    return "nothing in the index comes near that"


def _nothing_indexed(run: RunRecord | None) -> str:
    if run is not None and run.outcome == "running":
        roots = " ".join(map(one_line, run.roots))
        return f"a first run over {roots} is still going on; ask again when it has come further"
    if run is not None and run.outcome in HOW_IT_ENDED:
        roots = " ".join(map(one_line, run.roots))
        return (
            f"the index holds no documents: the last run, over {roots}, {HOW_IT_ENDED[run.outcome]}; "
            f"once more: minisearch index"
        )
    return "the index holds no documents; fill it with: minisearch index FOLDER"


def _paths_elsewhere(asked: QueryOptions) -> Iterator[str]:
    """Each path that begins with a folder that is not here: it may have been meant of the index's folder."""
    for pattern in asked.paths:
        first, _, rest = pattern.partition("/")
        if rest and not set(first) & set("*?[\\") and first and not is_there(first):
            anywhere = shlex.quote(one_line(f"**/{pattern}"))
            yield f"there is no {one_line(first)} in the current folder: --path {anywhere} looks everywhere"


def _patterns(asked: QueryOptions) -> Iterator[str]:
    """Each extension that was written as a pattern, or several as one."""
    for suffix in asked.extensions:
        if len(several := suffix.replace(",", " ").split()) > 1:
            each = " ".join(f"--ext {shlex.quote(one_line(one.lstrip('.')))}" for one in several)
            yield f"--ext takes one ending: {each}"
        if set(suffix) & set("*/"):
            yield "--ext takes the end of a name, as in md; --path takes patterns"


def _unknown_languages(ms: MiniSearch, asked: QueryOptions) -> Iterator[str]:
    """Each language that no document is in, with the one that may have been meant."""
    known = ms.languages() if asked.languages else []
    for name in asked.languages:
        if name.casefold() not in known:
            yield f"no document is in {one_line(name)}{_instead(name, known)}"


def _unknown_fields(ms: MiniSearch, asked: QueryOptions) -> Iterator[str]:
    """Each field of ``--where`` that no document has, with the one that may have been meant."""
    if asked.where is None:
        return
    from minisearch.filters import fields_of, parse_where

    known = ms.field_names()
    for name in fields_of(parse_where(asked.where)):
        if name.casefold() not in known:
            yield f"no document has a field {one_line(name)}{_instead(name, known)}"


def _instead(name: str, known: Sequence[str]) -> str:
    """The one that is spelt most like it, or else those there are."""
    if near := difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.6):
        return f": did you mean {one_line(near[0])}?"
    if not known:
        return ", or any other"
    n_more = len(known) - FIELDS_SHOWN
    more = f" and {n_more:,} more" if n_more > 0 else ""
    return f": there {'are' if len(known) > 1 else 'is'} {one_line(', '.join(known[:FIELDS_SHOWN]))}{more}"
