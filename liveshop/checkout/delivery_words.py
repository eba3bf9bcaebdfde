"""Why something cannot be delivered in a way, in the buyer's words. Other languages get English."""

from collections.abc import Mapping
from typing import Literal

Problem = Literal[
    "not_delivered", "too_heavy", "only_in_store", "not_shipped", "not_to_store", "sold_out",
    "closed", "no_sale",
]  # fmt: skip

_PHRASES: Mapping[str, Mapping[Problem, str]] = {
    "en": {
        "not_delivered": "We do not ship to this country.",
        "too_heavy": "This is more than we can ship there at once. Make two orders of it.",
        "only_in_store": "{title}: only in the store, {stores}. Collect it there.",
        "not_shipped": "{title} cannot be shipped at the moment.",
        "not_to_store": "{title} cannot be collected in this store at the moment.",
        "sold_out": "{title} is sold out.",
        "closed": "This store is closed for the time being.",
        "no_sale": "Nothing can be bought in this store at the moment.",
    },
    "de": {
        "not_delivered": "In dieses Land versenden wir nicht.",
        "too_heavy": "Das ist mehr, als wir auf einmal dorthin versenden. Teile es auf zwei "
        "Bestellungen auf.",
        "only_in_store": "{title}: nur in der Filiale, {stores}. Hol es dort ab.",
        "not_shipped": "{title} können wir gerade nicht versenden.",
        "not_to_store": "{title} kannst du gerade nicht in dieser Filiale abholen.",
        "sold_out": "{title} ist ausverkauft.",
        "closed": "Diese Filiale ist bis auf Weiteres geschlossen.",
        "no_sale": "In dieser Filiale kann gerade nichts gekauft werden.",
    },
}


def problem_in_words(problem: Problem, language: str, **params: str) -> str:
    phrases = _PHRASES.get(language.partition("-")[0], _PHRASES["en"])
    return phrases[problem].format(**params)
