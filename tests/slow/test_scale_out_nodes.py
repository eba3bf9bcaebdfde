"""The example of a larger audience as its README says to start it: two nodes, and what is around
them. Video and chat go on when the node dies that a show's encoder was connected to."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import publisher
import pytest
from hls_rules import Playlist, check_next, checked
from nodes_house import GONE, Frames
from slow.counterparts import need
from video_builders import decode_pictures
from video_house import free_ports
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

pytestmark = pytest.mark.slow

_START = Path(__file__).resolve().parents[2] / "examples" / "scale_out" / "start"
_STARTS_WITHIN = 300.0
_BACK_WITHIN = 40.0
_SIZE = ("--size", "640x360", "--kbit", "800")


@dataclass(frozen=True)
class Example:
    told: dict[str, Any]
    process: "subprocess.Popen[str]"

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def show_id(self) -> str:
        return str(self.told["show_id"])

    @property
    def nodes(self) -> list[str]:
        return list(self.told["nodes"])

    def signal(self, part: str, number: signal.Signals) -> int:
        """To a part's process; its pid."""
        pids = json.loads(Path(self.told["pids"]).read_text(encoding="utf-8"))
        os.kill(pids[part], number)
        return int(pids[part])

    async def until_started_anew(self, part: str, *, but: int) -> None:
        async with asyncio.timeout(_BACK_WITHIN):
            while True:
                text = await asyncio.to_thread(Path(self.told["pids"]).read_text)
                if json.loads(text)[part] != but:
                    return
                await asyncio.sleep(0.1)  # between two looks

    def encoder(self, server: str) -> publisher.Publisher:
        return publisher.start(f"{server}/{self.told['stream_key']}", *_SIZE)

    def log(self, part: str) -> str:
        path = Path(self.told["state"]) / part / "log"
        return path.read_text(encoding="utf-8", errors="replace")[-3000:]


@contextmanager
def _example(folder: Path) -> Iterator[Example]:
    port, rtmp_port = free_ports(2)
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(_START, "--state", folder / "state", "--port", str(port)),
                *("--rtmp-port", str(rtmp_port), "--json"),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "start.log").read_text()
        yield Example(json.loads(line), process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(90) == 0, (folder / "start.log").read_text()
        finally:
            process.kill()
            process.wait(20)
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    need("nginx", "varnishd")
    with _example(tmp_path_factory.mktemp("scale-out")) as found:
        yield found


@dataclass
class Viewer:
    """Reads a show as a player does, by one way in; every playlist is held against the one before
    it and against the standard."""

    client: aiohttp.ClientSession
    base: str
    last: Playlist | None = None
    breaks: int = 0
    """How often the playlist went on without what it had named before."""

    async def get(self, path: str) -> tuple[int, bytes]:
        async with self.client.get(f"{self.base}/{path}") as answer:
            return answer.status, await answer.read()

    async def playlist(self) -> Playlist | None:
        """The next one; None: there is no picture now."""
        query = ""
        if self.last is not None:
            segment = self.last.segments[-1]
            is_open = segment.uri is None
            msn = segment.msn if is_open else segment.msn + 1
            query = f"?_HLS_msn={msn}&_HLS_part={len(segment.parts) if is_open else 0}"
        status, body = await self.get(f"video/live.m3u8{query}")
        if status in (404, 502, 503, 504):
            return None
        if status == 400:  # far in the future of a node that knows less: it has just begun
            self.last = None
            return None
        assert status == 200, (status, body)
        found = checked(body.decode())
        before, self.last = self.last, found
        if before is not None:
            if found.first_msn > before.segments[-1].msn:
                self.breaks += 1
                assert found.first_discontinuity > before.first_discontinuity
            else:
                check_next(before, found)
        return found

    async def pictures(self) -> int:
        """How many can be decoded of the newest whole segments, the first of which may begin with
        a picture that needs those before it."""
        assert self.last is not None
        newest = self.last.complete[-1]
        segments = [one for one in self.last.complete[-4:] if one.init == newest.init]
        files = [
            await self.get(f"video/{name}") for name in (newest.init, *(s.uri for s in segments))
        ]
        assert {status for status, _ in files} == {200}
        return len(decode_pictures(b"".join(body for _, body in files)))

    async def until_playing(self, seconds: float, *, after: Playlist | None = None) -> Playlist:
        """A playlist with pictures, which go on; newer ones than those of `after`."""
        async with asyncio.timeout(seconds):
            while True:
                found = await self.playlist()
                if found is not None and (
                    after is None or found.first_msn > after.segments[-1].msn
                ):
                    break
                await asyncio.sleep(0.2)  # as a player waits before it asks again
            for _ in range(6):
                assert await self.playlist() is not None
        assert await self.pictures() > 10
        return found


@asynccontextmanager
async def _client() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as client:
        yield client


async def _guest(client: aiohttp.ClientSession, url: str) -> str:
    async with client.post(f"{url}/api/guests", json={}) as answer:
        assert answer.status == 201
        return str((await answer.json())["token"])


@asynccontextmanager
async def _seat(
    example: Example, url: str, token: str, place: tuple[str, int] | None = None
) -> AsyncIterator[Frames]:
    query = "" if place is None else f"?epoch={place[0]}&offset={place[1]}"
    address = f"{url.replace('http', 'ws', 1)}/live/{example.show_id}{query}"
    protocols: Any = ["liveshop.v1", f"bearer.{token}"]
    async with (
        connect(address, subprotocols=protocols, proxy=None, close_timeout=1) as connection,
        Frames(connection) as frames,
    ):
        yield frames


def _place(frames: Frames) -> tuple[str, int]:
    """Where somebody who comes back goes on from."""
    hello = next(one for one in frames.frames if one.get("t") == "hello")
    offsets = [one["o"] for one in frames.frames if "o" in one]
    return hello["epoch"], max([hello["offset"], *offsets])


async def _said(frames: Frames, text: str) -> None:
    await frames.saw(
        lambda one: one.get("t") == "chat.message" and one["d"]["message"]["text"] == text
    )


async def _sent(frames: Frames, text: str) -> None:
    """As soon as it can be: whoever is told that it may be tried again does so."""
    async with asyncio.timeout(_BACK_WITHIN):
        while "ok" not in (answer := await frames.ask("chat.send", text=text)):
            assert answer["error"]["retryable"], answer
            await asyncio.sleep(0.5)  # before the next try


async def test_video_and_chat_go_on_when_the_node_dies_that_the_encoder_was_connected_to(
    example: Example,
) -> None:
    first, second = example.nodes
    hls = f"hls/{example.show_id}"
    async with _client() as client:
        ada, bob = await _guest(client, first), await _guest(client, second)
        through = Viewer(client, f"{example.url}/{hls}")
        other = Viewer(client, f"{second}/{hls}")
        encoder = await asyncio.to_thread(example.encoder, example.told["node_ingests"][0])
        try:
            await asyncio.to_thread(encoder.wait_sending)
            before = await through.until_playing(_BACK_WITHIN)
            await other.until_playing(_BACK_WITHIN)
            # Redis has no hand in video; rooms wait for it, and go on.
            example.signal("Redis", signal.SIGKILL)
            for viewer in (through, other):
                await viewer.until_playing(_BACK_WITHIN)
            assert through.breaks == other.breaks == 0
            async with (
                _seat(example, first, ada) as of_ada,
                _seat(example, second, bob) as of_bob,
            ):
                await of_ada.saw_type("hello")
                await of_bob.saw_type("hello")
                await _sent(of_ada, "from the first node")
                assert "ok" in await of_bob.ask("chat.send", text="from the second node")
                for frames in (of_ada, of_bob):
                    await _said(frames, "from the first node")
                    await _said(frames, "from the second node")
                place = _place(of_ada)

                example.signal("node-1", signal.SIGKILL)
                killed_at = time.monotonic()
                await of_ada.closed()
                # He comes back by nginx to whichever node lives, and has missed nothing.
                assert "ok" in await of_bob.ask("chat.send", text="while it was gone")
                async with _seat(example, example.url, ada, place) as back:
                    await back.saw_type("hello")
                    await _said(back, "while it was gone")
                    assert all(one.get("t") != "resume_failed" for one in back.frames)
                    # The other node says that the picture is gone, and that it may come back.
                    await of_bob.saw(
                        lambda one: one.get("t") == "video.changed" and one["d"]["state"] == "away"
                    )
                    # The encoder connects again, as OBS does, to the address it has.
                    encoder.close()
                    encoder = await asyncio.to_thread(example.encoder, example.told["ingest"])
                    await asyncio.to_thread(encoder.wait_sending)
                    await through.until_playing(_BACK_WITHIN, after=before)
                    back_after = time.monotonic() - killed_at
                    await back.saw(
                        lambda one: (
                            one.get("t") == "video.changed" and one["d"]["state"] == "on_air"
                        )
                    )
                    assert "ok" in await back.ask("chat.send", text="it goes on")
                    await _said(of_bob, "it goes on")
            print(f"The picture was back {back_after:.1f} s after the node was killed.")
            assert back_after < _BACK_WITHIN
            assert through.breaks == 1
            # The node that died runs again, and shows what is sent to the other one too.
            await _until_ready(client, first)
            for node in (first, second):
                await Viewer(client, f"{node}/{hls}").until_playing(_BACK_WITHIN)
        except BaseException:
            print(example.log("node-1"), example.log("node-2"), sep="\n---\n")
            raise
        finally:
            encoder.close()


@dataclass
class Loyal:
    """Somebody who comes back, by nginx, whenever he is sent away."""

    example: Example
    token: str
    place: tuple[str, int] | None = None
    offsets: list[int] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    to_say: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def stay(self) -> None:
        while True:
            try:
                async with _seat(self.example, self.example.url, self.token, self.place) as frames:
                    await frames.saw_type("hello")
                    self.place = _place(frames) if self.place is None else self.place
                    await self._attend(frames)
                    self.codes.append(frames.code)
            except InvalidStatus as error:
                self.refused.append(str(error))
            except GONE as error:
                self.refused.append(repr(error))
            await asyncio.sleep(random.uniform(0.05, 0.5))  # as clients do: not all at once

    async def _attend(self, frames: Frames) -> None:
        read = 0
        while frames.code is None:
            if self.to_say and "ok" in await frames.ask("chat.send", text=self.to_say[0]):
                self.said.append(self.to_say.pop(0))
            read = self._take(frames, read)
            await asyncio.sleep(0.05)  # between two looks
        self._take(frames, read)

    def _take(self, frames: Frames, read: int) -> int:
        news = frames.frames[read:]
        assert all(one.get("t") != "resume_failed" for one in news), news
        for one in news:
            if "o" in one:
                self.offsets.append(one["o"])
                assert self.place is not None
                self.place = (self.place[0], one["o"])
        return read + len(news)


async def test_a_rolling_restart_is_missed_by_nobody(example: Example) -> None:
    async with _client() as client:
        loyal = [Loyal(example, await _guest(client, example.url)) for _ in range(20)]
    talker = loyal[0]
    staying = [asyncio.create_task(one.stay()) for one in loyal]
    try:
        async with asyncio.timeout(_BACK_WITHIN):
            while any(one.place is None for one in loyal):
                await asyncio.sleep(0.05)  # until all are in
        for part in ("node-1", "node-2"):
            talker.to_say.append(f"before {part}")
            ended = example.signal(part, signal.SIGTERM)
            for turn in range(3):
                await asyncio.sleep(2.5)  # as often as one may speak
                talker.to_say.append(f"{part} drains, {turn}")
            await example.until_started_anew(part, but=ended)
            number = int(part[-1]) - 1
            async with _client() as client:
                await _until_ready(client, example.nodes[number])
        talker.to_say.append("at last")
        async with asyncio.timeout(_BACK_WITHIN):
            while talker.to_say or any(one.offsets[-1:] != talker.offsets[-1:] for one in loyal):
                await asyncio.sleep(0.1)  # until all have read it
    finally:
        for task in staying:
            task.cancel()
        ended_by = await asyncio.gather(*staying, return_exceptions=True)
    assert {type(one) for one in ended_by} == {asyncio.CancelledError}, ended_by
    # Each was sent away by each node he was on, found the other one at once, and missed nothing.
    assert {code for one in loyal for code in one.codes} == {4001}
    assert [one.refused for one in loyal if one.refused] == []
    for one in loyal:
        first, last = one.offsets[0], one.offsets[-1]
        assert one.offsets == list(range(first, last + 1))
    assert len(talker.said) == 9


async def test_varnish_keeps_nothing_that_is_somebodys(example: Example) -> None:
    url = f"{example.told['varnish']}/api/session"
    who = {"email": example.told["email"], "password": example.told["password"]}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        async with client.post(url, json=who) as answer:
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
        for headers, status in (({"Cookie": cookie}, 200), ({}, 401), ({"Cookie": cookie}, 200)):
            async with client.get(url, headers=headers) as answer:
                assert answer.status == status, await answer.text()
                assert int(answer.headers.get("Age", "0")) == 0


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    need("systemd-analyze", "curl")
    program = Path(sys.executable).parent / "liveshop"
    for name in ("liveshop@.service", "liveshop-worker.service"):
        text = (_START.parent / "systemd" / name).read_text(encoding="utf-8")
        assert "/opt/liveshop/bin/liveshop" in text
        unit = tmp_path / name.replace("@", "@1")
        unit.write_text(text.replace("/opt/liveshop/bin/liveshop", str(program)), encoding="utf-8")
        found = subprocess.run(
            ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
        )
        assert (found.returncode, found.stderr) == (0, "")


async def _until_ready(client: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                async with client.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except GONE:
                pass
            await asyncio.sleep(0.1)  # between two questions


@pytest.mark.parametrize("part", ["PostgreSQL", "Redis", "nginx", "Varnish", "node-2"])
async def test_what_is_killed_is_started_again_and_works(example: Example, part: str) -> None:
    async with _client() as client:
        token = await _guest(client, example.url)
        pid = example.signal(part, signal.SIGKILL)
        await example.until_started_anew(part, but=pid)
        async with asyncio.timeout(_BACK_WITHIN):
            while not all([await _is_ready(client, url) for url in _ways_in(example)]):
                await asyncio.sleep(0.1)  # before the next look
        async with _seat(example, example.url, token) as frames:
            await _sent(frames, f"after {part}")
            await _said(frames, f"after {part}")


def _ways_in(example: Example) -> list[str]:
    return [example.url, str(example.told["varnish"]), *example.nodes]


async def _is_ready(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
