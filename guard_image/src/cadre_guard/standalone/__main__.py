"""`python -m cadre_guard.standalone -f guard.yaml`."""

import sys

from cadre_guard.standalone.main import main

sys.exit(main(sys.argv[1:]))
