"""What agents used lately, from the tasks that a person may see."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cadre_local.client.api import CadreApi
from cadre_local.errors import CadreError

TASK_LIMIT = 500
"""Most tasks that are counted."""
DAY = timedelta(hours=24)


def tokens_today(api: CadreApi) -> Mapping[str, int]:
    """Agent -> tokens of its tasks of the last 24 hours, as far as this person may see them."""
    since = datetime.now(UTC) - DAY
    try:
        tasks = api.tasks(limit=TASK_LIMIT)
    except CadreError:
        return {}
    found: dict[str, int] = {}
    for task in tasks:
        if task.created_at >= since:
            found[task.agent] = found.get(task.agent, 0) + task.usage.input_tokens + task.usage.output_tokens
    return found
