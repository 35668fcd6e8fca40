"""`python -m cadre_scripted`."""

import sys

from cadre_scripted.main import main

sys.exit(main())
