"""Cells of a workbook to words: numbers as dates, times or shares where their format says so.

A workbook keeps a date as the number of days since the last one of 1899, or since 1904 begins.  Other formats
only say how many digits are shown; those that are kept are worth more.
"""

from __future__ import annotations

import datetime
import re
from enum import Enum

NOT_PART = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
BUILT_IN_DATES = {*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)}
MAX_DAYS = 2_958_466  # the year 10000 begins


class Format(Enum):
    """What a number is, by its format."""

    NUMBER = "number"
    DATE = "date"
    ELAPSED = "elapsed"
    SHARE = "share"


def format_of(code: int, spelt: str = "") -> Format:
    """The format with this number, or spelt so where it is the workbook's own."""
    if not spelt:
        if code in {9, 10}:
            return Format.SHARE
        return Format.ELAPSED if code == 46 else Format.DATE if code in BUILT_IN_DATES else Format.NUMBER
    first = NOT_PART.sub("", spelt.split(";")[0])
    if ELAPSED.search(first):
        return Format.ELAPSED
    if re.search("[dmhys]", first, re.IGNORECASE) and "general" not in first.lower():
        return Format.DATE
    return Format.SHARE if "%" in first else Format.NUMBER


def number(words: str) -> str:
    """A number with as many digits as Office keeps of it; other words as they are."""
    if words.isdecimal():
        return words
    try:
        return f"{float(words):.15g}"
    except ValueError:
        return words


def said(value: str, format_: Format, *, is_1904: bool = False) -> str:
    """A number as its format has it: 45351 is 2024-02-29, 0.125 is 12.5%."""
    if format_ is Format.NUMBER:
        return number(value)
    try:
        amount = float(value)
    except ValueError:
        return value
    if format_ is Format.SHARE:
        return f"{100 * amount:.15g}%"
    if not 0 <= amount < MAX_DAYS:
        return number(value)
    return _elapsed(amount) if format_ is Format.ELAPSED else _date(amount, is_1904)


def _elapsed(days: float) -> str:
    minutes, seconds = divmod(round(days * 86_400), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _date(days: float, is_1904: bool) -> str:
    seconds = round((days % 1) * 86_400)
    if days < 1:  # a time without a day, whichever day is the first
        return (datetime.datetime.min + datetime.timedelta(seconds=min(seconds, 86_399))).time().isoformat()
    first = datetime.datetime(1904, 1, 1) if is_1904 else datetime.datetime(1899, 12, 30)
    if not is_1904 and days < 60:  # 1900 was a leap year to the first of these programs, and so to all
        first += datetime.timedelta(days=1)
    try:
        moment = first + datetime.timedelta(days=int(days), seconds=seconds)
    except OverflowError:
        return number(str(days))
    return moment.date().isoformat() if moment.time() == datetime.time() else moment.isoformat(" ", "seconds")
