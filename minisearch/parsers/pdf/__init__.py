"""PDF: the bytes of a file go in, its pages of paragraphs and headings come out."""

from minisearch.parsers.pdf.document import extract

__all__ = ["extract"]
