"""When a budget's period began: calendar days, weeks and months in the node's own time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cadre_core.model import Node


def period_start(node: Node, period: str, now: datetime) -> datetime:
    """First instant (UTC) of the period that `now` lies in; an unknown time zone counts as UTC."""
    local = now.astimezone(_zone(node)).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "Week":
        local -= timedelta(days=local.weekday())
    elif period == "Month":
        local = local.replace(day=1)
    return local.astimezone(UTC)


def _zone(node: Node) -> ZoneInfo:
    try:
        return ZoneInfo(str(node.locale.get("timeZone") or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
