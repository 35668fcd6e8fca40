"""The guard port: everything a guard may say, and nothing without its token."""

from cadre_controller.routes.guard import facts, identity, leases, messages, model, pseudonyms, tools

TABLES = (
    identity.TABLE,
    leases.TABLE,
    messages.TABLE,
    pseudonyms.TABLE,
    tools.TABLE,
    model.TABLE,
    facts.TABLE,
)
