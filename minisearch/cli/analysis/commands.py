"""``minisearch cluster``, ``dups``, ``compare`` and ``similar``: what a collection holds.

One call of `MiniSearch` goes out, and what it found is printed, or written as a map.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minisearch.cli.options import (
    A_FILE,
    IndexChoice,
    complete_file,
    json_option,
    number,
    offline_option,
    with_index,
)
from minisearch.cli.query import query
from minisearch.cli.terminal import CYAN, FAINT, Terminal, as_json_line, name_line, one_line, shortened
from minisearch.errors import InputError, MinisearchError
from minisearch.results import place_name
from minisearch.text import count

if TYPE_CHECKING:
    from minisearch.analysis.clusters import Clusters
    from minisearch.analysis.comparison import Comparison
    from minisearch.analysis.copies import Duplicates, SharedText

SHOWN = 5  # documents of a cluster
PARTS_SHOWN = 20


@click.command()
@click.option("--min-size", **number(least=2), help="Documents of the smallest cluster.")
@click.option("--map", "map_file", metavar="FILE", type=A_FILE, help="Draw a map: FILE.html or FILE.png.")
@click.option("--all", "show_all", is_flag=True, help="List all documents of each cluster.")
@json_option
@with_index
def cluster(
    index: IndexChoice, min_size: int | None, map_file: Path | None, show_all: bool, as_json: bool
) -> None:
    """Find documents that are about the same thing.

    Each cluster is named by words that set it apart. The map in HTML has zoom and search, and works offline.
    Needs the extra analysis: pip install 'minisearch-local[analysis]'
    """
    if map_file is not None and map_file.suffix.lower() not in {".html", ".png"}:
        raise InputError(f"--map is {name_line(str(map_file))}: expected a name that ends with .html or .png")
    with index.open() as ms:
        found = ms.cluster(min_size=min_size)
    if map_file is not None:
        _write_map(found, map_file)
    click.echo(as_json_line(found) if as_json else "\n".join(_cluster_lines(found, show_all=show_all)))


def _write_map(found: Clusters, path: Path) -> None:
    from minisearch.analysis.map import html_map, save_png

    try:
        if path.suffix.lower() == ".png":
            save_png(found, path)
        else:
            path.write_text(html_map(found), encoding="utf-8")
    except OSError as error:
        raise MinisearchError(f"cannot write {name_line(str(path))}: {error.strerror}") from error
    click.echo(f"The map is in {name_line(str(path))}", err=True)


def _cluster_lines(found: Clusters, *, show_all: bool) -> Iterator[str]:
    terminal = Terminal.of_stdout()
    for one in found.clusters:
        yield (terminal.styled(one_line(one.label), "1") + f"  {count(len(one.documents), 'document')}")
        shown = one.documents if show_all else one.documents[:SHOWN]
        yield from (f"  {name_line(document.path)}" for document in shown)
        if len(shown) < len(one.documents):
            yield terminal.styled(f"  and {len(one.documents) - len(shown):,} more (--all)", FAINT)
        yield ""
    n = len(found.others)
    yield f"{count(len(found.clusters), 'cluster')}; {count(n, 'document')} in none"


@click.command()
@click.option(
    "--share",
    metavar="N",
    type=float,
    default=0.6,
    help="Copies share this part of the shorter.  [default: 0.6]",
)
@click.option("--words", **number(40), help="Least length of a shared part.")
@json_option
@with_index
def dups(index: IndexChoice, share: float, words: int, as_json: bool) -> None:
    """Find near copies, and parts that several documents share.

    In each group the document to keep comes first: the longest, or else the one changed last. Nothing is
    deleted. Documents with the same meaning in other words are no copies: see minisearch similar.
    """
    with index.open() as ms:
        found = ms.duplicates(least_share=share, least_words=words)
    click.echo(as_json_line(found) if as_json else "\n".join(_copy_lines(found)))


def _copy_lines(found: Duplicates) -> Iterator[str]:
    terminal = Terminal.of_stdout()
    for group in found.groups:
        yield f"keep  {terminal.styled(name_line(group.keep), CYAN)}"
        for one in group.copies:
            lines = ", ".join(_lines(span.other_line, span.other_end_line) for span in one.spans[:3])
            yield f"{one.share:4.0%}  {name_line(one.other)}" + (f"  lines {lines}" if lines else "")
        yield ""
    for one in found.parts[:PARTS_SHOWN]:
        yield from _part_lines(one)
    if len(found.parts) > PARTS_SHOWN:
        yield f"and {len(found.parts) - PARTS_SHOWN:,} more pairs that share a part (--json lists all)"
    n = sum(len(group.copies) for group in found.groups)
    parts = f"; {count(len(found.parts), 'pair')} of others share a part" if found.parts else ""
    copies = "1 near copy" if n == 1 else f"{n:,} near copies"
    yield f"{copies} of {count(len(found.groups), 'document')}{parts}"


def _part_lines(one: SharedText) -> Iterator[str]:
    yield "part  " + Terminal.of_stdout().styled(name_line(one.path), CYAN)
    for span in one.spans[:3]:
        yield (
            f"      lines {_lines(span.line, span.end_line)} are also in {name_line(one.other)}, lines "
            f"{_lines(span.other_line, span.other_end_line)}"
        )
    yield ""


def _lines(line: int, end_line: int) -> str:
    return f"{line}" if line == end_line else f"{line}-{end_line}"


@click.command()
@click.argument("a", type=A_FILE, shell_complete=complete_file)
@click.argument("b", type=A_FILE, shell_complete=complete_file)
@json_option
@offline_option
@with_index
def compare(index: IndexChoice, a: Path, b: Path, as_json: bool) -> None:
    """Print what B says that A does not.

    Sentences are compared by meaning, so other words for the same thing are no difference; other numbers are.
    Both files must be in the index.
    """
    with index.open() as ms:
        found = ms.compare(a, b)
    click.echo(as_json_line(found) if as_json else "\n".join(_comparison_lines(found)))


def _comparison_lines(found: Comparison) -> Iterator[str]:
    terminal = Terminal.of_stdout()
    heading = None
    for one in found.statements:
        if one.heading != heading:
            heading = one.heading
            yield terminal.styled(one_line(heading), "1")
        at = place_name(found.other, one.line, heading=one.heading)
        yield terminal.wrapped(f"{'+' if one.kind == 'new' else '~'} {one_line(one.text)}")
        yield terminal.styled(f"  {name_line(at)}", FAINT)
        if one.kind == "changed":
            at = name_line(place_name(found.path, one.nearest_line))
            said = f"  other numbers at {at}: {shortened(one_line(one.nearest))}"
            yield terminal.styled(said, FAINT)
    n = count(len(found.statements), "sentence")
    yield f"{n} of {found.n_sentences:,} in {name_line(found.other)} not in {name_line(found.path)}"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("place", metavar="FILE[:LINE]", shell_complete=complete_file)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF QUERY]")
@click.pass_context
def similar(context: click.Context, place: str, options: tuple[str, ...]) -> None:
    """Find passages that mean the same as a file does.

    With LINE, as its passage there. The same as minisearch query --like FILE, with its options.
    """
    with query.make_context("similar", ["--like", place, *options], parent=context.parent) as inner:
        query.invoke(inner)
