"""Tables for spreadsheets: CSV (RFC 4180) in which no cell can act as a formula."""

import csv
import io
from collections.abc import Iterable

HEADERS = {"Content-Type": "text/csv; charset=utf-8; header=present"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as CSV, each ended by CR LF."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return text.getvalue().encode()


def _cell(value: object) -> object:
    """What a spreadsheet would compute is quoted; figures stay figures."""
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return "" if value is None else value


def _is_number(text: str) -> bool:
    return text[1:].replace(".", "", 1).isdecimal() and text.isascii()
