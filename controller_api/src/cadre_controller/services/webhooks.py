"""Outbound webhooks: signed as Standard Webhooks describes, sent again until taken, given up after a day."""

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from cadre_controller.services.kernel import Kernel
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Statement, Work

Post = Callable[[bytes, Mapping[str, str]], Awaitable[str]]
"""Sends a body with headers; answers why it was not taken, empty when it was."""

KIND = "webhook"
MAX_ATTEMPTS = 12
_BASE = timedelta(seconds=10)
_LONGEST = timedelta(hours=3)


class WebhookService:
    """Sends what is in the table of notifications."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def sweep(self, tenants: Sequence[str], post: Post, secret: bytes) -> int:
        """Send what is due; returns how many were taken."""
        now = self._kernel.clock.now()
        rows = await self._kernel.db.fetch(tenants, "notifications_due", now, KIND)
        return sum([await self._send(row, post, secret) for row in rows])

    async def _send(self, row: Row, post: Post, secret: bytes) -> bool:
        body = json.dumps(row["body"], ensure_ascii=False, separators=(",", ":")).encode()
        error = await post(body, signed_headers(row["id"], self._kernel.clock.now(), body, secret))
        await self._kernel.submit(Work(row["tenant"], (told(row, self._kernel.clock.now(), error),)))
        return not error


def told(row: Row, now: datetime, error: str, *, final: bool = False) -> Statement:
    """Records that a notification was taken, or why not (`error`) and when it goes again; `final` = never."""
    key = (row["tenant"], row["id"])
    if not error:
        return Statement("notification_sent", (*key, now))
    due = now + min(_BASE * 2 ** row["attempts"], _LONGEST)
    last = final or row["attempts"] + 1 >= MAX_ATTEMPTS
    return Statement("notification_failed", (*key, due, error[:200], last, now))


def signed_headers(message_id: str, now: datetime, body: bytes, secret: bytes) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` (seconds) and `webhook-signature`: HMAC-SHA256 over id.timestamp.body
    (Standard Webhooks 1.0)."""
    seconds = str(int(now.timestamp()))
    content = b".".join((message_id.encode(), seconds.encode(), body))
    signature = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{signature}",
    }
