"""`python -m cadre_controller`."""

from cadre_controller.main import main

raise SystemExit(main())
