"""What is wrong with a chart, as lines that an editor can jump to; light: every command may need it."""

from collections.abc import Sequence

from cadre_api.protocol.base import FieldProblem
from cadre_core.model import Problem
from cadre_local.errors import CadreError


class ChartInvalidError(CadreError):
    """The chart is refused; carries every problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(
            "ChartInvalid",
            f"the chart has {count} problem{'s' if count != 1 else ''}; nothing was started or changed",
            "correct the lines above",
        )
        self.problems = tuple(problems)


def problem_line(problem: Problem | FieldProblem) -> str:
    """`file:line: field: message (reason) → fix`."""
    place = f"{problem.file}:{problem.line}: " if problem.file else ""
    subject = ": ".join(part for part in (problem.resource, problem.field) if part)
    fix = f" → {problem.fix}" if problem.fix else ""
    about = f"{subject}: " if subject else ""
    return f"{place}{about}{problem.message} ({problem.reason}){fix}"
