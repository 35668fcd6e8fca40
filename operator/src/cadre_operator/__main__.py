"""Starts the operator: `python -m cadre_operator`, with its settings in the environment."""

import asyncio
import os
import sys

from cadre_operator.log import configure_logging
from cadre_operator.main import serve
from cadre_operator.settings import SettingsError, read_settings


def main() -> int:
    """Run until stopped; exit 2 when the settings are wrong."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error.reason}: {error}\n")
        return 2
    configure_logging(settings.log_level)
    asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
