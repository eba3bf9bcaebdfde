"""What a client may say: never an exception, always one clear outcome."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveshop.chat.wire import ChatConfigure, ChatMute, ChatSend, ReactionSend
from liveshop.realtime import CloseCode, CommandSpec
from liveshop.realtime.protocol import (
    BURST,
    MAX_REFUSED,
    CloseWith,
    Command,
    Peer,
    Refusal,
)
from liveshop.realtime.wire import Ping
from liveshop.web.access import PUBLIC
from liveshop.web.wire import Wire

MAX_BYTES = 2048


async def nothing(_session: Any, _args: Any) -> None:
    return None


def spec(name: str, args: type[Wire]) -> CommandSpec:
    return CommandSpec(name, args, PUBLIC, nothing, "for a test")


COMMANDS = {
    one.name: one
    for one in (
        spec("ping", Ping),
        spec("chat.send", ChatSend),
        spec("chat.mute", ChatMute),
        spec("chat.configure", ChatConfigure),
        spec("reaction.send", ReactionSend),
    )
}


def peer() -> Peer:
    return Peer(COMMANDS, max_frame_bytes=MAX_BYTES, now=0.0)


def say(to: Peer, now: float = 0.0, **fields: Any) -> Command | Refusal | CloseWith:
    return to.receive(json.dumps(fields), now)


def refused(outcome: Command | Refusal | CloseWith) -> tuple[int | None, str]:
    assert isinstance(outcome, Refusal)
    return outcome.id, outcome.error.code


def test_a_command_arrives_with_its_arguments() -> None:
    heard = say(peer(), id=7, t="chat.send", text="Hallo")
    assert heard == Command(7, COMMANDS["chat.send"], ChatSend(text="Hallo"))


def test_bytes_and_text_are_heard_alike() -> None:
    frame = '{"id": 0, "t": "chat.send", "text": "Grüße"}'
    assert peer().receive(frame, 0.0) == peer().receive(frame.encode(), 0.0)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b'{"id": 1, "t": "\xc3\x28"}',
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"7",
        b"[" * 1500,
        b'{"a":' * 300 + b"1" + b"}" * 300 + b"x",
        b"x" * (MAX_BYTES + 1),
        b'{"id": 1, "t": "ping"} {"id": 2, "t": "ping"}',
    ],
)
def test_what_is_no_json_object_closes_the_connection(frame: bytes) -> None:
    outcome = peer().receive(frame, 0.0)
    assert isinstance(outcome, CloseWith)
    assert outcome.code is CloseCode.PROTOCOL_VIOLATED


def test_binary_frames_close_the_connection() -> None:
    outcome = peer().receive(b'{"id": 1, "t": "ping"}', 0.0, binary=True)
    assert isinstance(outcome, CloseWith)


@pytest.mark.parametrize("bad", [None, -1, 1.5, "1", True, [1], 2**53, 10**30])
def test_a_command_needs_an_id(bad: object) -> None:
    assert refused(say(peer(), id=bad, t="ping")) == (None, "bad_command")


def test_an_id_is_used_once_and_ids_grow() -> None:
    client = peer()
    say(client, id=5, t="ping")
    # Under its own id the refusal would settle the first command.
    assert refused(say(client, id=5, t="ping")) == (None, "duplicate_id")
    assert refused(say(client, id=4, t="ping")) == (None, "duplicate_id")
    assert isinstance(say(client, id=6, t="ping"), Command)


def test_an_unknown_command_is_named_as_such() -> None:
    assert refused(say(peer(), id=1, t="chat.shout")) == (1, "unknown_command")
    assert refused(say(peer(), id=1)) == (1, "bad_command")
    assert refused(say(peer(), id=1, t=["ping"])) == (1, "bad_command")


@pytest.mark.parametrize(
    "fields",
    [
        {"t": "chat.send"},
        {"t": "chat.send", "text": 7},
        {"t": "chat.send", "text": "x", "extra": 1},
        {"t": "chat.mute", "viewer_id": "gst_1", "seconds": 10},
        {"t": "chat.mute", "viewer_id": "gst_01K0000000000000000000000\u0000", "seconds": 10},
        {"t": "chat.mute", "viewer_id": "gst_01K00000000000000000000000", "seconds": 0},
        {"t": "chat.configure", "slow_mode_seconds": -1},
        {"t": "reaction.send", "count": 11},
        {"t": "reaction.send", "count": 1.5},
    ],
)
def test_wrong_arguments_are_refused_with_the_command_id(fields: dict[str, Any]) -> None:
    assert refused(say(peer(), id=3, **fields)) == (3, "bad_command")


def test_too_many_commands_are_refused_until_time_has_passed() -> None:
    client = peer()
    for n in range(int(BURST)):
        assert isinstance(say(client, id=n, t="ping"), Command)
    outcome = say(client, id=1000, t="ping")
    assert isinstance(outcome, Refusal)
    assert outcome.error.code == "rate_limited"
    assert outcome.error.retryable
    assert outcome.error.retry_after is not None
    again = say(client, now=outcome.error.retry_after, id=1001, t="ping")
    assert isinstance(again, Command)


def test_a_flood_that_is_heard_at_times_closes_the_connection_too() -> None:
    """Between any 100 of its commands there is one whose time has come."""
    client = peer()
    outcomes = [say(client, now=n / 60, id=n, t="ping") for n in range(600)]
    assert any(isinstance(one, Command) for one in outcomes[100:120])
    assert isinstance(outcomes[-1], CloseWith)


def test_who_is_only_a_little_too_fast_is_refused_and_stays() -> None:
    client = peer()
    outcomes = [say(client, now=n / 19, id=n, t="ping") for n in range(3000)]
    assert not [one for one in outcomes if isinstance(one, CloseWith)]


def test_a_flood_closes_the_connection_whatever_it_is_made_of() -> None:
    client = peer()
    outcomes = [say(client, id=n, t="ping") for n in range(int(BURST) + MAX_REFUSED + 1)]
    assert isinstance(outcomes[-1], CloseWith)
    pings = peer()
    controls = [pings.receive_control(0.0) for _ in range(int(BURST) + MAX_REFUSED + 1)]
    assert controls[:-1] == [None] * (len(controls) - 1)
    assert isinstance(controls[-1], CloseWith)


def test_a_clock_that_stands_still_or_jumps_back_gives_no_tokens() -> None:
    client = peer()
    for n in range(int(BURST)):
        say(client, now=100.0, id=n, t="ping")
    assert isinstance(say(client, now=1.0, id=1000, t="ping"), Refusal)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
_almost = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers() | _json,
        "t": st.sampled_from(sorted(COMMANDS)) | _json,
        "text": st.text() | _json,
        "viewer_id": _json,
        "seconds": _json,
        "count": _json,
        "slow_mode_seconds": _json,
    },
)
_frames = (
    st.binary(max_size=300)
    | st.text(max_size=300)
    | _json.map(json.dumps)
    | _almost.map(json.dumps)
    | _almost.map(lambda fields: json.dumps(fields).encode()[:-1])
)


@given(st.lists(st.tuples(_frames, st.floats(0, 1e6), st.booleans()), max_size=20))
def test_nothing_a_client_sends_raises(said: list[tuple[str | bytes, float, bool]]) -> None:
    client = peer()
    used = -1
    for frame, now, binary in said:
        outcome = client.receive(frame, now, binary=binary)
        assert isinstance(outcome, (Command, Refusal, CloseWith))
        if isinstance(outcome, Command):
            assert outcome.id > used
            assert isinstance(outcome.args, outcome.spec.args)
            used = outcome.id
