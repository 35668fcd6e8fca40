"""Every named query is valid SQL on every supported server, and the tenant wall stands behind all of them."""

import asyncpg
import pytest

from cadre_controller.store.loader import load_migrations, load_queries
from cadre_controller.store.migrate import SchemaNewer, migrate
from cadre_controller.store.pool import open_database, prepare_connection

pytestmark = pytest.mark.postgres


async def test_every_query_prepares(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for name, sql in load_queries().items():
            try:
                await connection.prepare(sql)
            except asyncpg.PostgresError as error:
                raise AssertionError(f"{name}: {error}") from error
    finally:
        await connection.close()


async def test_migrating_again_changes_nothing(dsn: str) -> None:
    assert await migrate(dsn) == load_migrations()[-1][0]


async def test_newer_schema_is_refused(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO schema_migrations (version, name) VALUES (9999, 'of the future')")
    await connection.close()
    with pytest.raises(SchemaNewer, match="use a newer one"):
        await migrate(dsn)


async def test_a_connection_sees_only_its_tenants(dsn: str) -> None:
    raw = await asyncpg.connect(dsn)
    await raw.execute(
        "INSERT INTO sessions (tenant, id, created_by, created_at) VALUES ('a', 's1', 'x', now()), "
        "('b', 's2', 'x', now())"
    )
    await raw.close()
    database = await open_database(dsn, max_size=2)
    try:
        for tenants, visible in ((("a",), {"s1"}), (("b",), {"s2"}), (("a", "b"), {"s1", "s2"}), ((), set())):
            async with database.connection(tenants) as connection:
                rows = await connection.fetch("SELECT id FROM sessions")
                assert {row["id"] for row in rows} == visible
        async with database.connection(("a",)) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(
                    "INSERT INTO sessions (tenant, id, created_by, created_at) VALUES ('b', 's3', 'x', now())"
                )
    finally:
        await database.close()


async def test_every_tenant_table_has_the_wall(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        open_tables = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND "
            "a.attname = 'tenant' "
            "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'tenants' "
            "AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
        )
    finally:
        await connection.close()
    assert [row["relname"] for row in open_tables] == []


async def test_the_wall_is_no_condition_of_an_index(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await prepare_connection(connection)
        walls = await connection.fetch(
            "SELECT DISTINCT qual FROM pg_policies WHERE policyname = 'tenant_wall'"
        )
        assert len(walls) == 1
        plan = await connection.fetch("EXPLAIN SELECT 1 FROM tasks WHERE tenant = 'a' AND id = 'b'")
    finally:
        await connection.close()
    conditions = [row[0] for row in plan if "Index Cond" in row[0]]
    assert conditions
    assert not [line for line in conditions if "InitPlan" in line]
