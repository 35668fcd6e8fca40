"""How a run begins: its session, its masked parameters, and, where nothing outside is needed, its end.

A run whose steps are all worked out from its parameters waits for nobody: it is begun, recorded step by step
and ended in one commit.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cadre_api.v1alpha1 import WorkflowSpec
from cadre_controller.errors import InvalidInput
from cadre_controller.ports import Actor, Masker
from cadre_controller.services.chart import ChartService
from cadre_controller.services.execution_rows import FINAL, Begun, execution_insert, step_put, step_row
from cadre_controller.services.kernel import Kernel, dump
from cadre_controller.services.sessions import SessionService
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Statement
from cadre_core.workflow import Definition, Plan, Run, RunState, check_parameters, definition_of, plan
from cadre_core.workflow.expressions import as_text


@dataclass(frozen=True, slots=True)
class Opening:
    """A run that is about to begin: its row, its steps' rows, and what else its commit does."""

    row: Row
    steps: tuple[Row, ...]
    statements: tuple[Statement, ...]
    over: Plan | None = None
    """Set when it ends as it begins; only of runs that belong to no other, which wait for their end."""


class RunOpenings:
    """Openings of runs, and the definitions they were begun with."""

    def __init__(self, kernel: Kernel, chart: ChartService, sessions: SessionService, masker: Masker) -> None:
        self._kernel = kernel
        self._chart = chart
        self._sessions = sessions
        self._masker = masker

    async def open(
        self,
        actor: Actor,
        definition: Definition,
        given: Mapping[str, object],
        execution_id: str,
        parent: Row | None = None,
    ) -> Opening:
        """Statements that begin a run. Raises InvalidInput(BadParameters), MaskingFailed."""
        tenant = actor.tenant
        values, problems = check_parameters(definition.spec.parameters, given)
        if problems:
            raise InvalidInput("BadParameters", "; ".join(problems)[:1000], "give each as it is declared")
        session_id = self._kernel.ids.new("ses")
        above = parent["session_id"] if parent is not None else ""
        if parent is not None:
            await self._sessions.regrant(tenant, above, session_id, [as_text(values)], actor=actor)
        rules = self._chart.guard_rules(tenant, "")
        masked = (await self._masker.mask_json(tenant, session_id, values, rules)).value if values else {}
        context = _context(tenant, execution_id)
        row = {
            "tenant": tenant, "id": execution_id, "workflow": definition.key, "params": masked,
            "sealed": self._kernel.keystore.tenant(tenant).seal(definition.document, context),
            "requester": actor.id, "person": actor.person, "session_id": session_id,
            "parent_id": parent["id"] if parent is not None else "", "state": RunState.RUNNING.value,
            "reason": "", "result": None, "cancelled": False, "poked": True, "round": 1, "version": 1,
            "due_at": None, "created_at": self._kernel.clock.now(), "ended_at": None,
        }  # fmt: skip
        return self._with_end(definition, row, above, ends=parent is None)

    def definition(self, row: Row) -> Definition:
        """What the run began with; what the chart says by now is for later runs."""
        keys = self._kernel.keystore.tenant(row["tenant"])
        return _parsed(row["workflow"], keys.unseal(row["sealed"], _context(row["tenant"], row["id"])))

    def _with_end(self, definition: Definition, row: dict[str, Any], above: str, *, ends: bool) -> Opening:
        now, puts = self._kernel.clock.now(), tuple[Statement, ...]()
        first = plan(definition, Run(row["params"], {}), now)
        over = first if ends and first.state.value in FINAL else None
        if over is not None:
            ended = {
                "state": over.state.value,
                "reason": over.reason,
                "result": json.loads(dump(over.result)),
            }
            row |= ended | {"poked": False, "ended_at": now}
            puts = tuple(step_put(row, definition, Begun(record), now) for record in over.records)
        tenant, session_id, created = row["tenant"], row["session_id"], row["created_at"]
        statements = (
            Statement("session_insert", (tenant, session_id, row["requester"], above, created)),
            Statement("participant_put", (tenant, session_id, row["requester"], created)),
            execution_insert(row),
            *puts,
        )
        return Opening(row, tuple(sorted(map(step_row, puts), key=_place)), statements, over)


def _place(step: Row) -> tuple[str, int]:
    return step["name"], step["item"]


@lru_cache(maxsize=256)
def _parsed(key: str, spec: bytes) -> Definition:
    return definition_of(key, WorkflowSpec.model_validate_json(spec))


def _context(tenant: str, execution_id: str) -> str:
    return f"execution\x00{tenant}\x00{execution_id}"
