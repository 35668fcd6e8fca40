"""Workflows, pure: what a definition means, and what follows from what is recorded of a run."""

from cadre_core.workflow.definition import Definition, definition_of
from cadre_core.workflow.parameters import check_parameters
from cadre_core.workflow.plan import plan
from cadre_core.workflow.retry import steps_to_repeat
from cadre_core.workflow.run import Plan, Record, Run, RunState, Start, StepState

__all__ = [
    "Definition",
    "Plan",
    "Record",
    "Run",
    "RunState",
    "Start",
    "StepState",
    "check_parameters",
    "definition_of",
    "plan",
    "steps_to_repeat",
]
