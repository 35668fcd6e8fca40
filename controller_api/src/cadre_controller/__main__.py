"""`python -m cadre_controller` serves; `python -m cadre_controller migrate` only migrates the database."""

import sys

from cadre_controller.main import main
from cadre_controller.migrating import migrate_main

raise SystemExit(migrate_main() if sys.argv[1:] == ["migrate"] else main())
