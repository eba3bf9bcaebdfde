"""Sending video to a show, over HTTP: keys, the encoder's delay, and what became of it."""

from liveshop.kernel.ids import ShowId
from liveshop.shows import wire
from liveshop.shows.broadcast import Broadcasts
from liveshop.shows.model import UnknownShow, WrongState
from liveshop.shows.stream_keys import StreamKeys, UnknownStreamKey
from liveshop.web import Call, Endpoint, permission


def endpoints(keys: StreamKeys, broadcasts: Broadcasts) -> list[Endpoint]:
    async def list_stream_keys(call: Call) -> wire.StreamKeys:
        return await keys.list_keys(_show_id(call), call.principal)

    async def issue_stream_key(call: Call) -> wire.NewStreamKey:
        return await keys.issue(_show_id(call), call.principal)

    async def revoke_stream_key(call: Call) -> None:
        await keys.revoke(_show_id(call), call.params["person_id"])

    async def get_encoder_delay(call: Call) -> wire.EncoderDelay:
        return await keys.delay_of(call.principal)

    async def set_encoder_delay(call: Call) -> wire.EncoderDelay:
        return await keys.set_delay(call.principal, call.body.milliseconds)

    async def show_log(call: Call) -> wire.ShowLog:
        return await broadcasts.log(_show_id(call))

    read, write = permission("shows:read"), permission("shows:write")
    return [
        Endpoint(
            "GET",
            "/api/shows/{show_id}/stream-keys",
            list_stream_keys,
            read,
            "Where encoders send a show's video, and who has a key for it",
            "shows",
            answer=wire.StreamKeys,
            errors=(UnknownShow,),
        ),
        Endpoint(
            "POST",
            "/api/shows/{show_id}/stream-keys",
            issue_stream_key,
            write,
            "A stream key for whoever calls, shown once; the one he had stops at once",
            "shows",
            answer=wire.NewStreamKey,
            status=201,
            errors=(UnknownShow, WrongState),
        ),
        Endpoint(
            "DELETE",
            "/api/shows/{show_id}/stream-keys/{person_id}",
            revoke_stream_key,
            write,
            "Revoke a stream key; what is sent with it is cut off",
            "shows",
            status=204,
            errors=(UnknownShow, UnknownStreamKey),
        ),
        Endpoint(
            "GET",
            "/api/encoder-delay",
            get_encoder_delay,
            write,
            "How long the caller's camera and encoder take",
            "shows",
            answer=wire.EncoderDelay,
        ),
        Endpoint(
            "PUT",
            "/api/encoder-delay",
            set_encoder_delay,
            write,
            "Set how long they take, so that cues meet the picture",
            "shows",
            body=wire.EncoderDelayInput,
            answer=wire.EncoderDelay,
        ),
        Endpoint(
            "GET",
            "/api/shows/{show_id}/log",
            show_log,
            read,
            "What became of a show's video: when it came, went and came back",
            "shows",
            answer=wire.ShowLog,
            errors=(UnknownShow,),
        ),
    ]


def _show_id(call: Call) -> ShowId:
    return ShowId(call.params["show_id"])
