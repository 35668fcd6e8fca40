"""The public port: people, the command line, probes."""

from cadre_controller.routes.public import (
    approvals,
    audit,
    budgets,
    chart,
    directory,
    freeze,
    messages,
    queue,
    sessions,
    state,
    stories,
    system,
    tasks,
    tokens,
    traces,
    workflows,
)

TABLES = (
    system.TABLE,
    tokens.TABLE,
    chart.TABLE,
    directory.TABLE,
    tasks.TABLE,
    stories.TABLE,
    approvals.TABLE,
    sessions.TABLE,
    audit.TABLE,
    budgets.TABLE,
    freeze.TABLE,
    messages.TABLE,
    state.TABLE,
    queue.TABLE,
    workflows.TABLE,
    traces.TABLE,
)
