"""The loop that hands mails to an SMTP server (RFC 5321), over TLS unless told otherwise."""

import asyncio
import logging
import smtplib
import ssl
from email.message import EmailMessage

from cadre_controller.errors import CadreError
from cadre_controller.services.assembly import Services
from cadre_controller.services.mails import NotTaken
from cadre_controller.settings import MailServer, SmtpTls

_LOG = logging.getLogger(__name__)
_EVERY = 1.0
_TIMEOUT = 20.0
"""Seconds for each answer of the server."""


async def send_mails(services: Services, server: MailServer) -> None:
    """Send what is due, for ever."""
    services.reminders.mail = True

    async def mailer(mail: EmailMessage) -> NotTaken | None:
        return await asyncio.to_thread(hand_over, server, mail)

    while True:
        await asyncio.sleep(_EVERY)
        try:
            await services.mails.sweep(services.chart.tenants(), mailer, server.sender)
        except CadreError as error:
            _LOG.warning("mails not sent", extra={"reason": error.reason})


def hand_over(server: MailServer, mail: EmailMessage) -> NotTaken | None:
    """Give one mail to the server; None when it took it. Never says what is in it."""
    try:
        with _connected(server) as smtp:
            if server.user:
                smtp.login(server.user, server.password)
            smtp.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted(code for code, _ in error.recipients.values())
        return NotTaken(f"recipient refused ({codes[0]})", is_final=codes[0] >= 500)
    except smtplib.SMTPDataError as error:
        return NotTaken(f"refused ({error.smtp_code})", is_final=error.smtp_code >= 500)
    except smtplib.SMTPResponseException as error:
        return NotTaken(f"{type(error).__name__} ({error.smtp_code})")
    except (smtplib.SMTPException, OSError) as error:
        return NotTaken(type(error).__name__)
    return None


def _connected(server: MailServer) -> smtplib.SMTP:
    host, port = server.address.host, server.address.port
    if server.tls is SmtpTls.IMPLICIT:
        return smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT, context=ssl.create_default_context())
    smtp = smtplib.SMTP(host, port, timeout=_TIMEOUT)
    if server.tls is SmtpTls.START_TLS:
        try:
            smtp.starttls(context=ssl.create_default_context())
        except BaseException:
            smtp.close()
            raise
    return smtp
