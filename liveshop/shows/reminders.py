"""Reminder mails: sent by the worker shortly before a show, over SMTP or into a folder.

Offered only where mail is configured: a sign-up that nobody will ever answer would be a lie.
"""

import asyncio
import smtplib
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol

import msgspec

from liveshop.customers import store as customers
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.settings import MailSettings
from liveshop.shows import store
from liveshop.shows.model import Show, time_zones
from liveshop.storage import Database, Tx

TOPIC = "shows.remind"
_SMTP_TIMEOUT_SECONDS = 20
_WHEN = {"en": "%A, %d %B %Y, %H:%M %Z", "de": "%d.%m.%Y, %H:%M Uhr %Z"}
_TEXTS = {
    "en": (
        "Starting soon: {title}",
        "{title} starts on {when}.\n\nWatch and shop here:\n{url}\n\n"
        "You asked for this one reminder; your address is not used for anything else.\n",
    ),
    "de": (
        "Gleich live: {title}",
        "{title} beginnt am {when}.\n\nHier zusehen und einkaufen:\n{url}\n\n"
        "Sie haben um diese eine Erinnerung gebeten; Ihre Adresse wird sonst nicht verwendet.\n",
    ),
}


class RemindersUnsent(Exception):
    """Some mails were not taken; the worker tries those again. Names no address."""


class RemindJob(msgspec.Struct):
    show_id: str


class Mailer(Protocol):
    async def send(self, message: EmailMessage) -> None:
        """Hand over a mail. Raises OSError or SMTPException; the worker then tries again."""


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    settings: MailSettings

    async def send(self, message: EmailMessage) -> None:
        await asyncio.to_thread(self._send, message)

    def _send(self, message: EmailMessage) -> None:
        given = self.settings
        with smtplib.SMTP(
            given.smtp_host, given.smtp_port, timeout=_SMTP_TIMEOUT_SECONDS
        ) as server:
            if given.smtp_starttls:
                server.starttls()
            if given.smtp_user:
                server.login(given.smtp_user, given.smtp_password)
            server.send_message(message)


@dataclass(frozen=True, slots=True)
class FolderMailer:
    folder: Path

    async def send(self, message: EmailMessage) -> None:
        await asyncio.to_thread(self._write, message)

    def _write(self, message: EmailMessage) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{message['X-Reminder']}.eml").write_bytes(message.as_bytes())


def mailer_of(settings: MailSettings) -> Mailer | None:
    if not settings.is_configured:
        return None
    return SmtpMailer(settings) if settings.smtp_host else FolderMailer(Path(settings.folder))


def purpose_of(show_id: ShowId) -> str:
    """What somebody consents to who wants to be reminded of a show."""
    return f"reminder:{show_id}"


async def plan(tx: Tx, show: Show, settings: MailSettings, clock: Clock) -> None:
    """Queue the reminders of a scheduled show. A show moved to another time is queued again."""
    if show.starts_at is None or not settings.is_configured:
        return
    await tx.enqueue(
        TOPIC,
        RemindJob(show.id),
        now=clock.now(),
        key=f"{show.id}:{show.starts_at.isoformat()}",
        not_before=show.starts_at - timedelta(minutes=settings.reminder_minutes),
    )


class SendReminders:
    """The job's handler. Each address is marked as it is sent, so a crash repeats one at most."""

    def __init__(
        self, database: Database, clock: Clock, settings: MailSettings, mailer: Mailer, page: Any
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._mailer = mailer
        self._page = page

    async def __call__(self, payload: dict[str, Any]) -> None:
        show_id = ShowId(payload["show_id"])
        async with self._database.read() as conn:
            show = await store.by_id(conn, show_id)
            waiting = [
                row
                for row in await store.unsent_reminders(conn, show_id)
                if await customers.has_consent(conn, subject=row.email, purpose=purpose_of(show_id))
            ]
        if show is None or show.starts_at is None or show.state not in ("scheduled", "live"):
            return
        ahead = show.starts_at - self._clock.now()
        if ahead > timedelta(minutes=self._settings.reminder_minutes + 1):
            return  # moved to a later time, for which another job is queued
        failed: list[Exception] = []
        for row in waiting:
            try:
                await self._mailer.send(self._message(show, row))
            except (OSError, smtplib.SMTPException) as error:
                failed.append(error)  # one dead address must not stop the mails after it
                continue
            async with self._database.write() as tx:
                await store.mark_sent(tx.conn, row.id, self._clock.now())
        if failed:
            kinds = ", ".join(sorted({type(error).__name__ for error in failed}))
            raise RemindersUnsent(f"{len(failed)} of {len(waiting)} mails were not taken: {kinds}")

    def _message(self, show: Show, row: Any) -> EmailMessage:
        assert show.starts_at is not None
        subject, text = _TEXTS[row.language]
        when = f"{show.starts_at.astimezone(time_zones()[show.time_zone]):{_WHEN[row.language]}}"
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = row.email
        message["Subject"] = subject.format(title=show.title)
        message["X-Reminder"] = row.id
        message.set_content(text.format(title=show.title, when=when, url=self._page(show.id)))
        return message
