"""What lies on a PDF's page rather than in it: words filled into forms, comments, texts typed on top.

None of that belongs to the text of a page, to PDFium nor to pypdf.  A page comes in, a line for each remark
goes out, in the page's order.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdf import PageObject
    from pypdf.generic import DictionaryObject
    from pypdfium2 import PdfPage

MAX_REMARKS = 10_000  # of a page
MAX_LENGTH = 1_000_000  # bytes of one
PASSWORD = 1 << 13  # the flag of a field whose value is not shown either
TYPED = "/FreeText"  # an annotation that shows its text by itself


def remarks(page: PdfPage) -> list[str]:
    """The remarks on a page, by PDFium; values of fields only where the document's forms are initialised."""
    import pypdfium2.raw as pdfium

    form = page.formenv
    found: dict[str, None] = {}
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), MAX_REMARKS)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if annotation:
            try:
                found[_remark(annotation, form)] = None
            finally:
                pdfium.FPDFPage_CloseAnnot(annotation)
    return list(filter(None, found))


def _remark(annotation: object, form: object) -> str:
    import pypdfium2.raw as pdfium

    subtype = pdfium.FPDFAnnot_GetSubtype(annotation)
    if subtype == pdfium.FPDF_ANNOT_WIDGET:
        return _field(annotation, form) if form else ""
    if subtype == pdfium.FPDF_ANNOT_POPUP:  # says what its parent says
        return ""
    words = _string(lambda *room: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", *room))
    return _labelled("" if subtype == pdfium.FPDF_ANNOT_FREETEXT else "Comment", words)


def _field(annotation: object, form: object) -> str:
    """A field's name for people and what was filled in; of a box that is not ticked, nothing."""
    import pypdfium2.raw as pdfium

    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    is_box = kind in {pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON}
    is_empty = is_box and not pdfium.FPDFAnnot_IsChecked(form, annotation)
    is_secret = pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & PASSWORD
    is_filled = kind not in {pdfium.FPDF_FORMFIELD_PUSHBUTTON, pdfium.FPDF_FORMFIELD_SIGNATURE}
    if is_empty or not is_filled or (is_secret and kind == pdfium.FPDF_FORMFIELD_TEXTFIELD):
        return ""
    name, label, value = (
        _string(lambda *room, get=get: get(form, annotation, *room))
        for get in (
            pdfium.FPDFAnnot_GetFormFieldName,
            pdfium.FPDFAnnot_GetFormFieldAlternateName,
            pdfium.FPDFAnnot_GetFormFieldValue,
        )
    )
    if kind == pdfium.FPDF_FORMFIELD_LISTBOX:
        value = ", ".join(_chosen(annotation, form)) or value
    return _labelled(label or name, value)


def _chosen(annotation: object, form: object) -> Iterator[str]:
    """What is chosen from a list; as a value PDFium gives the first only."""
    import pypdfium2.raw as pdfium

    for index in range(min(pdfium.FPDFAnnot_GetOptionCount(form, annotation), MAX_REMARKS)):
        if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, index):
            yield _string(
                lambda *room, index=index: pdfium.FPDFAnnot_GetOptionLabel(form, annotation, index, *room)
            )


def _string(get: Callable[..., int]) -> str:
    """A text in UTF-16, from a function that tells its length first."""
    import pypdfium2.raw as pdfium

    n_bytes = get(None, 0)
    if not 2 < n_bytes <= MAX_LENGTH:
        return ""
    room = ctypes.create_string_buffer(n_bytes)
    get(ctypes.cast(room, ctypes.POINTER(pdfium.FPDF_WCHAR)), n_bytes)
    return room.raw[: n_bytes - 2].decode("utf-16-le", "replace")


def remarks_by_pypdf(page: PageObject) -> list[str]:
    """The same by pypdf."""
    return list(dict.fromkeys(filter(None, islice(_by_pypdf(page), MAX_REMARKS))))


def _by_pypdf(page: PageObject) -> Iterator[str]:
    for annotation in page.get("/Annots") or ():
        with suppress(Exception):  # of this one; whatever is wrong with it, the others are worth having
            yield _remark_by_pypdf(annotation.get_object())


def _remark_by_pypdf(annotation: DictionaryObject) -> str:
    subtype = annotation.get("/Subtype")
    if subtype == "/Widget":
        return _field_by_pypdf(annotation)
    if subtype == "/Popup":
        return ""
    return _labelled("" if subtype == TYPED else "Comment", str(annotation.get("/Contents") or ""))


def _field_by_pypdf(widget: DictionaryObject) -> str:
    field = widget if "/FT" in widget else widget.get("/Parent", widget).get_object()
    value = _value(field["/V"]) if "/V" in field else ""
    flags, kind = field.get("/Ff", 0), field.get("/FT")
    if kind == "/Sig" or (kind == "/Tx" and flags & PASSWORD):
        return ""
    if kind == "/Btn" and (value in {"", "/Off"} or widget.get("/AS") == "/Off"):
        return ""
    return _labelled(str(field.get("/TU") or field.get("/T") or ""), value.removeprefix("/"))


def _value(value: object) -> str:
    """A field's value in words: a text may be kept as a stream, and of a list several may be chosen."""
    from pypdf.generic import ArrayObject, StreamObject

    if isinstance(value, ArrayObject):
        return ", ".join(map(str, value))
    if isinstance(value, StreamObject):
        return value.get_data().decode("utf-8", "replace")
    return str(value or "")


def _labelled(label: str, words: str) -> str:
    words = words.replace("\r\n", "\n").replace("\r", "\n").strip()
    label = " ".join(label.split())
    return f"{label}: {words}" if label and words else words
