"""``minisearch models``: list the known checkpoints, show one of them, download one.

Names come in; tables, or JSON for scripts, go out.  Only ``show`` loads a model, and only ``download``
opens a network connection.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from minisearch import minilm
from minisearch.cli.options import json_option
from minisearch.cli.terminal import as_json_line, printable
from minisearch.errors import WeightsNotFound
from minisearch.minilm.catalog import CATALOG, Checkpoint, find
from minisearch.minilm.hub import Located, Place, download, locate
from minisearch.minilm.settings import CheckpointSettings

if TYPE_CHECKING:
    from minisearch.minilm.loader import LoadReport

HEADINGS = {
    "embedder": "embedders: texts to vectors",
    "cross-encoder": "cross-encoders: a query and a passage to a score",
    "encoder": "encoders: to be trained",
}
PLACES: dict[Place, str] = {
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
@click.argument("name")
@json_option
def show_model(name: str, as_json: bool) -> None:
    """Load a model and show its settings and weights.

    NAME is a name of the list, or a folder. Also shown: where the weights come from, and which tensors are
    not used. Nothing is downloaded.
    """
    located = locate(name, offline=True)
    settings = located.settings
    kind = minilm.SentenceTransformer if settings.n_labels is None else minilm.CrossEncoder
    report = kind.from_pretrained(name, device="cpu", dtype="float32", offline=True).report
    assert report is not None
    if as_json:
        found = {"name": located.name, "place": located.place, "settings": settings, "report": report}
        click.echo(as_json_line(found))
    else:
        for label, value in _facts(located, settings, report):
            click.echo(printable(f"{label:<12}{value}"))


@models.command("download")
@click.argument("name")
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


def _place(checkpoint: Checkpoint) -> Place | None:
    """Where a checkpoint is on this machine, None where it is absent."""
    try:
        return locate(checkpoint.name, offline=True).place
    except WeightsNotFound:
        return None


def _row(checkpoint: Checkpoint) -> dict[str, Any]:
    names = ("name", "kind", "about", "repository", "revision")
    return {name: getattr(checkpoint, name) for name in names} | {
        "n_layers": checkpoint.config.num_hidden_layers,
        "n_parameters": checkpoint.n_parameters,
        "place": _place(checkpoint),
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
                place = _place(checkpoint)
                yield (
                    f"  {checkpoint.name:<{width}}  {n_layers:>6}  {n / 1e6:>9.1f}M"
                    f"  {_megabytes(4 * n):>6}  {PLACES[place] if place else NOT_HERE:<15}{about}"
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
    yield "place", located.place
    yield "SHA-256", report.sha256
    yield "", VOUCHED[report.vouched_by]
    for name, why in report.ignored.items():
        yield "left out", f"{name}: {why}"


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.0f} MB"
