"""Mails on the wire."""

import base64
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from liveshop.mail import model
from liveshop.mail.model import CODE_PICTURE, MailState
from liveshop.web import Wire


class Mail(Wire):
    """`sent`: the mail server has taken it. `kept`: nothing is configured that sends."""

    id: str
    kind: Annotated[str, Meta(description="what for, such as `order.confirmed`")]
    order_id: str | None
    recipient: str
    language: str
    subject: str
    state: MailState
    problem: str | None
    created_at: datetime
    sent_at: datetime | None

    @classmethod
    def of(cls, mail: model.Mail) -> "Mail":
        return cls(
            id=mail.id,
            kind=mail.letter.kind,
            order_id=mail.letter.order_id,
            recipient=mail.letter.recipient,
            language=mail.letter.language,
            subject=mail.letter.subject,
            state=mail.state,
            problem=mail.problem,
            created_at=mail.created_at,
            sent_at=mail.sent_at,
        )


class MailText(Wire):
    """A mail as its reader sees it; pictures inside `html` are data addresses. Nothing (an empty
    text) once it is older than `mail.keep_days`."""

    mail: Mail
    text: str
    html: str | None

    @classmethod
    def of(cls, mail: model.Mail, *, is_whole: bool) -> "MailText":
        """`is_whole`: with what lets its reader act as the buyer."""
        letter = mail.letter if is_whole else model.without_keys(mail.letter)
        html = letter.html
        if html is not None and letter.code is not None:
            drawn = base64.b64encode(model.picture_of(letter.code)).decode()
            html = html.replace(CODE_PICTURE, f"data:image/png;base64,{drawn}")
        return cls(mail=Mail.of(mail), text=letter.text, html=html)


class Mails(Wire):
    mails: list[Mail]
    next: str | None


class MailQuery(Wire):
    order_id: str | None = None
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 30
