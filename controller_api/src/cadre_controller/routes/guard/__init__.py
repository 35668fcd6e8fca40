"""The guard port: everything a guard may say, and nothing without its token."""

from cadre_controller.routes.guard import facts, identity, leases, messages, model, pseudonyms, state, tools

TABLES = (
    identity.TABLE,
    leases.TABLE,
    messages.TABLE,
    pseudonyms.TABLE,
    tools.TABLE,
    state.TABLE,
    model.TABLE,
    facts.TABLE,
)
