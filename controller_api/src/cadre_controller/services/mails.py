"""Mails to approvers: that something waits and how to decide it, and nothing of what it says.

The address is looked up when the mail goes, so that none is kept; what is refused for good is given up at
once.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from cadre_api.protocol.tasks import ApprovalState
from cadre_controller.errors import NotFound
from cadre_controller.services.approvals import ApprovalService
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Kernel
from cadre_controller.services.webhooks import told
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work

KIND = "email"
_LOG = logging.getLogger(__name__)
_TIME = timedelta(minutes=2)
"""How long one sending may take, before another controller tries."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Why a server did not take a mail."""

    error: str
    is_final: bool = False


Mailer = Callable[[EmailMessage], Awaitable[NotTaken | None]]
"""Hands a mail over; None = it was taken."""


class MailService:
    """Sends the mails that are due."""

    def __init__(self, kernel: Kernel, chart: ChartService, approvals: ApprovalService) -> None:
        self._kernel = kernel
        self._chart = chart
        self._approvals = approvals

    async def sweep(self, tenants: Sequence[str], mailer: Mailer, sender: str) -> int:
        """Send what is due; returns how many were taken."""
        rows = await self._kernel.db.fetch(tenants, "notifications_due", self._kernel.clock.now(), KIND)
        return sum([await self._send(row, mailer, sender) for row in rows])

    async def _send(self, row: Row, mailer: Mailer, sender: str) -> bool:
        now = self._kernel.clock.now()
        claim = Statement("notification_claim", (row["tenant"], row["id"], row["due_at"], now + _TIME))
        try:
            await self._kernel.submit(Work(row["tenant"], (claim,)))
        except RowMissing:
            return False
        address = await self._address(row)
        refused = None
        if address:
            refused = await mailer(self._mail(row, address, sender))
        error, final = (refused.error, refused.is_final) if refused is not None else ("", False)
        statement = told(row, self._kernel.clock.now(), error, final=final)
        await self._kernel.submit(Work(row["tenant"], (statement,)))
        if error:
            _LOG.warning("a mail was not taken", extra={"notification": row["id"], "reason": error})
        return bool(address) and not error

    async def _address(self, row: Row) -> str:
        """Empty when there is nobody to tell any more, or nothing to decide."""
        live = self._chart.current(row["tenant"])
        person = live.snapshot.persons.get(live.persons_by_id.get(row["target"], ""))
        try:
            view = await self._approvals.get(row["tenant"], row["body"]["approvalId"])
        except NotFound:
            return ""
        waits = view.state is ApprovalState.PENDING
        return person.email or "" if person is not None and waits else ""

    def _mail(self, row: Row, address: str, sender: str) -> EmailMessage:
        """Plain text (RFC 5322); the same id each time that it is sent, so that it shows once."""
        body, mail = row["body"], EmailMessage(policy=SMTP)
        mail["From"], mail["To"] = sender, address
        mail["Subject"] = (
            f"{'Still waiting' if body['reminder'] else 'Approval needed'}: {body['approvalId']}"
        )
        mail["Date"] = format_datetime(row["created_at"])
        mail["Message-ID"] = f"<{row['id']}@{sender.rpartition('@')[2].strip('>')}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(
            f"{body['agent'] or 'Somebody'} asks for {body['about']}, and waits for your decision.\n\n"
            f"See it, and agree:   cadre approve {body['link']}\n"
            f"See it, and refuse:  cadre deny {body['link']}\n\n"
            f"The code works once, for you alone, after you signed in. It ends {body['expiresAt']}.\n"
        )
        return mail
