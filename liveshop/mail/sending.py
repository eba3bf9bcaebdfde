"""Letters are written down with their cause and sent by the worker, over SMTP or into a folder.

A mail may go twice: when the connection breaks after the server has taken it and before it said so.
Both copies then have one Message-ID, by which mailboxes know them to be one. No error here names an
address, and the words of a mail server, which may, are never repeated.
"""

import asyncio
import ssl
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiosmtplib
import msgspec

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import MailId, new_id
from liveshop.mail import store
from liveshop.mail.model import Letter, Mail, MailState, message_of
from liveshop.settings import MailSettings, Settings
from liveshop.storage import Database, Tx

TOPIC = "mail.send"
_TIMEOUT_SECONDS = 20.0
_AT_ONCE = 200
_IMPLICIT_TLS_PORT = 465
_GIVEN_UP_AFTER = timedelta(days=4)
"""RFC 5321, 4.5.4.1: senders generally try for 4 to 5 days."""


class MailRefused(Exception):
    """The mail server will never take this mail. Names no address."""


class MailNotTaken(Exception):
    """The mail was not taken, or nobody knows; to be tried again. Names no address."""


class SendJob(msgspec.Struct):
    mail_id: str


class Transport(Protocol):
    @property
    def is_sending(self) -> bool:
        """Whether a mail given to it is on its way to somebody."""

    async def send(self, message: EmailMessage) -> None:
        """Hand over a mail. Raises MailRefused or MailNotTaken."""


@dataclass(frozen=True, slots=True)
class SmtpTransport:
    """Implicit TLS on port 465, else STARTTLS as `settings` say; certificates are verified."""

    settings: MailSettings
    hostname: str = "localhost"
    """How we introduce ourselves to the server."""
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    @property
    def is_sending(self) -> bool:
        return True

    async def send(self, message: EmailMessage) -> None:
        given = self.settings
        implicit = given.smtp_port == _IMPLICIT_TLS_PORT
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await aiosmtplib.send(
                    message,
                    hostname=given.smtp_host,
                    port=given.smtp_port,
                    username=given.smtp_user or None,
                    password=given.smtp_password or None,
                    local_hostname=self.hostname,
                    timeout=_TIMEOUT_SECONDS,
                    use_tls=implicit,
                    start_tls=given.smtp_starttls and not implicit,
                    tls_context=self.tls,
                )
        except aiosmtplib.SMTPException as error:
            raise _told(error) from None
        except (OSError, TimeoutError) as error:
            raise MailNotTaken(f"the mail server: {type(error).__name__}") from None
        except ValueError:
            raise MailRefused("this is no address mail can be sent to") from None


def _told(error: aiosmtplib.SMTPException) -> MailRefused | MailNotTaken:
    """5xx about this mail or its reader is for ever; about us (sign-in, TLS) it can be mended."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [one.code for one in error.recipients]
        return _by_code(max(codes, default=0), "its reader")
    if isinstance(error, aiosmtplib.SMTPDataError | aiosmtplib.SMTPRecipientRefused):
        return _by_code(error.code, "the mail")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return MailNotTaken(f"the mail server answered {error.code} to {type(error).__name__}")
    if isinstance(error, aiosmtplib.SMTPNotSupported) and "SMTPUTF8" in error.message:
        return MailRefused("the mail server takes no addresses with letters beyond ASCII")
    return MailNotTaken(f"the mail server: {type(error).__name__}")


def _by_code(code: int, what: str) -> MailRefused | MailNotTaken:
    if 500 <= code < 600:
        return MailRefused(f"the mail server refused {what} for ever: SMTP {code}")
    return MailNotTaken(f"the mail server refused {what} for now: SMTP {code}")


@dataclass(frozen=True, slots=True)
class FolderTransport:
    """Writes .eml files, to be looked at: nobody gets them."""

    folder: Path

    @property
    def is_sending(self) -> bool:
        return False

    async def send(self, message: EmailMessage) -> None:
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise MailNotTaken(f"mail.folder cannot be written: {type(error).__name__}") from None

    def _write(self, message: EmailMessage) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = message["Message-ID"].strip("<>").partition("@")[0]
        (self.folder / f"{name}.eml").write_bytes(message.as_bytes())


def transport_of(settings: Settings) -> Transport | None:
    """None where no way is configured. A demo writes to nobody, whatever is configured.

    Blocking: reads the system's certificates.
    """
    given = settings.mail
    if not given.is_configured:
        return None
    if given.smtp_host and settings.mode != "demo":
        return SmtpTransport(given, urlsplit(settings.public_url).hostname or "localhost")
    return FolderTransport(Path(given.folder)) if given.folder else None


class MailRoom:
    """Writes letters down and sends them. `send_job` is the handler of `TOPIC`."""

    def __init__(
        self, database: Database, clock: Clock, settings: MailSettings, transport: Transport | None
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._transport = transport

    async def write(self, tx: Tx, letter: Letter, key: str, now: datetime) -> None:
        """Write a letter down, once per key, and see to its being sent."""
        mail_id = MailId(new_id("mai", now))
        state: MailState = "kept" if self._transport is None else "queued"
        if not await store.add(tx.conn, Mail(mail_id, letter, state, None, now, None), key):
            return
        if self._transport is not None:
            await tx.enqueue(TOPIC, SendJob(mail_id), now=now, key=f"{TOPIC} {mail_id}")

    async def drop_old(self) -> None:
        """Housekeeping, hourly: what mails say is kept no longer than the settings allow."""
        before = self._clock.now() - timedelta(days=self._settings.keep_days)
        while True:
            async with self._database.read() as conn:
                found = await store.with_old_bodies(conn, before, _AT_ONCE)
            if not found:
                return
            async with self._database.write() as tx:
                await store.drop_bodies(tx.conn, found)

    async def forget(self, tx: Tx, order_ids: Collection[str]) -> None:
        """Erase the mails about these orders, also those that wait to be sent."""
        await store.delete_of_orders(tx.conn, order_ids)

    async def send_job(self, payload: dict[str, Any]) -> None:
        """Raises MailNotTaken, so that the outbox tries again; after days the mail is given up."""
        mail_id = MailId(payload["mail_id"])
        async with self._database.read() as conn:
            mail = await store.by_id(conn, mail_id)
        if mail is None or mail.state != "queued":
            return
        state, problem = await self._sent(mail)
        now = self._clock.now()
        async with self._database.write() as tx:
            await store.record(
                tx.conn,
                mail_id,
                state,
                problem=problem,
                sent_at=now if state == "sent" else None,
            )

    async def _sent(self, mail: Mail) -> tuple[MailState, str | None]:
        if self._transport is None:
            return "kept", None
        try:
            message = message_of(
                mail.letter,
                message_id=mail.id,
                sender=self._settings.sender,
                written_at=mail.created_at,
            )
        except Exception as error:  # the standard library has many ways to refuse an address
            return "failed", f"no mail could be made of it: {type(error).__name__}"
        try:
            await self._transport.send(message)
        except MailRefused as error:
            return "failed", str(error)
        except MailNotTaken as error:
            if self._clock.now() - mail.created_at < _GIVEN_UP_AFTER:
                raise
            return "failed", f"given up after {_GIVEN_UP_AFTER.days} days; at last {error}"
        return ("sent" if self._transport.is_sending else "kept"), None
