"""The templates of mails and invoices, read at the start, and the words they are written with.

A mail has one template for what it says and two sets of parts, HTML and plain text: nothing can
stand in one and be missing in the other.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jinja2
import msgspec
from markupsafe import Markup, escape

from liveshop.web import LANGUAGES

_FOLDER = Path(__file__).parent / "templates"
_PLACE = re.compile(r"\{(\w+)\}")
_EMPTY_LINES = re.compile(r"\n{3,}")
Form = Literal["html", "txt"]


@dataclass(frozen=True, slots=True)
class Templates:
    """Read with `load`, which blocks, before the loop runs."""

    html: jinja2.Environment
    text: jinja2.Environment
    words: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls) -> "Templates":
        sources = {
            path.name.removesuffix(".j2"): path.read_text(encoding="utf-8")
            for path in sorted(_FOLDER.glob("*.j2"))
        }
        words = {
            language: msgspec.json.decode(
                (_FOLDER / f"words.{language}.json").read_bytes(), type=dict[str, str]
            )
            for language in LANGUAGES
        }
        return cls(_environment(sources, "html"), _environment(sources, "txt"), words)

    def page(self, template: str, language: str, **data: Any) -> str:
        """HTML."""
        say = translator(self.words[language], is_html=True)
        return self.html.get_template(template).render(language=language, t=say, **data)

    def plain(self, template: str, language: str, **data: Any) -> str:
        """The same for readers of text alone."""
        say = translator(self.words[language], is_html=False)
        text = self.text.get_template(template).render(language=language, t=say, **data)
        return _EMPTY_LINES.sub("\n\n", text).strip() + "\n"

    def line(self, key: str, language: str, **values: Any) -> str:
        """One sentence, as text."""
        return translator(self.words[language], is_html=False)(key, **values)


def translator(words: Mapping[str, str], *, is_html: bool) -> Callable[..., str]:
    """`t(key, **values)`. In HTML each value stands isolated: a name in a right-to-left script must
    not turn the sentence around it."""

    def translate(key: str, **values: Any) -> str:
        if not is_html:
            return _PLACE.sub(lambda found: str(values[found[1]]), words[key])
        return Markup(  # noqa: S704  # both parts are escaped
            _PLACE.sub(
                lambda found: f"<bdi>{escape(values[found[1]])}</bdi>", str(escape(words[key]))
            )
        )

    return translate


def _environment(sources: Mapping[str, str], form: Form) -> jinja2.Environment:
    chosen = {
        "layout": sources[f"layout.{form}"],
        "blocks": sources[f"blocks.{form}"],
    }
    return jinja2.Environment(
        loader=jinja2.DictLoader({**sources, **chosen}),
        autoescape=form == "html",  # noqa: S701  # plain text has nothing to escape
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
    )
