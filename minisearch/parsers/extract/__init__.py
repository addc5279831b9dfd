"""Files that are no text, taken apart in a process of their own: bytes in, plain texts out.

PDF and the grammars of languages are large libraries, archives and XML hold more than they seem to, and a
file may be made to break any of them.  So nothing here is imported where an index is open:
``minisearch.parsers.sandbox`` starts ``minisearch.parsers.extract.child``, which holds nothing worth having
and may do next to nothing.  That is also why this room knows no other, and loads no library but the one that
a format needs.
"""
