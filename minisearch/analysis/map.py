"""The map of clusters as a file: an HTML page that loads nothing from anywhere, or a PNG."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import asdict
from hashlib import sha256
from importlib import resources
from pathlib import Path

from minisearch.analysis.clusters import Clusters
from minisearch.errors import MinisearchError, install_line
from minisearch.text import count

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src {script_hash};
 style-src {style_hash}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<div class="map" id="map"></div>
<script type="module">{script}</script>
</body>
</html>
"""
STYLE = """:root { color-scheme: light dark; --paper: #fff; --raised: #fff; --ink: #16191d; --soft: #4c545e;
 --faint: #626a74; --line: #e3e6ea; --strong-line: #8a929c; --accent: #2f49d1;
 --shadow: 0 8px 24px rgb(0 0 0 / .15); }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --raised: #1f2329; --ink: #edeff2;
 --soft: #bcc3cc; --faint: #98a1ac; --line: #2c323a; --strong-line: #77818d; --accent: #93a5ff; } }
body { margin: 0 auto; max-width: 1200px; padding: 16px; color: var(--ink); background: var(--paper);
 font: 14px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 12px; font-size: 20px; }
"""


def html_map(clusters: Clusters) -> str:
    """A page with the map: zoom, hover, search, and the documents of each cluster."""
    folder = resources.files("minisearch.analysis")
    script = (folder / "map.js").read_text(encoding="utf-8").replace("export function", "function")
    data = json.dumps(asdict(clusters)).replace("<", "\\u003c")
    script = f"\n{script}\ndrawMap(document.getElementById('map'), {data});\n"
    style = STYLE + (folder / "map.css").read_text(encoding="utf-8")
    title = f"{_n_documents(clusters)} in {count(len(clusters.clusters), 'cluster')}"
    hashes = {"script_hash": _hash(script), "style_hash": _hash(style)}
    return PAGE.format(title=title, style=style, script=script, **hashes)


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _n_documents(clusters: Clusters) -> str:
    return count(sum(len(one.documents) for one in clusters.clusters) + len(clusters.others), "document")


def save_png(clusters: Clusters, path: Path) -> None:
    """Draw the map; MinisearchError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MinisearchError(f"a PNG needs matplotlib: {install_line('eval')}") from error
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots()
    axes.scatter(
        [one.x for one in clusters.others],
        [-one.y for one in clusters.others],
        s=12,
        color="#adb5bd",
        label="",
    )
    for number, cluster in enumerate(clusters.clusters):
        xs, ys = [one.x for one in cluster.documents], [-one.y for one in cluster.documents]
        axes.scatter(xs, ys, s=22, color=f"C{number % 10}")
        middle = sorted(xs)[len(xs) // 2], sorted(ys)[len(ys) // 2]
        axes.annotate(
            cluster.label.encode("utf-8", "replace").decode(),
            middle,
            parse_math=False,
            fontsize=9,
            ha="center",
            va="bottom",
            xytext=(0, 5),
            textcoords="offset points",
        )
    axes.set_axis_off()
    axes.set_title(f"{_n_documents(clusters)} in {count(len(clusters.clusters), 'cluster')}")
    figure.savefig(path, dpi=130)
