"""Lines of a passage that are no prose: code by its form, fences and directives of markup, front matter.

Lines or a text come in; what they are comes out.  Used to find sentences and to print passages, so that both
agree.  Importing this is cheap: a query that a server answers prints passages too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from minisearch.text import LINE_BREAK, LIST_MARKER, front_matter

FENCE = re.compile(r"[ \t]*(`{3,}(?!.*`)|~{3,})[ \t]*(\S*)")
DIRECTIVE = re.compile(r"[ \t]*\.\.[ \t]+([\w:-]+)::(?:[ \t]+\S*)?[ \t]*")  # reStructuredText's
CODE_DIRECTIVES = frozenset(  # what is indented below other directives is read as prose
    """
    code code-block sourcecode parsed-literal literalinclude highlight prompt ipython testcode testoutput
    testsetup testcleanup doctest raw math productionlist graphviz digraph mermaid toctree
    """.split()  # noqa: SIM905 - one per line would be 18 lines
)
STOPS = tuple(".!?,;:-。！？、，")
ITEM = re.compile(rf"\s*{LIST_MARKER}\s+")
# A fence, the mark of an item, or the end of a sentence within the line.
NO_RECORD = re.compile(rf"^(?:`{{3}}|~{{3}})|^{ITEM.pattern}|\w{{3}}[.!?]\s")
WRAPPED_FROM = 60  # columns: few texts are wrapped at fewer
FIELD = re.compile(r"[ \t]+\S|[\w\"'][\w .\"'/-]*[:=]|-(?:[ \t]|$)|[#\[\]{}]|[ \t]*$")

# A line that looks like code: by its end, as a key or an assignment, by its first word.  A paragraph is code
# only if most of its lines are, so that prose wrapped at "for" or at a bracket is not split into lines.
CODE_LINE = re.compile(
    r"""\s*(?: .*[{};\\(\[]\s*$ | .*\):?\s*$
      | (?:-[ ])?[\w."'$\[\]-]+ (?: :(?:[ ]+\S+)? | \s*[-+*/|&:]?=\s.* ) \s*$
      | (?:def|class|return|import|from\s\S+\simport|raise|const|let|var|function|func|fn|pub|public|private
          |static|void|int|struct|sudo|export|SELECT|FROM|WHERE|INSERT|CREATE)\b
      | (?:if|elif|else|for|while|try|except|with)\b.*:\s*$
      | [@$]\s?\w | >>> | //|/\*|--\s )""",
    re.VERBOSE,
)


def end_of_fields(text: str) -> int:
    """Where the front matter ends that a passage begins with; 0 where it begins with none.

    Between two rules inside a document anything may stand, so each line must look like a field.
    """
    found = front_matter(text)
    if found is None or not all(map(FIELD.match, LINE_BREAK.split(found["body"]))):
        return 0
    return len(found[0].rstrip("\r\n"))


def fence_before(lines: Sequence[str]) -> str:
    """The fence opened before the passage: its last fence is open, and its first names no language."""
    first, fence = None, ""
    for above, line in pairwise(["", *lines]):
        before, fence = fence, fence_after(line, fence, above)
        if fence != before and first is None:
            first = FENCE.match(line)
    return first[1] if first and fence and not first[2] else ""


def fence_after(line: str, fence: str, above: str) -> str:
    """The fence that is open after a line, given the one open before it; empty where none is.

    A line of one repeated sign below a title of at most its length is an underline, and opens none.
    """
    found = FENCE.match(line)
    n_signs = len(line.rstrip())
    if found is None or (not fence and n_signs > 3 and not found[2] and 0 < len(above.strip()) <= n_signs):
        return fence
    if not fence:
        return found[1]
    return "" if found[1].startswith(fence) and not found[2] else fence


def is_row(line: str) -> bool:
    """Whether it is a row of a table as parsers write it: "Keys; Deposit: 50; Due: March"."""
    cells = line.split("; ")
    return len(cells) > 1 and all(": " in cell for cell in cells[1:])


def is_line_by_line(lines: Sequence[str]) -> bool:
    """Whether a paragraph is a list without marks, such as a log or a slide, not wrapped prose.

    Each line begins with a capital, a digit or the same bracket, which is rare for three wrapped lines; if
    there are only two, they end without a stop too.  Else `_are_records` decides.
    """
    firsts = [line.lstrip()[0] for line in lines]
    is_begun = all(first.isupper() or first.isdigit() for first in firsts)
    if len(lines) > 2:
        is_bracket = {*firsts} in ({"["}, {"("})
        return is_begun or is_bracket or _are_records(lines)
    return is_begun and not any(line.rstrip().endswith(STOPS) for line in lines)


def _are_records(lines: Sequence[str]) -> bool:
    """Whether lines of one indentation, without marks and sentences, were not wrapped.

    Most end where the next word had room, and few with a stop; or they are short, and none does.
    """
    columns = max(map(len, lines))
    rows = [line.strip() for line in lines]
    is_even = len({len(line) - len(line.lstrip()) for line in lines}) == 1
    if not is_even or rows[-1].endswith(STOPS) or any(map(NO_RECORD.search, rows)):
        return False
    n_stops = sum(row.endswith(STOPS) for row in rows)
    n_with_room = sum(
        len(above) + 1 + len(below.split(None, 1)[0]) <= columns for above, below in pairwise(rows)
    )
    is_ragged = 2 * n_with_room > len(rows) - 1 and 4 * n_stops <= len(rows)
    return is_ragged or (not n_stops and columns < WRAPPED_FROM)
