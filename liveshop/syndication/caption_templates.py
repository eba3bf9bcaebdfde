"""Templates of captions: those of the house, and what a merchant's own may do.

A template is Jinja2 with text, conditions and a few filters, and nothing else: no loops, calls,
attributes or arithmetic. So it ends, stays small and reaches nothing, whoever wrote it. For
merchants:

    {{ show_title }} {{ host_name }} {{ product_title }} {{ description }} {{ shop_name }}
        texts. `{{ description | may_shorten }}`: may be shortened where the post is too long;
        of several the last is shortened first. What is not marked is never shortened.
    {{ when }}       when the show starts, where it is: `Sat, Dec 5, 7:00 PM CET`
    {{ price }}      the price in words, with the one before and the lowest of 30 days
    {{ legal }}      what has to be said with the price
    {{ ad }}         the mark of a paid partnership: `#ad`
    {{ link }}       empty where the channel has another place for it
    {{ where }}      where to look instead, on channels where links cannot be followed
    {{ hashtags }}   as many as fit
    {{ language }} {{ kind }}   for conditions: {% if language == "de" %}...{% endif %}

Ad mark, legal note, link and hashtags are added by themselves where a template leaves them out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from liveshop.connect import PostKind
from liveshop.syndication.model import BadTemplate

MAX_TEMPLATE = 4000
SHORTENABLE = frozenset({"show_title", "host_name", "product_title", "description", "shop_name"})
_AS_IT_IS = frozenset({"when", "price", "legal", "ad", "link", "where", "hashtags"})
_NAMES = SHORTENABLE | _AS_IT_IS | {"language", "kind"}
_FILTERS = frozenset({"may_shorten", "upper", "lower", "capitalize", "trim", "default"})
_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Concat,
    nodes.Filter,
)

_ABOUT = "{% if description %}\n\n{{ description | may_shorten }}{% endif %}"
_TAIL = (
    "{% if where %}\n\n{{ where }}{% endif %}"
    "{% if link %}\n\n{{ link }}{% endif %}"
    "{% if hashtags %}\n\n{{ hashtags }}{% endif %}"
)
_AD = "{% if ad %}{{ ad }}\n{% endif %}"
_PRICE = (
    "{{ price }}{% if legal and legal != price %}"
    "{% if price %} ({{ legal }}){% else %}{{ legal }}{% endif %}{% endif %}"
)
_PRODUCT = (
    "{{ product_title | may_shorten }}{% if product_title and (price or legal) %}: {% endif %}"
    + _PRICE
)
_SHOW = "{{ show_title | may_shorten }}"
_WITH = {
    "en": "{% if host_name %} with {{ host_name | may_shorten }}{% endif %}",
    "de": "{% if host_name %} mit {{ host_name | may_shorten }}{% endif %}",
}
_ON_SALE = {
    "en": "{% if product_title or price %}\nIn the show: " + _PRODUCT + "{% endif %}",
    "de": "{% if product_title or price %}\nIn der Show: " + _PRODUCT + "{% endif %}",
}

_OPENINGS: Mapping[str, Mapping[PostKind, str]] = {
    "en": {
        "announce": _SHOW
        + "\nLive{% if when %} on {{ when }}{% endif %}"
        + _WITH["en"]
        + _ON_SALE["en"],
        "reminder": "Don’t miss it: "
        + _SHOW
        + "\nLive{% if when %} on {{ when }}{% endif %}"
        + _WITH["en"]
        + _ON_SALE["en"],
        "live_now": "We are live: " + _SHOW + _WITH["en"] + _ON_SALE["en"],
        "product_moment": _PRODUCT + "{% if show_title %}\nLive now: " + _SHOW + "{% endif %}",
        "replay": "Missed it? Watch the replay: " + _SHOW + _WITH["en"] + _ON_SALE["en"],
    },
    "de": {
        "announce": _SHOW
        + "\nLive{% if when %} am {{ when }}{% endif %}"
        + _WITH["de"]
        + _ON_SALE["de"],
        "reminder": "Nicht verpassen: "
        + _SHOW
        + "\nLive{% if when %} am {{ when }}{% endif %}"
        + _WITH["de"]
        + _ON_SALE["de"],
        "live_now": "Wir sind live: " + _SHOW + _WITH["de"] + _ON_SALE["de"],
        "product_moment": _PRODUCT + "{% if show_title %}\nJetzt live: " + _SHOW + "{% endif %}",
        "replay": "Verpasst? Hier ist die Aufzeichnung: " + _SHOW + _WITH["de"] + _ON_SALE["de"],
    },
}
_MUSTS = _PRICE + "{% if where %}\n{{ where }}{% endif %}{% if link %}\n{{ link }}{% endif %}"
BARE = (
    _AD
    + "{% if product_title %}{{ product_title | may_shorten }}{% else %}"
    + _SHOW
    + "{% endif %}{% if price or legal %}\n{% endif %}"
    + _MUSTS,
    _AD + _MUSTS,
)
"""What is left where the words around the facts do not fit, and where not even a title does."""


@dataclass(frozen=True, slots=True)
class CaptionTemplate:
    """Checked and compiled. `may_shorten`: the names marked so, in their order."""

    compiled: Template
    may_shorten: tuple[str, ...]
    names: frozenset[str]

    def render(self, values: Mapping[str, str]) -> str:
        try:
            return self.compiled.render(values)
        except (TemplateError, TypeError, ValueError) as error:
            raise BadTemplate(f"The template cannot be used: {error}") from error


def house_template(kind: PostKind, language: str) -> str:
    """The one for this kind; in English where the house has none in the language."""
    openings = _OPENINGS.get(re.split("[-_]", language)[0], _OPENINGS["en"])
    return _AD + openings[kind] + _ABOUT + _TAIL


@lru_cache(maxsize=64)
def checked(source: str) -> CaptionTemplate:
    """Raises BadTemplate, with `data.line` where that is known."""
    if len(source) > MAX_TEMPLATE:
        raise BadTemplate(
            f"The template is too long: {len(source)} characters, at most {MAX_TEMPLATE}.",
            data={"max_length": MAX_TEMPLATE},
        )
    try:
        tree = _ENVIRONMENT.parse(source)
        names, may_shorten = _check(tree)
        compiled = _ENVIRONMENT.from_string(source)
    except TemplateSyntaxError as error:
        raise BadTemplate(
            f"The template has a mistake in line {error.lineno}: {error.message}",
            data={"line": error.lineno},
        ) from error
    except (RecursionError, SyntaxError, MemoryError, TemplateError) as error:
        raise BadTemplate("The template is nested too deeply.") from error
    return CaptionTemplate(compiled, may_shorten, names)


def _check(tree: nodes.Template) -> tuple[frozenset[str], tuple[str, ...]]:
    """The names it uses, and those marked `may_shorten`."""
    names: set[str] = set()
    marked: dict[str, None] = {}
    for node in _all_of(tree):
        if not isinstance(node, _ALLOWED):
            raise _bad(node, f"{_KINDS.get(type(node), 'This')} is not for captions: {_ONLY}.")
        if isinstance(node, nodes.Name):
            if node.name not in _NAMES:
                known = ", ".join(sorted(_NAMES))
                raise _bad(node, f"There is nothing called “{node.name}”. There is: {known}.")
            names.add(node.name)
        if isinstance(node, nodes.Filter):
            name = _filtered(node)
            if node.name == "may_shorten" and name is not None:
                marked[name] = None
    return frozenset(names), tuple(marked)


_KINDS: Mapping[type[nodes.Node], str] = {
    nodes.For: "A loop",
    nodes.Call: "A call",
    nodes.Getattr: "A dot",
    nodes.Getitem: "A bracket",
    nodes.Assign: "“set”",
    nodes.Include: "“include”",
    nodes.Import: "“import”",
}
_ONLY = "only text, {{ names }}, {% if %} and the filters " + ", ".join(sorted(_FILTERS))


def _filtered(node: nodes.Filter) -> str | None:
    """The name that a filter is applied to, if it may be."""
    if node.name not in _FILTERS:
        raise _bad(node, f"There is no filter “{node.name}”: {_ONLY}.")
    if node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) > 1:
        raise _bad(node, f"The filter “{node.name}” takes at most one text.")
    inner = node.node
    while isinstance(inner, nodes.Filter):
        inner = inner.node
    name = inner.name if isinstance(inner, nodes.Name) else None
    if name in _AS_IT_IS:
        raise _bad(node, f"“{name}” is said as it is: use it without a filter.")
    if node.name == "may_shorten" and name not in SHORTENABLE:
        known = ", ".join(sorted(SHORTENABLE))
        raise _bad(node, f"“may_shorten” marks one of {known}.")
    return name


def _all_of(node: nodes.Node) -> list[nodes.Node]:
    """It and everything below, in the order of the text."""
    found = [node]
    for child in node.iter_child_nodes():
        found.extend(_all_of(child))
    return found


def _bad(node: nodes.Node, reason: str) -> BadTemplate:
    return BadTemplate(f"Line {node.lineno} of the template: {reason}", data={"line": node.lineno})


def _marked(value: str) -> str:
    """`may_shorten` itself: what is shortened is given in short."""
    return value


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined)
    environment.filters = {
        name: kept for name, kept in environment.filters.items() if name in _FILTERS
    } | {"may_shorten": _marked}
    environment.globals.clear()
    return environment


_ENVIRONMENT = _environment()
