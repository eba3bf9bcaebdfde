"""A mail: what it says, how it is written for the wire, and its states. No I/O, no clock."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from io import BytesIO
from typing import Literal

import segno

from liveshop.kernel.errors import NotFound
from liveshop.kernel.ids import MailId

MailState = Literal["queued", "sent", "failed", "kept"]
"""`kept`: there is no way to send it, so it lies here (and in `mail.folder`) to be read.
`failed`: refused for ever, or not taken for days."""

CODE_PICTURE = "cid:code"
"""What the HTML of a letter names as the source of the picture of its `code`."""

HIDDEN = "…"
_NO_PICTURE = "data:,"
_ORDER_PAGE = re.compile(r"/o/[0-9A-Za-z]+-[0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class UnknownMail(NotFound):
    code = "unknown_mail"


@dataclass(frozen=True, slots=True)
class Letter:
    """What somebody is told. `kind` is what for, such as `order.confirmed`; `text` says everything
    that `html` says. `code` goes along as a picture to be scanned, shown where the HTML asks for
    `CODE_PICTURE`.
    """

    kind: str
    recipient: str
    language: str
    subject: str
    text: str
    html: str | None = None
    order_id: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter as it was written down."""

    id: MailId
    letter: Letter
    state: MailState
    problem: str | None
    created_at: datetime
    sent_at: datetime | None


def message_of(
    letter: Letter, *, message_id: str, sender: str, written_at: datetime
) -> EmailMessage:
    """The letter as a mail (RFC 5322). The same arguments make the same Message-ID and Date, so a
    mail that went twice can be told to be one.

    Raises ValueError or another fault of the standard library for an address that is none.
    """
    message = EmailMessage(policy=SMTP)
    name, address = parseaddr(sender)
    message["From"] = _address(address, one_line(name))
    message["To"] = _address(letter.recipient)
    message["Subject"] = one_line(letter.subject)
    message["Date"] = written_at
    message["Message-ID"] = f"<{message_id}@{_domain(address)}>"
    message["Content-Language"] = letter.language
    # RFC 3834: no holiday answers to this.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(letter.text)
    if letter.html is not None:
        message.add_alternative(letter.html, subtype="html")
        if letter.code is not None:
            html = message.get_payload()[1]  # type: ignore[index]
            html.add_related(  # type: ignore[union-attr]
                picture_of(letter.code), "image", "png", cid="<code>", filename="code.png"
            )
    return message


def without_keys(letter: Letter) -> Letter:
    """The letter without what lets its reader act as the buyer: links to the page of an order, and
    the code that goods are handed over for."""

    def hidden(text: str) -> str:
        text = _ORDER_PAGE.sub(f"/o/{HIDDEN}", text)
        return text.replace(letter.code, HIDDEN) if letter.code else text

    html = letter.html
    if html is not None:
        html = hidden(html).replace(CODE_PICTURE, _NO_PICTURE)
    return replace(letter, text=hidden(letter.text), html=html, code=None)


def picture_of(code: str) -> bytes:
    """A QR code as PNG, with the quiet zone that readers need (4 modules, ISO/IEC 18004)."""
    drawn = BytesIO()
    segno.make(code, error="m", micro=False).save(drawn, kind="png", scale=8, border=4)
    return drawn.getvalue()


def one_line(text: str) -> str:
    """What is put into a header: no line end, nothing that only machines read."""
    return " ".join(_CONTROL.sub(" ", text).split())


def _address(address: str, name: str = "") -> Address:
    if not address or one_line(address) != address:
        raise ValueError("this is no address mail can be sent to")
    return Address(name, address.rpartition("@")[0], _domain(address))


def _domain(address: str) -> str:
    """A domain of another script as the mail system writes it (RFC 5890)."""
    domain = address.rpartition("@")[2]
    return domain if domain.isascii() else domain.encode("idna").decode()
