"""The guard port: everything a guard may say, and nothing without its token."""

from cadre_controller.routes.guard import facts, identity, leases, model, pseudonyms, tools

TABLES = (identity.TABLE, leases.TABLE, pseudonyms.TABLE, tools.TABLE, model.TABLE, facts.TABLE)
