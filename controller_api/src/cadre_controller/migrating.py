"""Migrations alone: what an upgrade runs before it replaces the first controller."""

import asyncio
import os
import sys

from cadre_controller.errors import Unavailable
from cadre_controller.store.migrate import migrate

_FAILED = 2


def migrate_main() -> int:
    """Bring the schema of CADRE_DATABASE_URL up to date; 0 when it is, 2 with one line when it cannot be."""
    url = os.environ.get("CADRE_DATABASE_URL", "")
    if not url:
        return _fail("SettingsInvalid: CADRE_DATABASE_URL is not set; set it in the environment")
    try:
        version = asyncio.run(migrate(url))
    except Unavailable as error:
        return _fail(f"{error.reason}: {error.message}")
    sys.stdout.write(f"the database has schema {version}\n")
    return 0


def _fail(line: str) -> int:
    sys.stderr.write(f"cadre-controller: {line}\n")
    return _FAILED
