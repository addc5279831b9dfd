"""XLSX by openpyxl, row by row: a sheet a page, its name the heading."""

from __future__ import annotations

import datetime
from typing import Any

from minisearch.extract.archive import Archive, cleaned
from minisearch.extract.contents import Contents, Page
from minisearch.extract.office import take_properties


def take(data: bytes) -> Contents:
    """Every sheet's rows that hold something; of a formula the value it last had."""
    import openpyxl

    archive = Archive(data)
    contents = Contents(has_pages=True)
    take_properties(archive, contents)
    workbook = openpyxl.load_workbook(cleaned(archive), read_only=True, data_only=True)
    for sheet in workbook.worksheets:
        page = Page()
        contents.pages.append(page)
        page.add_text(sheet.title, [(0, 1, sheet.title)])
        sheet.reset_dimensions()  # what a sheet says of its size may be anything
        rows = [row for values in sheet.iter_rows(values_only=True) if (row := _words(values))]
        if rows:
            page.add_rows(rows)
    return contents


def _words(values: tuple[Any, ...]) -> list[str]:
    """A row's cells as words, without the empty ones at its end."""
    row = [_word(value) for value in values]
    while row and not row[-1]:
        row.pop()
    return row


def _word(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.15g}"  # what Excel keeps of a number
    if isinstance(value, datetime.datetime):
        is_day = value.time() == datetime.time()
        return value.date().isoformat() if is_day else value.isoformat(" ", "seconds")
    return str(value).strip()
