"""Mails as the desk shows them."""

from liveshop.kernel.ids import MailId
from liveshop.mail import store, wire
from liveshop.mail.model import UnknownMail
from liveshop.storage import Database
from liveshop.web import Call, Endpoint, permission


def endpoints(database: Database) -> list[Endpoint]:
    async def list_mails(call: Call) -> wire.Mails:
        query: wire.MailQuery = call.query
        async with database.read() as conn:
            mails = await store.page(
                conn,
                order_id=query.order_id,
                before=MailId(query.cursor) if query.cursor else None,
                limit=query.limit + 1,
            )
        shown = mails[: query.limit]
        return wire.Mails(
            mails=[wire.Mail.of(mail) for mail in shown],
            next=shown[-1].id if len(mails) > query.limit else None,
        )

    async def get_mail(call: Call) -> wire.MailText:
        async with database.read() as conn:
            mail = await store.by_id(conn, MailId(call.params["mail_id"]))
        if mail is None:
            raise UnknownMail("There is no such mail.")
        # Who may only read orders must not act as their buyers, whose links and codes mails hold.
        return wire.MailText.of(mail, is_whole=call.principal.may("orders:write"))

    return [
        Endpoint(
            "GET",
            "/api/mails",
            list_mails,
            permission("orders:read"),
            "Mails to buyers, newest first, without what they say",
            "mails",
            query=wire.MailQuery,
            answer=wire.Mails,
        ),
        Endpoint(
            "GET",
            "/api/mails/{mail_id}",
            get_mail,
            permission("orders:read"),
            "A mail and what it says; the buyer's links and codes only with orders:write",
            "mails",
            answer=wire.MailText,
            errors=(UnknownMail,),
        ),
    ]
