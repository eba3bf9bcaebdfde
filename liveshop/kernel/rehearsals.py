"""How what belongs to a rehearsal is told from what is real: by its id alone.

The ids of a rehearsal's guests begin as its own does, so whoever holds or orders something says
himself whether it is real, and nothing has to be flagged that could be left out. What a rehearsal
makes beside guests (orders, offers) has prefixes of its own.
"""

import secrets
from typing import Final

from liveshop.kernel.ids import LocationId, RehearsalId, ViewerId, has_prefix

GUEST: Final = "reh"
ORDER: Final = "rho"
OFFER: Final = "rhp"
_OWN: Final = "rhs"
_KIN: Final = slice(4, 17)
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_guest(rehearsal_id: RehearsalId) -> ViewerId:
    """Somebody who takes part, of 65 random bits."""
    own = "".join(secrets.choice(_ALPHABET) for _ in range(13))
    return ViewerId(f"{GUEST}_{rehearsal_id[_KIN]}{own}")


def is_rehearsing(viewer_id: str) -> bool:
    """Whether this is a guest of a rehearsal, whichever and running or not."""
    return has_prefix(viewer_id, GUEST)


def takes_part(viewer_id: str, rehearsal_id: RehearsalId) -> bool:
    return is_rehearsing(viewer_id) and viewer_id[_KIN] == rehearsal_id[_KIN]


def shelf_of(id_: str) -> LocationId | None:
    """Where the stock of a rehearsal lies, by its id or by that of one of its guests; None for
    everybody else, who takes from the shop's own locations."""
    if not (is_rehearsing(id_) or has_prefix(id_, _OWN)):
        return None
    return LocationId(f"loc_{id_[_KIN]}{'0' * 13}")


def guests_pattern(rehearsal_id: RehearsalId) -> str:
    """For LIKE with `\\` as the escape: the ids of its guests."""
    return f"{GUEST}\\_{rehearsal_id[_KIN]}%"
