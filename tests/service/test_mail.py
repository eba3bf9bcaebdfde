"""Mails: written once, sent over real SMTP, tried again, given up; nothing told that is private."""

import asyncio
import ssl
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import builders
import pytest
from aiosmtpd.smtp import SMTP
from builders import Api
from letter_builders import letters
from smtp_server import PASSWORD, USER, MailServer, certificate, mail_server

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.mail.model import CODE_PICTURE, Letter, Mail, message_of
from liveshop.mail.sending import (
    FolderTransport,
    MailNotTaken,
    MailRefused,
    MailRoom,
    SmtpTransport,
    Transport,
    transport_of,
)
from liveshop.settings import MailSettings
from liveshop.storage import Database, Worker

SENDER = "Lindholm <orders@shop.example>"
HTML = f'<p>Hello</p><img src="{CODE_PICTURE}" alt="">'


def letter(**given: Any) -> Letter:
    said: dict[str, Any] = {
        "kind": "order.confirmed",
        "recipient": "ada@example.org",
        "language": "en",
        "subject": "Thank you",
        "text": "Hello Ada\n",
        "html": HTML,
        "order_id": "ord_1",
        "code": "ABC123",
    }
    return Letter(**(said | given))


@pytest.fixture(scope="session")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def anything() -> ssl.SSLContext:
    """Trusts nobody; made before the loop runs, because it reads files."""
    return ssl.create_default_context()


def smtp(server: MailServer, tls: ssl.SSLContext, **given: Any) -> SmtpTransport:
    told: dict[str, Any] = {"smtp_starttls": False, "sender": SENDER} | given
    settings = MailSettings(smtp_host="127.0.0.1", smtp_port=server.port, **told)
    return SmtpTransport(settings, "shop.example", tls)


class Room:
    """A mail room with its worker."""

    def __init__(self, database: Database, clock: ManualClock, transport: Transport | None) -> None:
        self._database = database
        self._clock = clock
        self.room = MailRoom(database, clock, MailSettings(sender=SENDER), transport)
        jobs = {"mail.send": self.room.send_job}
        self.worker = Worker(database, jobs, clock, never_given_up=list(jobs))

    async def write(self, written: Letter, key: str) -> None:
        async with self._database.write() as tx:
            await self.room.write(tx, written, key, self._clock.now())

    async def work(self) -> None:
        while await self.worker.run_due():
            pass

    async def mails(self) -> list[Mail]:
        return await letters(self)  # type: ignore[arg-type]  # all it needs is the database

    @property
    def database(self) -> Database:
        return self._database


async def test_a_mail_is_written_once_however_often_it_is_asked_for(
    database: Database, clock: ManualClock
) -> None:
    room = Room(database, clock, None)
    for _ in range(3):
        await room.write(letter(), "one")
    await room.write(letter(subject="Another"), "two")
    mails = await room.mails()
    assert sorted(mail.letter.subject for mail in mails) == ["Another", "Thank you"]
    assert {mail.state for mail in mails} == {"kept"}, "there is no way to send it"


async def test_a_mail_that_is_rolled_back_is_never_sent(
    database: Database, clock: ManualClock, anything: ssl.SSLContext
) -> None:
    async with mail_server() as server:
        room = Room(database, clock, smtp(server, anything))
        with pytest.raises(RuntimeError):
            async with database.write() as tx:
                await room.room.write(tx, letter(), "one", clock.now())
                raise RuntimeError
        await room.work()
    assert (await room.mails(), server.taken) == ([], [])


async def test_a_mail_arrives_whole_over_smtp(
    database: Database, clock: ManualClock, anything: ssl.SSLContext
) -> None:
    async with mail_server() as server:
        room = Room(database, clock, smtp(server, anything))
        await room.write(letter(subject="Grüße – آدا", text="Größe\n"), "one")
        await room.work()
        await room.work()
    (mail,) = await room.mails()
    (got,) = server.taken
    assert (mail.state, mail.problem, mail.sent_at) == ("sent", None, clock.now())
    assert (got["From"], got["To"]) == (SENDER, "ada@example.org")
    assert got["Subject"] == "Grüße – آدا"
    assert got["Message-ID"] == f"<{mail.id}@shop.example>"
    assert got["Date"].datetime == clock.now().replace(microsecond=0)
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_content_type() == "multipart/alternative"
    text, html = got.get_body(("plain",)), got.get_body(("html",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == "Größe\n"
    assert html is not None
    assert CODE_PICTURE in html.get_content()
    (picture,) = [part for part in got.walk() if part.get_content_type() == "image/png"]
    assert picture["Content-ID"] == "<code>"
    assert picture.get_content().startswith(b"\x89PNG")


async def test_a_mail_not_taken_now_is_tried_again(
    database: Database, clock: ManualClock, anything: ssl.SSLContext
) -> None:
    async with mail_server() as server:
        server.rcpt = ["450 4.2.1 {address} is busy"]
        server.data = ["451 4.3.0 try later"]
        room = Room(database, clock, smtp(server, anything))
        await room.write(letter(), "one")
        for state in ("queued", "queued", "sent"):
            await room.work()
            (mail,) = await room.mails()
            assert mail.state == state
            clock.advance(timedelta(minutes=5))
    assert len(server.taken) == 1


@pytest.mark.parametrize("where", ["rcpt", "data"])
async def test_an_address_refused_for_ever_holds_up_nobody_else(
    where: str, database: Database, clock: ManualClock, anything: ssl.SSLContext
) -> None:
    async with mail_server() as server:
        setattr(server, where, ["550 5.1.1 no ada@example.org here"])
        room = Room(database, clock, smtp(server, anything))
        await room.write(letter(), "one")
        await room.work()
        await room.write(letter(recipient="bea@example.org"), "two")
        clock.advance(timedelta(hours=2))
        await room.work()
    by_whom = {mail.letter.recipient: mail for mail in await room.mails()}
    refused = by_whom["ada@example.org"]
    assert (refused.state, by_whom["bea@example.org"].state) == ("failed", "sent")
    assert refused.problem is not None
    assert "550" in refused.problem
    assert "example.org" not in refused.problem
    assert [got["To"] for got in server.taken] == ["bea@example.org"]


async def test_a_mail_whose_answer_was_cut_off_goes_again_under_one_message_id(
    database: Database, clock: ManualClock, anything: ssl.SSLContext
) -> None:
    async with mail_server() as server:
        server.is_cut_after_data = True
        room = Room(database, clock, smtp(server, anything))
        await room.write(letter(), "one")
        await room.work()
        assert [mail.state for mail in await room.mails()] == ["queued"]
        clock.advance(timedelta(minutes=1))
        await room.work()
    assert [mail.state for mail in await room.mails()] == ["sent"]
    first, second = server.taken
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]


async def test_a_mail_nobody_takes_for_days_is_given_up(
    database: Database, clock: ManualClock, anything: ssl.SSLContext
) -> None:
    async with mail_server() as server:
        gone = smtp(server, anything)
    room = Room(database, clock, gone)
    await room.write(letter(), "one")
    await room.work()
    assert [mail.state for mail in await room.mails()] == ["queued"]
    clock.advance(timedelta(days=4))
    await room.work()
    (mail,) = await room.mails()
    assert mail.state == "failed"
    assert "4 days" in (mail.problem or "")


async def test_a_password_goes_over_tls_to_a_server_that_is_known(
    trusted: tuple[ssl.SSLContext, ssl.SSLContext], anything: ssl.SSLContext, clock: ManualClock
) -> None:
    tls, knows = trusted
    message = message_of(letter(), message_id="m1", sender=SENDER, written_at=clock.now())
    account = {"smtp_starttls": True, "smtp_user": USER, "smtp_password": PASSWORD}
    async with mail_server(tls) as server:
        await smtp(server, knows, **account).send(message)
        assert server.is_tls == [True]
        with pytest.raises(MailNotTaken) as refused:
            await smtp(server, knows, **account | {"smtp_password": "wrong-password"}).send(message)
        assert "535" in str(refused.value)
        assert "wrong-password" not in str(refused.value)
        with pytest.raises(MailNotTaken):
            await smtp(server, anything, **account).send(message)
        with pytest.raises(MailNotTaken):
            await smtp(server, knows).send(message)
    assert len(server.taken) == 1


async def test_no_tls_means_no_mail_where_it_is_wanted(
    anything: ssl.SSLContext, clock: ManualClock
) -> None:
    message = message_of(letter(), message_id="m1", sender=SENDER, written_at=clock.now())
    async with mail_server() as server:
        with pytest.raises(MailNotTaken):
            await smtp(server, anything, smtp_starttls=True).send(message)
    assert server.taken == []


@pytest.mark.parametrize(
    "address",
    ["jürgen@example.org", "ada@bücher.example", "a.b+c@sub.example.org", "a..b@example.org"],
)
async def test_addresses_of_every_kind_arrive(
    address: str, anything: ssl.SSLContext, clock: ManualClock
) -> None:
    written = letter(recipient=address)
    message = message_of(written, message_id="m1", sender=SENDER, written_at=clock.now())
    async with mail_server() as server:
        await smtp(server, anything).send(message)
    assert len(server.taken) == 1


async def test_letters_beyond_ascii_in_an_address_are_refused_by_old_servers(
    anything: ssl.SSLContext, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = SMTP.__init__

    def old(self: SMTP, *given: Any, **more: Any) -> None:
        told(self, *given, **more | {"enable_SMTPUTF8": False})

    monkeypatch.setattr(SMTP, "__init__", old)
    written = letter(recipient="jürgen@example.org")
    message = message_of(written, message_id="m1", sender=SENDER, written_at=clock.now())
    async with mail_server() as server:
        with pytest.raises(MailRefused):
            await smtp(server, anything).send(message)


@pytest.mark.parametrize("bad", ["\r\nBcc: eve@example.org", "\nX: y", "\u2028Bcc: eve@x.example"])
def test_nothing_typed_becomes_a_header(bad: str, clock: ManualClock) -> None:
    written = letter(subject=f"Thank you {bad}", text=f"Hello {bad}\n")
    message = message_of(
        written, message_id="m1", sender=f"Shop {bad} <a@shop.example>", written_at=clock.now()
    )
    read = message_from_bytes(message.as_bytes(), policy=policy.default)
    assert read["Bcc"] is None
    assert read["X"] is None
    assert read["To"] == "ada@example.org"
    with pytest.raises(ValueError, match="address"):
        message_of(
            letter(recipient=f"ada@example.org{bad}"),
            message_id="m1",
            sender=SENDER,
            written_at=clock.now(),
        ).as_bytes()


async def test_an_address_that_is_none_fails_its_own_mail_only(
    database: Database, clock: ManualClock, anything: ssl.SSLContext
) -> None:
    async with mail_server() as server:
        room = Room(database, clock, smtp(server, anything))
        await room.write(letter(recipient="ada@example.org\nBcc: eve@example.org"), "one")
        await room.write(letter(), "two")
        await room.work()
    assert sorted(mail.state for mail in await room.mails()) == ["failed", "sent"]


async def test_a_folder_gets_files_and_says_that_nothing_was_sent(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    room = Room(database, clock, FolderTransport(tmp_path / "out"))
    await room.write(letter(), "one")
    await room.work()
    (mail,) = await room.mails()
    assert (mail.state, mail.sent_at) == ("kept", None)
    (file,) = (tmp_path / "out").glob("*.eml")
    assert file.stem == mail.id


def test_a_demo_never_writes_to_anybody(tmp_path: Path) -> None:
    given = {"mail__smtp_host": "127.0.0.1", "mail__folder": "", "mode": "demo"}
    assert transport_of(builders.test_settings(tmp_path, **given)) is None
    given["mail__folder"] = str(tmp_path)
    assert isinstance(transport_of(builders.test_settings(tmp_path, **given)), FolderTransport)
    given["mode"] = "test"
    assert isinstance(transport_of(builders.test_settings(tmp_path, **given)), SmtpTransport)


async def test_the_desk_lists_mails_without_what_they_say_and_shows_one(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    staff = api.with_token(await builders.key_with(shop, "orders:read", "orders:write"))
    room = MailRoom(shop.database, clock, shop.settings.mail, None)
    for number in range(3):
        async with shop.database.write() as tx:
            order_id = f"ord_{number % 2}"
            await room.write(tx, letter(order_id=order_id), f"key {number}", clock.now())
        clock.advance(timedelta(seconds=1))
    status, first = await staff.call("GET", "/api/mails?limit=2")
    assert (status, len(first["mails"])) == (200, 2)
    assert "text" not in first["mails"][0]
    _, rest = await staff.call("GET", f"/api/mails?limit=2&cursor={first['next']}")
    assert (len(rest["mails"]), rest["next"]) == (1, None)
    times = [one["created_at"] for one in (*first["mails"], *rest["mails"])]
    assert times == sorted(times, reverse=True)
    _, of_one = await staff.call("GET", "/api/mails?order_id=ord_1")
    assert len(of_one["mails"]) == 1
    status, shown = await staff.call("GET", f"/api/mails/{of_one['mails'][0]['id']}")
    assert shown["text"] == "Hello Ada\n"
    assert "data:image/png;base64," in shown["html"]
    assert CODE_PICTURE not in shown["html"]
    status, answer = await staff.call("GET", "/api/mails/mai_none")
    assert (status, answer["code"]) == (404, "unknown_mail")


async def test_a_crash_between_sending_and_noting_it_sends_again_but_notes_it_once(
    database: Database, clock: ManualClock, anything: ssl.SSLContext
) -> None:
    async with mail_server() as server:
        room = Room(database, clock, smtp(server, anything))
        await room.write(letter(), "one")
        (mail,) = await room.mails()
        await asyncio.gather(*(room.room.send_job({"mail_id": mail.id}) for _ in range(2)))
        await room.room.send_job({"mail_id": mail.id})
    assert [one.state for one in await room.mails()] == ["sent"]
    assert len({got["Message-ID"] for got in server.taken}) == 1
    assert len(server.taken) <= 2
