"""What people write in a live shopping chat, so that a host practises with something to read."""

from random import Random

_GREETINGS = (
    "Hi everyone!",
    "Hello from {place}",
    "Made it just in time",
    "Good evening!",
    "Hallo zusammen",
    "Grüße aus {place}",
    "First time here, love it",
)
_QUESTIONS = (
    "Does it come in {colour}?",
    "How big is it exactly?",
    "Is it dishwasher safe?",
    "Could you show it from the back?",
    "How long is the delivery to {place}?",
    "Is there a set of two?",
    "What is it made of?",
    "Gibt es das auch in {colour_de}?",
    "Wie schwer ist das?",
    "Can you hold it up to the light please",
    "Is it still available in {colour}?",
)
_REMARKS = (
    "That {colour} is gorgeous",
    "Just ordered one!",
    "I have it at home, it is great",
    "Love the {colour} one",
    "Nice price",
    "Oh wow",
    "My sister needs this",
    "Sehr schön!",
    "Das nehme ich",
    "Take my money 😄",
    "Thanks for showing it again 🙏",
    "Mine arrived last week, very happy",
    "👏👏👏",
    "Haha same here",
)
_PLACES = ("Hamburg", "Wien", "Bremen", "Graz", "Köln", "Leipzig", "Kiel", "Zürich")
_COLOURS = ("blue", "green", "terracotta", "white", "sand", "black")
_COLOURS_DE = ("Blau", "Grün", "Terrakotta", "Weiß", "Sand", "Schwarz")


def line(rng: Random, *, first: bool) -> str:
    """A line of chat; somebody's `first` one is often a greeting."""
    kind: tuple[str, ...] = _QUESTIONS if rng.random() < 0.45 else _REMARKS
    if first and rng.random() < 0.5:
        kind = _GREETINGS
    return rng.choice(kind).format(
        place=rng.choice(_PLACES), colour=rng.choice(_COLOURS), colour_de=rng.choice(_COLOURS_DE)
    )
