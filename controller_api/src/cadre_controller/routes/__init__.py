"""What can be asked of the controller: one table per concern, from which routing, validation and OpenAPI
all come.
"""

from collections.abc import Sequence

from cadre_controller.routes.table import Table


def public_tables() -> Sequence[Table]:
    """Everything on the public port."""
    from cadre_controller.routes.public import TABLES

    return TABLES


def guard_tables() -> Sequence[Table]:
    """Everything on the guard port."""
    from cadre_controller.routes.guard import TABLES

    return TABLES
