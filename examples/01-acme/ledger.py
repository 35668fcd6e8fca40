"""Acme's ledger as an MCP server (stdio): a small, real system of record for the tool gateway to call.

It knows nothing of Cadre. It books what it is told, once per idempotency key, and keeps everything in one
SQLite file. `wire_transfer` stands for systems that cannot be asked twice: the bank takes the order and
answers later.

Environment: LEDGER_FILE (state; default `acme-ledger.db` in the user's state directory),
LEDGER_BANK_SECONDS (how long the bank takes to confirm a transfer; default 0).
"""

import json
import os
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

SCHEMA = """
create table if not exists budgets (
  department text primary key, allotted integer not null, committed real not null,
  account text not null, card text not null, contact text not null, email text not null, phone text not null);
create table if not exists entries (
  id integer primary key, key text unique, department text not null, amount real not null,
  memo text not null, iban text not null);
create table if not exists transfers (
  id integer primary key, amount real not null, iban text not null, beneficiary text not null,
  reference text not null, confirmed integer not null default 0);
"""
CONTACT = ("Miguel Ruiz", "m.ruiz@acme.example", "+49 30 23125 014")
BUDGETS = (
    ("marketing", 4_200_000, 960_000, "DE89370400440532013000", "5555 5555 5555 4444", *CONTACT),
    ("engineering", 9_000_000, 4_100_000, "DE02120300000000202051", "5105 1051 0510 5100", *CONTACT),
    ("support", 2_400_000, 1_205_000, "DE02500105170137075030", "5200 8282 8282 8210", *CONTACT),
    ("hr", 1_500_000, 612_000, "DE02100500000054540402", "5200 8282 8282 8210", *CONTACT),
    ("legal", 1_800_000, 770_000, "DE02300209000106531065", "5105 1051 0510 5100", *CONTACT),
)

Arguments = Mapping[str, object]


class LedgerError(Exception):
    """The ledger refuses; the message tells the caller why."""


class Ledger:
    """The books, in one file."""

    def __init__(self, path: Path, bank_seconds: float) -> None:
        """Open or create the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(f"pragma journal_mode = wal; {SCHEMA}")
        self._db.executemany("insert or ignore into budgets values (?, ?, ?, ?, ?, ?, ?, ?)", BUDGETS)
        self._bank_seconds = bank_seconds

    async def read_budget(self, arguments: Arguments, _: str) -> dict[str, object]:
        """Say what a department may spend and whom to ask."""
        department = str(arguments["department"]).strip().lower()
        row = self._db.execute("select * from budgets where department = ?", (department,)).fetchone()
        if row is None:
            known = ", ".join(name for (name,) in self._db.execute("select department from budgets"))
            raise LedgerError(f"no budget for {department!r}; there are: {known}")
        name, allotted, committed, account, card, contact, email, phone = row
        return {
            "department": name,
            "currency": "EUR",
            "allotted": allotted,
            "committed": committed,
            "free": allotted - committed,
            "account": account,
            "card": card,
            "contact": {"name": contact, "email": email, "phone": phone},
        }

    async def post_entry(self, arguments: Arguments, key: str) -> dict[str, object]:
        """Book an amount; the same key again returns the entry that exists."""
        budget = await self.read_budget(arguments, "")
        amount, iban = float(str(arguments["amount"])), str(arguments.get("iban", ""))
        with self._db:
            self._db.execute("begin immediate")
            entry = (
                self._db.execute("select id from entries where key = ?", (key,)).fetchone() if key else None
            )
            if entry is None:
                entry = self._book(str(budget["department"]), amount, str(arguments["memo"]), iban, key)
        return {
            "entry": f"LE-{entry[0]:05d}",
            "department": budget["department"],
            "amount": amount,
            "currency": "EUR",
            "account": budget["account"],
            "contact": budget["contact"],
        }

    async def wire_transfer(self, arguments: Arguments, _: str) -> dict[str, object]:
        """Give the order to the bank, wait for its word; each call is a new order."""
        values = (
            float(str(arguments["amount"])),
            str(arguments["iban"]),
            str(arguments["beneficiary"]),
            str(arguments.get("reference", "")),
        )
        columns = "insert into transfers (amount, iban, beneficiary, reference) values (?, ?, ?, ?)"
        order = self._db.execute(columns, values).lastrowid
        await anyio.sleep(self._bank_seconds)
        self._db.execute("update transfers set confirmed = 1 where id = ?", (order,))
        return {"transfer": f"WT-{order:05d}", "amount": values[0], "iban": values[1], "confirmed": True}

    def _book(self, department: str, amount: float, memo: str, iban: str, key: str) -> tuple[int]:
        free = self._db.execute(
            "update budgets set committed = committed + ? where department = ? and committed + ? <= allotted",
            (amount, department, amount),
        )
        if free.rowcount != 1:
            raise LedgerError(f"{amount:.2f} EUR is more than {department} has left")
        row: tuple[int] = self._db.execute(
            "insert into entries (key, department, amount, memo, iban) values (?, ?, ?, ?, ?) returning id",
            (key or None, department, amount, memo, iban),
        ).fetchone()
        return row


def _text(**bounds: int) -> dict[str, object]:
    return {"type": "string", **bounds}


def _object(required: list[str], **properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


AMOUNT = {"type": "number", "minimum": 0, "maximum": 1_000_000}
DEPARTMENT = _text(minLength=1, maxLength=64)
TOOLS = {
    "read_budget": (
        "Reads what a department may spend this year, what is committed, and whom to ask about it.",
        _object(["department"], department=DEPARTMENT),
    ),
    "post_entry": (
        "Posts an amount in EUR against a department's budget.",
        _object(
            ["amount", "department", "memo"],
            amount=AMOUNT,
            department=DEPARTMENT,
            memo=_text(maxLength=500),
            iban=_text(maxLength=42),
        ),
    ),
    "wire_transfer": (
        "Sends an amount in EUR to an account outside of the company.",
        _object(
            ["amount", "iban", "beneficiary"],
            amount=AMOUNT,
            iban=_text(minLength=15, maxLength=42),
            beneficiary=_text(minLength=1, maxLength=128),
            reference=_text(maxLength=140),
        ),
    ),
}


def create_server(ledger: Ledger) -> Server[dict[str, object]]:
    """Offer the ledger's three tools."""
    calls: dict[str, Callable[[Arguments, str], Awaitable[object]]] = {
        name: getattr(ledger, name) for name in TOOLS
    }

    async def list_tools(_: object, __: object) -> types.ListToolsResult:
        tools = [types.Tool(name=n, description=d, input_schema=s) for n, (d, s) in TOOLS.items()]
        return types.ListToolsResult(tools=tools)

    async def call_tool(_: object, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = params.arguments or {}
        if params.name not in calls:
            return _answer({"error": f"no tool {params.name!r}"}, is_error=True)
        try:
            return _answer(await calls[params.name](arguments, _idempotency_key(params)))
        except (LedgerError, KeyError, ValueError) as error:
            return _answer({"error": str(error)}, is_error=True)

    return Server("acme-ledger", version="1.0.0", on_list_tools=list_tools, on_call_tool=call_tool)


def _idempotency_key(params: types.CallToolRequestParams) -> str:
    meta = dict(params.meta or {})
    cadre = meta.get("cadre")
    return str(cadre.get("idempotencyKey", "")) if isinstance(cadre, Mapping) else ""


def _answer(value: object, *, is_error: bool = False) -> types.CallToolResult:
    text = types.TextContent(type="text", text=json.dumps(value, ensure_ascii=False))
    return types.CallToolResult(content=[text], is_error=is_error)


def _default_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "acme-ledger.db"


async def main() -> None:
    """Serve on stdin and stdout until the other side closes."""
    path = os.environ.get("LEDGER_FILE")
    ledger = Ledger(
        Path(path) if path else _default_file(), float(os.environ.get("LEDGER_BANK_SECONDS", "0"))
    )
    server = create_server(ledger)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
