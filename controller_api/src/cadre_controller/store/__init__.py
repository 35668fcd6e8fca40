"""Postgres and nothing else: named queries, migrations, the pool and the group committer. The only importer
of asyncpg."""
