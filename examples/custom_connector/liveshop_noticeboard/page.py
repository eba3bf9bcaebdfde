"""The page of the notice board: what people see, and the keeper's buttons."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Protocol

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
       background: #e9ddc7; color: #2b2418; }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }
article { background: #fffdf7; padding: 1rem; box-shadow: 0 1px 4px #0004;
          overflow-wrap: anywhere; }
article img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #f4efe4; }
article.unseen { opacity: .6; border: 2px dashed #8a5a2b; background: none; box-shadow: none; }
h1, h2, h3 { line-height: 1.2; } h3 { margin: .5rem 0 0; } p { margin: .5rem 0; }
s { color: #6b604c; } form { display: inline; }
button { font: inherit; padding: .25rem .75rem; margin: .125rem 0; cursor: pointer; }
button[aria-pressed=true] { background: #8a2b2b; color: #fff; }
"""


class _Picture(Protocol):
    url: str
    alt: str


class _Notice(Protocol):
    number: str
    heading: str
    text: str
    price: str
    reduced: str
    reduced_from: str
    reduced_until: str
    in_stock: bool
    link: str
    picture: str
    picture_alt: str
    is_turned_over: bool
    refused_because: str


class _Message(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def pictures(self) -> Sequence[_Picture]: ...


def render(
    notices: Sequence[_Notice],
    messages: Sequence[_Message],
    *,
    refused: Mapping[str, str],
    trouble: str,
    troubles: Sequence[str],
) -> str:
    seen = [one for one in notices if not (one.is_turned_over or one.refused_because)]
    there = {one.number for one in notices}
    unsent = "".join(
        f"<li>{escape(number)}: {escape(because)} {_button('Take it again', 'take_again', number)}"
        for number, because in refused.items()
        if number not in there
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width"><title>Notice board</title>
<style>{_STYLE}</style></head><body>
<h1>Notice board</h1>
<p>{len(seen)} of {len(notices)} notices can be seen; {len(messages)} messages. The page looks
again every five seconds.</p>
<h2>Bad days</h2><p>{"".join(_trouble(one, trouble) for one in troubles)}</p>
{f"<h2>Refused</h2><ul>{unsent}</ul>" if unsent else ""}
<h2>Messages</h2><main>{"".join(map(_message, messages)) or "<p>None.</p>"}</main>
<h2>Notices</h2><main>{"".join(map(_sheet, notices)) or "<p>Nothing hangs here.</p>"}</main>
</body></html>"""


def _sheet(one: _Notice) -> str:
    hidden = one.refused_because or ("turned over" if one.is_turned_over else "")
    refusing = (
        _button("Take it again", "take_again", one.number)
        if one.refused_because
        else _button("Refuse this item", "refuse", one.number)
    )
    return f"""<article{' class="unseen"' if hidden else ""}>
{f"<p><strong>Nobody sees this: {escape(hidden)}</strong></p>" if hidden else ""}
{_image(one.picture, one.picture_alt)}
<h3>{_link(one.link, one.heading)}</h3>
<p>{_price(one)}{"" if one.in_stock else " · sold out"}</p>
<p>{escape(one.text[:200])}</p>
{refusing}
{_button("Scribble on it", "scribble", one.number)} {_button("Tear it off", "tear_off", one.number)}
</article>"""


def _message(one: _Message) -> str:
    pictures = "".join(_image(picture.url, picture.alt) for picture in one.pictures)
    text = escape(one.text).replace("\n", "<br>")
    return f'<article id="{escape(one.id)}">{pictures}<p>{text}</p></article>'


def _price(one: _Notice) -> str:
    now = datetime.now(UTC)
    begun = not one.reduced_from or datetime.fromisoformat(one.reduced_from) <= now
    over = one.reduced_until and datetime.fromisoformat(one.reduced_until) <= now
    if one.reduced and begun and not over:
        return f"<strong>{escape(one.reduced)}</strong> <s>{escape(one.price)}</s>"
    return f"<strong>{escape(one.price)}</strong>"


def _trouble(one: str, present: str) -> str:
    return (
        '<form method="post" action="/keeper"><input type="hidden" name="do" value="trouble">'
        f'<button name="trouble" value="{one}" aria-pressed="{str(one == present).lower()}">'
        f"{one.replace('_', ' ')}</button></form> "
    )


def _button(text: str, do: str, number: str) -> str:
    return (
        f'<form method="post" action="/keeper"><input type="hidden" name="do" value="{do}">'
        f'<button name="number" value="{escape(number)}">{text}</button></form>'
    )


def _link(address: str, text: str) -> str:
    if address.startswith(("http://", "https://")):
        return f'<a href="{escape(address)}">{escape(text)}</a>'
    return escape(text)


def _image(address: str, alt: str) -> str:
    if address.startswith(("http://", "https://")):
        return f'<img src="{escape(address)}" alt="{escape(alt)}" loading="lazy">'
    return ""
