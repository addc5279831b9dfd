"""Texts in another script than Latin, which an English model can hardly tell from one another.

The chunks of a document come in, a verdict goes out; a sample decides, so that it takes no time that shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from minisearch.text import is_mostly_latin
from minisearch.types import Chunk

N_CHUNKS = 8  # at least, spread over the document, where it has as many
N_CHARACTERS = 200  # of each


def is_in_another_script(chunks: Sequence[Chunk]) -> bool:
    """Whether most letters of a document are not Latin."""
    spread = chunks[:: max(1, len(chunks) // N_CHUNKS)]
    return not is_mostly_latin("".join(chunk.text[:N_CHARACTERS] for chunk in spread))
