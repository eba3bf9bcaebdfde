"""Recordings and replays over HTTP."""

from liveshop.kernel.ids import ShowId
from liveshop.shows import replay_wire
from liveshop.shows.model import CustomersOnly, UnknownShow
from liveshop.shows.replay_model import (
    BadFile,
    BadKeep,
    BadTrim,
    FileId,
    NoReplay,
    NothingRecorded,
    StillRunning,
    TooManyFiles,
    UnknownFile,
)
from liveshop.shows.replays import Replays
from liveshop.web import PUBLIC, Call, Endpoint, permission


def endpoints(replays: Replays) -> list[Endpoint]:
    async def get_replay(call: Call) -> replay_wire.Replay:
        return await replays.replay(_show_id(call), call.principal)

    async def get_recording(call: Call) -> replay_wire.Recording:
        return await replays.recording(_show_id(call))

    async def trim_recording(call: Call) -> replay_wire.Recording:
        return await replays.trim(_show_id(call), call.body)

    async def keep_recording(call: Call) -> replay_wire.Recording:
        return await replays.keep(_show_id(call), call.body)

    async def delete_recording(call: Call) -> None:
        await replays.delete(_show_id(call))

    async def make_recording_file(call: Call) -> replay_wire.RecordingFile:
        return await replays.request_file(_show_id(call), call.body)

    async def delete_recording_file(call: Call) -> None:
        await replays.remove_file(_show_id(call), FileId(call.params["file_id"]))

    read, write = permission("shows:read"), permission("shows:write")
    not_there = (UnknownShow, StillRunning, NothingRecorded)
    return [
        Endpoint(
            "GET",
            "/api/shows/{show_id}/replay",
            get_replay,
            PUBLIC,
            "What a player shows of a show that can be seen again: chapters, preview pictures",
            "shows",
            answer=replay_wire.Replay,
            errors=(UnknownShow, CustomersOnly, NoReplay),
        ),
        Endpoint(
            "GET",
            "/api/shows/{show_id}/recording",
            get_recording,
            read,
            "What is recorded of a show, and what was made of it",
            "shows",
            answer=replay_wire.Recording,
            errors=(UnknownShow,),
        ),
        Endpoint(
            "PUT",
            "/api/shows/{show_id}/recording/trim",
            trim_recording,
            write,
            "Set from when until when viewers see it; files of the whole are made anew",
            "shows",
            body=replay_wire.Trim,
            answer=replay_wire.Recording,
            errors=(*not_there, BadTrim),
        ),
        Endpoint(
            "PUT",
            "/api/shows/{show_id}/recording/keep",
            keep_recording,
            write,
            "Set until when it is kept",
            "shows",
            body=replay_wire.Keep,
            answer=replay_wire.Recording,
            errors=(*not_there, BadKeep),
        ),
        Endpoint(
            "DELETE",
            "/api/shows/{show_id}/recording",
            delete_recording,
            write,
            "Delete it and all that was made of it, from the disk and the archive",
            "shows",
            status=204,
            errors=(UnknownShow, StillRunning),
        ),
        Endpoint(
            "POST",
            "/api/shows/{show_id}/recording/files",
            make_recording_file,
            write,
            "Have an MP4 file made of the whole recording or a part of it, or its pictures",
            "shows",
            body=replay_wire.FileInput,
            answer=replay_wire.RecordingFile,
            status=202,
            errors=(*not_there, BadFile, TooManyFiles),
        ),
        Endpoint(
            "DELETE",
            "/api/shows/{show_id}/recording/files/{file_id}",
            delete_recording_file,
            write,
            "Delete a file; one that is being made is given up",
            "shows",
            status=204,
            errors=(UnknownShow, UnknownFile),
        ),
    ]


def _show_id(call: Call) -> ShowId:
    return ShowId(call.params["show_id"])
