"""Texts in another script than Latin, which an English model can hardly tell from one another.

The chunks of a document come in, a verdict goes out; a sample decides, so that it takes no time that shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from minisearch.types import Chunk

N_CHUNKS = 8  # at least, spread over the document, where it has as many
N_CHARACTERS = 200  # of each

# With accents, ligatures and full-width forms; the International Phonetic Alphabet too.
LATIN = r"A-Za-z\u00aa-\u02af\u1e00-\u1eff\u2c60-\u2c7f\ua722-\ua7ff\ufb00-\ufb06\uff21-\uff5a"
LETTER = re.compile(r"[^\W\d_]")
OTHER_LETTER = re.compile(rf"[^\W\d_{LATIN}]")


def is_in_another_script(chunks: Sequence[Chunk]) -> bool:
    """Whether most letters of a document are not Latin."""
    spread = chunks[:: max(1, len(chunks) // N_CHUNKS)]
    sample = "".join(chunk.text[:N_CHARACTERS] for chunk in spread)
    if sample.isascii():
        return False
    return 2 * len(OTHER_LETTER.findall(sample)) > len(LETTER.findall(sample))
