"""Somebody who writes: at a human rate, within the room's rules, and again where that can help."""

from liveshop.crowd.line import CommandRefused, Unanswered
from liveshop.crowd.plan import SHORTEST_PAUSE_SECONDS
from liveshop.crowd.tally import count
from liveshop.crowd.viewer import Viewer
from liveshop.crowd.words import line
from liveshop.crowd.world import World

_TRIES = 3
_PAUSE_SECONDS = 2.0
"""Before the next try, where the server does not say how long."""


class Chatter:
    def __init__(self, world: World, viewer: Viewer) -> None:
        self._world = world
        self._viewer = viewer
        self._random = world.random_of(viewer.person, "chat")
        self._has_spoken = False

    async def chat(self) -> None:
        """Until the end."""
        world = self._world
        mean = 60.0 / world.plan.chat_per_minute
        pause = self._random.uniform(0.0, mean)
        while not world.closing.is_set():
            await world.pause(pause)
            if world.closing.is_set():
                return
            if self._viewer.line is None:
                pause = 1.0
                continue
            await self._say(line(self._random, first=not self._has_spoken))
            shortest = max(SHORTEST_PAUSE_SECONDS, self._viewer.slow_mode_seconds + 0.2)
            # So that the mean is what was asked for though no pause is shorter than this one.
            more = max(0.0, mean - shortest)
            pause = shortest + (self._random.expovariate(1 / more) if more else 0.0)

    async def tap(self) -> None:
        """Hearts, a few taps at a time."""
        world = self._world
        if not world.plan.hearts_per_minute:
            return
        while not world.closing.is_set():
            taps = self._random.randint(1, 5)
            await world.pause(self._random.expovariate(world.plan.hearts_per_minute / 60 / taps))
            if self._viewer.line is None or world.closing.is_set():
                continue
            try:
                await self._viewer.line.ask("reaction.send", count=taps)
            except (CommandRefused, Unanswered):
                continue
            world.tally.hearts += taps

    async def _say(self, words: str) -> None:
        chat = self._world.tally.chat
        for _ in range(_TRIES):
            if self._viewer.line is None:
                return
            mark = self._world.marks.new(self._viewer.person, self._world.now())
            chat.sent += 1
            try:
                await self._viewer.line.ask("chat.send", text=self._world.marks.text(words, mark))
            except Unanswered:
                # Sent again it might stand there twice; whether it does is seen in the log.
                chat.unanswered.add(mark)
                return
            except CommandRefused as error:
                count(chat.refused, error.code)
                if not error.is_retryable:
                    return
                await self._world.pause(error.retry_after or _PAUSE_SECONDS)
                if self._world.closing.is_set():
                    return
            else:
                self._has_spoken = True
                chat.acknowledged.add(mark)
                return
