"""Words of English that hold a sentence together and say nothing of what it is about.

In a few pages most of them are as rare as a name; how common they are is known all the same.
"""

from __future__ import annotations

FUNCTION_WORDS = frozenset(
    """
    a an the this that these those such same own other another each every either neither both all any some
    no not nor only just also too very more most much many few less least
    i me my mine myself you your yours he him his she her hers it its itself we us our ours they them their
    theirs one ones someone something anyone anything
    who whom whose what which when where why how
    and or but if then else than as so because while although though until unless whether
    of in on at by for from to into onto with without within about above below under over between among
    through during before after against around up down out off again
    be am is are was were been being do does did doing done have has had having
    can could may might must shall should will would
    there here now ever never yet still
    get gets got let s t d m ll re ve
    """.split()  # noqa: SIM905 - one a line would be 160 lines
)
