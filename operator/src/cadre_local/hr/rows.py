"""The rows of an HR export, checked one by one: what is wrong is told with line, column and fix."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from cadre_api.data_classes import DataClass
from cadre_core.model import Problem

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "employee": ("employee", "employee id", "employee number", "personnel number", "id"),
    "name": ("name", "full name", "display name"),
    "email": ("email", "e-mail", "mail"),
    "unit": ("unit", "org unit", "department", "organisation", "organization"),
    "roles": ("roles", "role"),
    "manager": ("manager", "manager id", "reports to", "supervisor"),
    "subject": ("subject", "sub", "idp subject"),
    "issuer": ("issuer", "idp issuer"),
    "clearance": ("clearance", "clearances"),
    "end": ("end", "end date", "last day", "leaving date"),
}
"""Column -> the headings it may have; letter case, `_` and `-` do not matter."""
REQUIRED = ("employee", "name", "unit")
ROLES = ("Head", "Member", "Approver", "Auditor", "AgentRequester")
MOST_ROWS = 200_000
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_CLEARANCES = frozenset(data_class.value for data_class in DataClass)


@dataclass(frozen=True, slots=True)
class Employee:
    """One person of the export."""

    line: int
    id: str
    name: str
    email: str
    unit: tuple[str, ...]
    """Titles from the company down."""
    roles: tuple[str, ...]
    """Empty = not said."""
    manager: str
    """Id or e-mail; empty = not said."""
    issuer: str
    subject: str
    clearance: tuple[str, ...]
    end: date | None


def read_rows(file: str, text: str, issuer: str) -> tuple[tuple[Employee, ...], tuple[Problem, ...]]:
    """Everybody in the export, and every problem in it; `issuer` is for rows that name none."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if not any(line.strip() for line in lines):
        return (), (_problem(file, 1, "", "Empty", "the file is empty", "export it with a heading line"),)
    reader = csv.reader(lines, delimiter=_delimiter(lines[0]), strict=True)
    try:
        headings = next(reader)
    except csv.Error as error:
        return (), (_problem(file, 1, "", "BadCsv", str(error), "quote cells that hold quotes"),)
    columns, problems = _columns(file, headings)
    if problems:
        return (), tuple(problems)
    rows = _Rows(file, columns, issuer)
    rows.read(reader)
    return tuple(rows.found), tuple(rows.problems)


def _delimiter(heading: str) -> str:
    return max(",;\t|", key=heading.count)


def _columns(file: str, headings: list[str]) -> tuple[dict[str, int], list[Problem]]:
    known = {alias: name for name, aliases in COLUMNS.items() for alias in aliases}
    found: dict[str, int] = {}
    problems: list[Problem] = []
    for index, heading in enumerate(headings):
        name = known.get(re.sub(r"[_\-\s]+", " ", heading.strip().lower()).replace("e mail", "e-mail"))
        if name and name in found:
            told = f"columns {found[name] + 1} and {index + 1} are both {name}"
            problems.append(_problem(file, 1, heading, "DuplicateColumn", told, "keep one"))
        elif name:
            found[name] = index
    for name in REQUIRED:
        if name not in found:
            fix = f"add a column named one of: {', '.join(COLUMNS[name])}"
            problems.append(_problem(file, 1, name, "ColumnMissing", f"there is no column {name}", fix))
    return found, problems


class _Rows:
    def __init__(self, file: str, columns: Mapping[str, int], issuer: str) -> None:
        self._file = file
        self._columns = columns
        self._issuer = issuer
        self._seen: dict[tuple[str, str], int] = {}
        self.found: list[Employee] = []
        self.problems: list[Problem] = []

    def read(self, reader: Iterator[list[str]]) -> None:
        line = 2
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                self._refuse(line, "", "BadCsv", str(error), "quote cells that hold quotes or line ends")
                return
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                self._row(line, cells)
            if len(self.found) > MOST_ROWS:
                self._refuse(line, "", "TooLarge", f"more than {MOST_ROWS} rows", "split the export")
                return
            line = reader.line_num + 1  # type: ignore[attr-defined]  # the reader of csv has it

    def _row(self, line: int, cells: list[str]) -> None:
        row = {name: cells[i].strip() if i < len(cells) else "" for name, i in self._columns.items()}
        before = len(self.problems)
        for name in REQUIRED:
            if not row[name]:
                self._refuse(line, name, "CellEmpty", f"{name} is empty", "every row needs one")
        employee = Employee(
            line=line,
            id=row["employee"],
            name=row["name"],
            email=self._email(line, row.get("email", "")),
            unit=self._unit(line, row["unit"]),
            roles=self._choices(line, "roles", row.get("roles", ""), ROLES),
            manager=row.get("manager", ""),
            issuer=self._issuer_of(line, row.get("issuer", "")),
            subject=row.get("subject", "") or row["employee"],
            clearance=self._choices(line, "clearance", row.get("clearance", ""), tuple(sorted(_CLEARANCES))),
            end=self._date(line, row.get("end", "")),
        )
        self._unique(employee)
        if len(self.problems) == before:
            self.found.append(employee)

    def _unique(self, employee: Employee) -> None:
        keys = [("employee", employee.id), ("subject", f"{employee.issuer} {employee.subject}")]
        for column, value in keys:
            first = self._seen.setdefault((column, value), employee.line)
            if first != employee.line and value:
                told = f"{value!r} is in line {first} already"
                self._refuse(employee.line, column, "Duplicate", told, "one row per person")
                return

    def _email(self, line: int, value: str) -> str:
        if value and not _MAIL.fullmatch(value):
            self._refuse(line, "email", "BadEmail", f"{value!r} is no mail address", "correct or empty it")
        return value

    def _unit(self, line: int, value: str) -> tuple[str, ...]:
        parts = tuple(part.strip() for part in re.split(r"[/>]", value))
        if value and not all(parts):
            self._refuse(
                line, "unit", "BadUnit", f"{value!r} has an empty part", "write Company/Division/Unit"
            )
        return parts

    def _issuer_of(self, line: int, value: str) -> str:
        found = value or self._issuer
        if not found:
            fix = "pass --issuer URL, or add a column issuer"
            self._refuse(line, "issuer", "IssuerMissing", "nobody says who vouches for the person", fix)
        elif not found.startswith("https://"):
            self._refuse(
                line, "issuer", "BadIssuer", f"{found!r} is no https URL", "the identity provider's URL"
            )
        return found

    def _choices(self, line: int, column: str, value: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        by_lower = {name.lower(): name for name in allowed}
        found = []
        for word in filter(None, (part.strip() for part in re.split(r"[;,]", value))):
            if word.lower() in by_lower:
                found.append(by_lower[word.lower()])
            else:
                fix = f"use {', '.join(allowed)}; several with ;"
                self._refuse(line, column, "ValueNotSupported", f"{word!r} is not known", fix)
        return tuple(dict.fromkeys(found))

    def _date(self, line: int, value: str) -> date | None:
        try:
            return date.fromisoformat(value) if value else None
        except ValueError:
            self._refuse(line, "end", "BadDate", f"{value!r} is no date", "write YYYY-MM-DD")
            return None

    def _refuse(self, line: int, column: str, reason: str, message: str, fix: str) -> None:
        self.problems.append(_problem(self._file, line, column, reason, message, fix))


def _problem(file: str, line: int, column: str, reason: str, message: str, fix: str) -> Problem:
    return Problem("", f"column {column}" if column else "", reason, message, fix, file, line)
