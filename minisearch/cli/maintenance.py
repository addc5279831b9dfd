"""``verify``, ``rollback``, ``backup``, ``restore`` and ``models``: look after an index and the known models.

Options come in, one call of `MiniSearch` goes out, and its outcome is printed.  Of the commands of ``models``
only ``show`` loads a model, and only ``download`` opens a network connection.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minisearch import minilm
from minisearch.cli.options import (
    A_FILE,
    IndexChoice,
    complete_model,
    json_option,
    number,
    offline_option,
    with_index,
)
from minisearch.cli.terminal import as_json_line, one_line, printable, size
from minisearch.errors import WeightsNotFound
from minisearch.minilm.catalog import CATALOG, Checkpoint, find
from minisearch.minilm.hub import FoundIn, Located, download, locate
from minisearch.minilm.settings import CheckpointSettings, static_folder
from minisearch.paths import index_here
from minisearch.text import count

if TYPE_CHECKING:
    from minisearch.minilm.loader import LoadReport
    from minisearch.types import Verification

HEADINGS = {
    "embedder": "embedders: texts to vectors",
    "cross-encoder": "cross-encoders: a query and a passage to a score",
    "encoder": "encoders: to be trained",
}
FOUND_IN: dict[FoundIn, str] = {
    "folder here": "folder",
    "$LLM_MODELS_PATH": "models path",
    "installed package": "package",
    "Hugging Face cache": "cache",
}
NOT_HERE = "not here"
VOUCHED = {
    "catalog": "verified: equal to the catalog's",
    "hub": "verified: equal to the hub's",
    "": "not verified: no hash is known",
}

file_argument = click.argument("file", type=A_FILE)


@click.command()
@click.option("-n", "n", **number(20), help="Documents to check.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the sample.")
@offline_option
@json_option
@with_index
def verify(index: IndexChoice, n: int, seed: int, as_json: bool) -> None:
    """Check the index, and compare a sample of it with its files.

    The whole database is checked, and the vector index against it. A sample of the documents is read, split
    and embedded again: passages, vectors and rankings must be the same. Exit code 1 when anything differs.
    """
    with index.open() as ms:
        found = ms.verify(n, seed=seed)
    click.echo(as_json_line(found) if as_json else _verification_text(found))
    if found.problems:
        raise SystemExit(1)


def _verification_text(found: Verification) -> str:
    lines = [one_line(f"problem    {problem}") for problem in found.problems]
    lines.append(
        f"database   {count(found.n_documents, 'document')}, {count(found.n_chunks, 'chunk')}: all checked"
    )
    changed = f"; {found.n_changed:,} not compared, changed or deleted since" if found.n_changed else ""
    closed = (
        f"; {found.n_closed:,} not opened: their folder is not named to this index at its present place; "
        f"to name it: minisearch index PATH"
        if found.n_closed
        else ""
    )
    lines.append(f"files      {count(found.n_read, 'document')} read and split again{changed}{closed}")
    if found.n_embedded:
        embedded = (
            f"{count(found.n_embedded, 'passage')} embedded again, cosine {found.least_cosine:.4f} or more"
        )
        lines.append(f"vectors    {embedded}; the index finds {found.recall:.1%} of the exact ten nearest")
    if found.problems:
        last = "Problems found: see above"
    elif found.n_read or not (found.n_changed or found.n_closed):
        last = "All checks passed"
    else:
        last = "All other checks passed, but no file could be compared with the index: see above"
    return "\n".join([*lines, last])


@click.command()
@with_index
def rollback(index: IndexChoice) -> None:
    """Undo the last change of the index.

    Your files are not changed. Run it again to redo the change.
    """
    with index.open() as ms:
        undone = ms.rollback()
    here = index.argument
    done = [
        f"{count(n, 'document')} {what}"
        for n, what in (
            (undone.removed, "removed"),
            (undone.added, "restored"),
            (undone.updated, "back to the earlier version"),
        )
        if n
    ]
    click.echo(
        f"Undone: {', '.join(done) or 'no document differs'}. Run 'minisearch rollback{here}' again to redo; "
        f"the next 'minisearch index{here}' brings the index up to date with the files"
    )


@click.command()
@file_argument
@with_index
def backup(index: IndexChoice, file: Path) -> None:
    """Copy the whole index into one file.

    Others may read and write meanwhile. "minisearch restore FILE" makes an index of it again.
    """
    with index.open() as ms:
        ms.backup(file)
        n = ms.status().n_documents
    click.echo(f"Copied {count(n, 'document')} to {file} ({size(file.stat().st_size)})")


@click.command()
@file_argument
@with_index
def restore(index: IndexChoice, file: Path) -> None:
    """Make an index from a backup.

    The index is made in .minisearch here, or in the folder of --index; there must be none yet. It looks for
    its files from the folder that contains it, as before the backup.
    """
    with index.open(default=index_here) as ms:
        n_absent = ms.restore(file)
        found = ms.status()
    click.echo(f"Restored {count(found.n_documents, 'document')} into {found.path}")
    if n_absent:
        click.echo(
            f"Note: {n_absent:,} of their files do not exist below {Path(found.path).absolute().parent}: "
            f"queries work, but these paths do not open. Keep an index beside the files that it was made of",
            err=True,
        )


# --- models ------------------------------------------------------------------------------------------


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the known models.

    The list shows where on this machine their weights are.
    """
    if ctx.invoked_subcommand is not None:
        return
    if as_json:
        click.echo(as_json_line([_row(checkpoint) for checkpoint in CATALOG.values()]))
    else:
        click.echo("\n".join(_table()))


@models.command("show")
@click.argument("name", shell_complete=complete_model)
@json_option
def show_model(name: str, as_json: bool) -> None:
    """Load a model and show its settings and weights.

    NAME is a name of the list, or a folder. Also shown: where the weights come from, and which tensors are
    not used. Nothing is downloaded.
    """
    located = locate(name, offline=True)
    if static_folder(located.folder):
        found, rows = _static_model(located)
    else:
        settings = located.settings
        kind = minilm.SentenceTransformer if settings.n_labels is None else minilm.CrossEncoder
        report = kind.from_pretrained(name, device="cpu", dtype="float32", offline=True).report
        assert report is not None
        found, rows = {"settings": settings, "report": report}, [*_facts(located, settings, report)]
    if as_json:
        click.echo(as_json_line({"name": located.name, "place": located.found_in, **found}))
    else:
        click.echo(printable("\n".join(f"{label:<12}{value}" for label, value in rows)))


@models.command("download")
@click.argument("name", shell_complete=complete_model)
@click.option("--offline", is_flag=True, help="Never open a network connection: only verify.")
@json_option
def download_model(name: str, offline: bool, as_json: bool) -> None:
    """Download a model into the Hugging Face cache, and verify it.

    A model that is here already is only verified.
    """
    located, is_new = download(name, offline=offline)
    if as_json:
        found = {"name": located.name, "folder": str(located.folder.resolve()), "downloaded": is_new}
        click.echo(as_json_line(found | {"sha256": located.sha256, "vouched_by": located.vouched_by}))
        return
    done = "Downloaded" if is_new else "Here already:"
    click.echo(printable(f"{done} {located.name} ({located.folder.resolve()})"))
    click.echo(f"SHA-256 {VOUCHED[located.vouched_by]}")


def _found_in(checkpoint: Checkpoint) -> FoundIn | None:
    """Where a checkpoint is on this machine, None where it is absent."""
    try:
        return locate(checkpoint.name, offline=True).found_in
    except WeightsNotFound:
        return None


def _row(checkpoint: Checkpoint) -> dict[str, Any]:
    names = ("name", "kind", "about", "repository", "revision")
    return {name: getattr(checkpoint, name) for name in names} | {
        "n_layers": checkpoint.config.num_hidden_layers,
        "n_parameters": checkpoint.n_parameters,
        "place": _found_in(checkpoint),
    }


def _table() -> Iterator[str]:
    """The list, with descriptions where the terminal is wide enough."""
    width = max(map(len, CATALOG))
    n_columns = width + 49 + max(len(checkpoint.about) for checkpoint in CATALOG.values())
    is_wide = shutil.get_terminal_size().columns >= n_columns
    yield f"{'':<{width + 2}}  layers  parameters    size  where"
    for kind, heading in HEADINGS.items():
        yield heading
        for checkpoint in CATALOG.values():
            if checkpoint.kind == kind:
                about = f"  {checkpoint.about}" if is_wide else ""
                n, n_layers = checkpoint.n_parameters, checkpoint.config.num_hidden_layers
                found_in = _found_in(checkpoint)
                yield (
                    f"  {checkpoint.name:<{width}}  {n_layers:>6}  {n / 1e6:>9.1f}M"
                    f"  {_megabytes(4 * n):>6}  {FOUND_IN[found_in] if found_in else NOT_HERE:<15}{about}"
                ).rstrip()


def _facts(located: Located, settings: CheckpointSettings, report: LoadReport) -> Iterator[tuple[str, str]]:
    """A loaded model as labels and values."""
    config, checkpoint = settings.config, find(located.name)
    yield "name", located.name
    if checkpoint is not None:
        yield "about", checkpoint.about
        yield "repository", f"{checkpoint.repository} at {checkpoint.revision}"
    yield (
        "layers",
        f"{config.num_hidden_layers}, {config.hidden_size} wide, {config.num_attention_heads} heads",
    )
    yield "vocabulary", f"{config.vocab_size:,} tokens"
    yield "max length", f"{settings.max_length} tokens"
    if settings.n_labels is None:
        yield "pooling", settings.pooling
        for name, prompt in settings.prompts.items():
            yield "prompt", f"{name}: {prompt!r}"
    else:
        yield "scores", f"{settings.n_labels} per pair, {settings.activation}"
    yield "parameters", f"{report.n_parameters:,} in {report.n_tensors} tensors, {', '.join(report.dtypes)}"
    yield "weights", f"{_megabytes(report.n_bytes)}, {report.format}"
    yield "source", report.source
    yield "place", located.found_in
    yield "SHA-256", report.sha256
    yield "", VOUCHED[report.vouched_by]
    for name, why in report.ignored.items():
        yield "left out", f"{name}: {why}"


def _static_model(located: Located) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """A static model for JSON, and as labels and values."""
    model = minilm.StaticEncoder.from_pretrained(str(located.folder))
    size, dimension = model.table.shape
    source, sha256, n_parameters = str(located.weights), model.weights_sha256, model.table.size
    return {
        "settings": {"kind": "static", "vocab_size": size, "dimension": dimension},
        "report": {"source": source, "sha256": sha256, "n_parameters": n_parameters},
    }, [
        ("name", model.name),
        ("layers", f"none: a static model, {dimension} wide"),
        ("vocabulary", f"{size:,} tokens"),
        ("parameters", f"{n_parameters:,}"),
        ("source", source),
        ("SHA-256", sha256),
    ]


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.0f} MB"
