"""Connections that carry the second wall: each one works as the row-level-security role and for named
tenants only."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from cadre_controller.errors import InvalidInput, Unavailable
from cadre_controller.store.loader import load_queries

Row = Mapping[str, Any]
APP_ROLE = "cadre_app"
CONNECTION_ERRORS: tuple[type[BaseException], ...] = (
    TimeoutError,
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    # the driver lost track of a connection that broke in the middle of an exchange
    asyncpg.InternalClientError,
)
SCOPE_SQL = "SELECT set_config('cadre.tenants', $1, false)"


class ScopedConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that knows which tenants it is set to: a setting that holds costs no round trip."""

    _scope = ""

    async def scope_to(self, tenants: str) -> None:
        """See these tenants' rows and no others, from now on."""
        if self._scope != tenants:
            self._scope = ""
            await self.execute(SCOPE_SQL, tenants)
            self._scope = tenants


async def prepare_connection(connection: Any) -> None:
    """JSON in and out; a superuser steps down to the role that row-level security binds."""
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog", format="text"
        )
    if await connection.fetchval(
        "SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user"
    ):
        await connection.execute(f"SET ROLE {APP_ROLE}")


async def _keep_settings(connection: Any) -> None:
    """No RESET ALL between uses: it would cost a round trip and forget the tenant setting, which every use
    sets."""


class Database:
    """A pool that runs named queries for named tenants."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._queries = load_queries()

    @asynccontextmanager
    async def connection(self, tenants: Iterable[str]) -> AsyncIterator[Any]:
        """A connection that sees these tenants' rows and no others. Raises Unavailable when there is none."""
        try:
            async with self._pool.acquire(timeout=10) as connection:
                await connection.scope_to(",".join(sorted(set(tenants))))
                try:
                    yield connection
                except asyncpg.InternalClientError:
                    connection.terminate()  # or the pool would hand it out again, as broken as it is
                    raise
        except asyncpg.DataError as error:
            raise InvalidInput(
                "NotStorable", "a value cannot be sent to the database", "send text that has a UTF-8 form"
            ) from error
        except CONNECTION_ERRORS as error:
            raise Unavailable(f"the database does not answer ({type(error).__name__})") from error

    async def fetch(self, tenants: str | Sequence[str], name: str, *arguments: object) -> list[Row]:
        """All rows of a named query."""
        scope = (tenants,) if isinstance(tenants, str) else tenants
        async with self.connection(scope) as connection:
            return list(await connection.fetch(self._queries[name], *arguments))

    async def fetch_one(self, tenants: str | Sequence[str], name: str, *arguments: object) -> Row | None:
        """The first row of a named query, or None."""
        rows = await self.fetch(tenants, name, *arguments)
        return rows[0] if rows else None

    async def execute(self, tenants: str | Sequence[str], name: str, *arguments: object) -> int:
        """Run a named query; number of rows it returned (use RETURNING to count)."""
        return len(await self.fetch(tenants, name, *arguments))

    async def close(self) -> None:
        """Close politely, then hard."""
        try:
            await self._pool.close()
        except CONNECTION_ERRORS:
            self._pool.terminate()


async def open_database(dsn: str, *, max_size: int = 10) -> Database:
    """A pool of direct connections (LISTEN and prepared statements need them). Raises Unavailable."""
    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=max_size,
            init=prepare_connection,
            reset=_keep_settings,
            connection_class=ScopedConnection,
            server_settings={"application_name": "cadre-controller"},
        )
    except CONNECTION_ERRORS as error:
        raise Unavailable(f"cannot connect to Postgres ({type(error).__name__})") from error
    return Database(pool)
