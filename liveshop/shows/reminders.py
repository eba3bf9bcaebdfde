"""Reminder mails: sent by the worker shortly before a show. They are not kept as orders' mails are.

Offered only where mail is configured: a sign-up that nobody will ever answer would be a lie.
"""

from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import msgspec
import structlog

from liveshop.customers import store as customers
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ReminderId, ShowId
from liveshop.kernel.zones import time_zones
from liveshop.mail.model import Letter, message_of
from liveshop.mail.sending import MailRefused, Transport
from liveshop.settings import MailSettings
from liveshop.shows import store
from liveshop.shows.model import Show
from liveshop.storage import Database, Tx
from liveshop.storage.outbox import Handler

TOPIC = "shows.remind"
TOPIC_ONE = "shows.remind_one"
_AT_ONCE = 500
_log = structlog.get_logger("shows")
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


class RemindJob(msgspec.Struct):
    show_id: str


class RemindOneJob(msgspec.Struct):
    reminder_id: str


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
    """`handlers`: when it is time, one job for each address, so that a slow mail server holds up
    none so long that another worker takes it up too. An address is marked as it is written to: a
    crash between the two repeats one mail at most.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: MailSettings,
        transport: Transport,
        page: Callable[[ShowId], str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._transport = transport
        self._page = page
        self.handlers: dict[str, Handler] = {TOPIC: self.all_of_show, TOPIC_ONE: self.one}

    async def all_of_show(self, payload: dict[str, Any]) -> None:
        show_id = ShowId(payload["show_id"])
        async with self._database.read() as conn:
            show = await store.by_id(conn, show_id)
            waiting = await store.unsent_reminders(conn, show_id)
        if show is None or not self._is_time(show):
            return
        for first in range(0, len(waiting), _AT_ONCE):
            some = waiting[first : first + _AT_ONCE]
            async with self._database.write() as tx:
                jobs = {f"{TOPIC_ONE} {id_}": RemindOneJob(id_) for id_ in some}
                await tx.enqueue_all(TOPIC_ONE, jobs, now=self._clock.now())

    async def one(self, payload: dict[str, Any]) -> None:
        """Raises MailNotTaken, so that the outbox tries again."""
        reminder_id = ReminderId(payload["reminder_id"])
        async with self._database.read() as conn:
            row = await store.unsent_reminder(conn, reminder_id)
            if row is None:
                return
            show = await store.by_id(conn, row.show_id)
            purpose = purpose_of(row.show_id)
            may = await customers.has_consent(conn, subject=row.email, purpose=purpose)
        if show is None or not may or not self._is_time(show):
            return
        try:
            await self._transport.send(self._message(show, row))
        except MailRefused as error:
            _log.warning("reminder_refused", show=row.show_id, reason=str(error))
        async with self._database.write() as tx:
            await store.mark_sent(tx.conn, reminder_id, self._clock.now())

    def _is_time(self, show: Show) -> bool:
        """Not for a show that is over, nor for one that was moved to a later time, for which
        another job is queued."""
        if show.starts_at is None or show.state not in ("scheduled", "live"):
            return False
        ahead = show.starts_at - self._clock.now()
        return ahead <= timedelta(minutes=self._settings.reminder_minutes + 1)

    def _message(self, show: Show, row: Any) -> EmailMessage:
        """Raises MailRefused for an address nobody can be written to."""
        assert show.starts_at is not None
        subject, text = _TEXTS[row.language]
        when = f"{show.starts_at.astimezone(time_zones()[show.time_zone]):{_WHEN[row.language]}}"
        letter = Letter(
            kind="show.reminder",
            recipient=row.email,
            language=row.language,
            subject=subject.format(title=show.title),
            text=text.format(title=show.title, when=when, url=self._page(show.id)),
        )
        try:
            return message_of(
                letter,
                message_id=row.id,
                sender=self._settings.sender,
                written_at=self._clock.now(),
            )
        except Exception as error:  # the standard library has many ways to refuse an address
            raise MailRefused(f"no mail could be made of it: {type(error).__name__}") from None
