"""`python -m cadre_guard`."""

import sys

from cadre_guard.main import main

sys.exit(main())
