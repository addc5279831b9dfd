"""Search your own files by meaning, offline.

>>> from minisearch import MiniSearch  # doctest: +SKIP
>>> ms = MiniSearch.open(".")  # doctest: +SKIP
>>> ms.index("docs")  # doctest: +SKIP
>>> ms.query("how do I retry a failed task")  # doctest: +SKIP

Importing this is cheap: every name below is imported at its first use.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's; what is imported here delays the handling of Ctrl-C (see `__main__`)
if TYPE_CHECKING:
    from minisearch.engine import MiniSearch
    from minisearch.errors import MinisearchError
    from minisearch.manifest import Settings
    from minisearch.minilm import SentenceTransformer
    from minisearch.results import Query, SearchResult, SearchResults
    from minisearch.types import IndexStatus, IngestReport, TextDocument

__version__ = "0.1.0"

__all__ = [
    "IndexStatus",
    "IngestReport",
    "MiniSearch",
    "MinisearchError",
    "Query",
    "SearchResult",
    "SearchResults",
    "SentenceTransformer",
    "Settings",
    "TextDocument",
]

_MODULES = {
    "IndexStatus": "types",
    "IngestReport": "types",
    "MiniSearch": "engine",
    "MinisearchError": "errors",
    "Query": "results",
    "SearchResult": "results",
    "SearchResults": "results",
    "SentenceTransformer": "minilm",
    "Settings": "manifest",
    "TextDocument": "types",
}
_OLD_NAMES = {"Question": "Query"}


def __getattr__(name: str) -> object:
    new_name = _OLD_NAMES.get(name, name)
    if new_name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # for the reason above

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[new_name]}"), new_name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
