"""Mails to approvers, through a real SMTP server: told once, never what is asked for, given up in the end."""

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from cadre_api.protocol.tasks import ApprovalState, DecisionCreate
from cadre_controller.errors import NotFound
from cadre_controller.mail_sender import hand_over, send_mails
from cadre_controller.services.approval_links import find_link
from cadre_controller.services.assembly import Services
from cadre_controller.services.mails import NotTaken
from cadre_controller.settings import Listen, MailServer, SmtpTls
from tests.contract.company import documents
from tests.contract.conftest import TENANT, opened
from tests.support.certs import Authority
from tests.support.postgres import KINDS
from tests.support.smtp import MailBox, mail_server

pytestmark = pytest.mark.parametrize("server", KINDS[:1], indirect=True)
SENDER, NAME = "cadre@orbit.example", "Konstantin Hohenfels"
FLOW = """---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: ask, namespace: orbit}
spec:
  parameters: [{name: who, type: String}]
  steps:
    - {name: what, data: params.who}
    - {name: sign-off, dependsOn: [what], approval: {nodeRef: {name: finance}, timeout: 24h}}
"""


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Who vouches for the mail server, and is believed."""
    made = Authority.create(tmp_path / "ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


@pytest.fixture
async def mailing(dsn: str, tmp_path: Path) -> AsyncIterator[Services]:
    """Services whose approvers are told by mail."""
    async with opened(dsn, tmp_path) as services:
        await services.chart.apply(documents(extra=FLOW), services.directory.admin_actor(TENANT))
        services.reminders.mail = True
        yield services


async def asked(services: Services) -> str:
    """Id of an approval that waits for the head of finance, who has been told."""
    clerk = services.directory.person_actor(TENANT, "clerk")
    run = await services.workflows.start(clerk, "ask", {"who": NAME})
    assert await services.reminders.sweep((TENANT,)) == 1
    return next(step.ref for step in run.steps if step.name == "sign-off")


def at(box: MailBox, tls: SmtpTls = SmtpTls.START_TLS, **more: str) -> MailServer:
    return MailServer(Listen(host="127.0.0.1", port=box.port), tls, SENDER, **more)


async def sweep(services: Services, server: MailServer) -> int:
    async def mailer(mail: EmailMessage) -> NotTaken | None:
        return await asyncio.to_thread(hand_over, server, mail)

    return await services.mails.sweep((TENANT,), mailer, SENDER)


async def rows(services: Services) -> list[dict[str, object]]:
    async with services.kernel.db.connection((TENANT,)) as connection:
        found = await connection.fetch("SELECT * FROM notifications ORDER BY created_at, id")
        return [dict(row) for row in found]


async def make_due(services: Services) -> None:
    async with services.kernel.db.connection((TENANT,)) as connection:
        await connection.execute("UPDATE notifications SET due_at = created_at")


async def test_an_approver_decides_by_the_code_of_a_mail(mailing: Services, authority: Authority) -> None:
    approval = await asked(mailing)
    (row,) = await rows(mailing)
    assert "@" not in str(row["body"]) + str(row["target"])
    async with mail_server(authority) as box:
        server = at(box, user="cadre", password="pw")
        assert await sweep(mailing, server) == 1
        assert await sweep(mailing, server) == 0
    (mail,) = box.mails
    text = mail.get_content()
    address = mailing.chart.current(TENANT).snapshot.persons["orbit/head"].email
    assert (box.users, box.recipients) == (["cadre:pw"], [address])
    assert (mail["From"], mail["Message-ID"]) == (SENDER, f"<{row['id']}@orbit.example>")
    assert approval in mail["Subject"] and NAME not in text and "what" not in text
    code = text.split("cadre approve ")[1].split()[0]
    assert (await rows(mailing))[0]["body"] == {}
    clerk = mailing.directory.person_actor(TENANT, "clerk")
    with pytest.raises(NotFound):
        await find_link(mailing.kernel, clerk, code)
    head = mailing.directory.person_actor(TENANT, "head")
    decision = DecisionCreate(decision=ApprovalState.APPROVED)
    await mailing.approvals.decide(head, approval, decision, link=code)
    assert (await mailing.approvals.get(TENANT, approval)).state is ApprovalState.APPROVED


async def test_a_mail_that_is_not_taken_comes_again_or_is_given_up(
    mailing: Services, authority: Authority
) -> None:
    await asked(mailing)
    async with mail_server(authority, implicit=True) as box:
        server = at(box, SmtpTls.IMPLICIT, user="cadre", password="pw")
        box.refusals = {
            "AUTH": ["535 no"],
            "RCPT": ["451 busy"],
            "DATA": ["452 full"],
            "MAIL": ["550 not you"],
        }
        for error in ("SMTPAuthenticationError (535)", "SMTPSenderRefused (550)", "recipient refused (451)"):
            assert await sweep(mailing, server) == 0
            (row,) = await rows(mailing)
            assert (row["last_error"], row["failed_at"]) == (error, None)
            await make_due(mailing)
        assert await sweep(mailing, server) == 0
        await make_due(mailing)
        box.refusals = {"RCPT": ["550 unknown"]}
        assert await sweep(mailing, server) == 0
        (row,) = await rows(mailing)
        assert row["last_error"] == "recipient refused (550)" and row["failed_at"] and row["body"] == {}
        await make_due(mailing)
        assert await sweep(mailing, server) == 0
    assert not box.mails


async def test_who_has_no_address_or_nothing_to_decide_gets_none(
    mailing: Services, authority: Authority
) -> None:
    approval = await asked(mailing)
    head = mailing.directory.person_actor(TENANT, "head")
    await mailing.approvals.decide(head, approval, DecisionCreate(decision=ApprovalState.DENIED))
    async with mail_server(authority) as box:
        assert await sweep(mailing, at(box)) == 0
        assert [row["sent_at"] is not None for row in await rows(mailing)] == [True]
    assert not box.mails
    chart, people = documents(extra=FLOW)
    bare = (people[0], "\n".join(line for line in people[1].splitlines() if "email:" not in line))
    await mailing.chart.apply([chart, bare], mailing.directory.admin_actor(TENANT))
    await asked(mailing)
    assert len(await rows(mailing)) == 1


async def test_two_controllers_tell_once_and_tls_is_insisted_on(
    mailing: Services, authority: Authority
) -> None:
    await asked(mailing)
    async with mail_server(authority, tls=False) as box:
        assert await sweep(mailing, at(box)) == 0
    assert (await rows(mailing))[0]["last_error"] == "SMTPNotSupportedError"
    assert await sweep(mailing, at(MailBox(port=9))) == 0
    await make_due(mailing)
    async with mail_server(authority, tls=False) as box:
        server = at(box, SmtpTls.OFF)
        told = await asyncio.gather(sweep(mailing, server), sweep(mailing, server))
        assert sorted(told) == [0, 1] and len(box.mails) == 1


async def test_the_loop_tells(mailing: Services, authority: Authority) -> None:
    async with mail_server(authority) as box:
        loop = asyncio.create_task(send_mails(mailing, at(box)))
        try:
            await asked(mailing)
            async with asyncio.timeout(120):
                while not box.mails:
                    await asyncio.sleep(0.05)
        finally:
            loop.cancel()
            await asyncio.wait([loop])
