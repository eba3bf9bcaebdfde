"""How the Graph API is spoken to: nothing secret where logs see it, and no more than is allowed."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from fakes.meta import (
    APP_SECRET,
    PAGE_ID,
    PAGE_TOKEN,
    USER_TOKEN,
    VERSION,
    FakeMeta,
    make_app,
)
from fakes.serving import serve
from meta_builders import config_of, meta

from connectors.channels.meta.graph import Graph
from connectors.channels.meta.page import PageConfig
from liveshop.connect import (
    NeedsAttention,
    OutcomeUnknown,
    RetryLater,
    Secret,
    SkipListing,
)
from liveshop.connect.contract import kit_for, open_connector
from liveshop.kernel.clock import ManualClock


@asynccontextmanager
async def graph_at(
    url: str, clock: ManualClock, *, token: str = PAGE_TOKEN, app_secret: str = APP_SECRET
) -> AsyncIterator[Graph]:
    config = PageConfig(
        page_id=PAGE_ID,
        access_token=Secret(token),
        app_secret=Secret(app_secret),
        api_url=url,
        version=VERSION,
    )
    async with kit_for(clock=clock) as kit:
        graph = Graph(config, kit, permissions=("pages_manage_posts",))
        try:
            yield graph
        finally:
            await graph.close()


async def speak(graph: Graph, fake: FakeMeta) -> None:
    """A read, a write, an upload, an empty write and a deletion."""
    await graph.get(PAGE_ID, fields="id,name")
    post = await graph.post(f"{PAGE_ID}/feed", {"message": "Hello"}, is_repeatable=False)
    picture = {"source": ("picture.jpg", b"\xff\xd8\xff")}
    await graph.post(f"{PAGE_ID}/photos", {}, is_repeatable=True, parts=picture)
    with pytest.raises(SkipListing):
        await graph.post(f"{PAGE_ID}/feed", {}, is_repeatable=False)
    await graph.delete(post["id"])
    assert fake.posts == {}


async def test_no_token_stands_in_an_address_a_body_or_a_log(
    clock: ManualClock, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)  # urllib3 logs every address there
    async with meta() as (url, fake), graph_at(url, clock) as graph:
        await speak(graph, fake)
        fake.faults.everything = "revoked"  # Meta repeats the token in what it says
        with pytest.raises(NeedsAttention) as refused:
            await graph.get(PAGE_ID, fields="id")
    assert len(fake.addresses) == 6
    out, err = capsys.readouterr()
    seen = "\n".join([*fake.addresses, caplog.text, out, err, str(refused.value), repr(graph)])
    for secret in (USER_TOKEN, PAGE_TOKEN, APP_SECRET):
        assert secret not in seen


async def test_every_call_goes_to_the_version_that_is_set(clock: ManualClock) -> None:
    async with meta() as (url, fake), graph_at(url, clock) as graph:
        await speak(graph, fake)
    assert all(f"/{VERSION}/" in address for address in fake.addresses)


async def test_a_wrong_name_a_wrong_type_and_a_wrong_edge_are_noticed(clock: ManualClock) -> None:
    app, fake = make_app()
    async with serve(app) as url, graph_at(url, clock) as graph:
        for path, params in (
            (f"{PAGE_ID}/feed", {"mesage": "Hello"}),
            (f"{PAGE_ID}/feed", {"message": "Hello", "published": "perhaps"}),
            (f"{PAGE_ID}/feeds", {"message": "Hello"}),
        ):
            with pytest.raises(OutcomeUnknown):
                await graph.post(path, params, is_repeatable=False)
        with pytest.raises(RetryLater):
            await graph.get(PAGE_ID, fields="id,nmae")
    assert len(fake.violations) == 4
    assert fake.violations[0] == "POST Page/feed: there is no parameter mesage"
    assert fake.posts == {}


async def test_a_wrong_proof_is_noticed(clock: ManualClock) -> None:
    app, fake = make_app()
    async with serve(app) as url:
        async with graph_at(url, clock, app_secret="another") as graph:
            with pytest.raises(SkipListing):
                await graph.get(PAGE_ID, fields="id")
        assert fake.violations == ["a wrong appsecret_proof"]
        async with graph_at(url, clock, app_secret="") as graph:
            with pytest.raises(SkipListing, match="appsecret_proof"):
                await graph.get(PAGE_ID, fields="id")


@pytest.mark.tells_secrets("url")
@pytest.mark.parametrize("where", ["address", "body"])
async def test_the_fake_notices_a_token_in_an_address_or_a_body(where: str) -> None:
    app, fake = make_app()
    async with serve(app) as url, aiohttp.ClientSession() as session:
        given = {"access_token": PAGE_TOKEN}
        kind = {"params": given} if where == "address" else {"data": given}
        async with session.post(f"{url}/{VERSION}/{PAGE_ID}/feed", **kind) as response:  # type: ignore[arg-type]
            assert response.status == 401
    assert fake.violations == ["a token outside of the header"]


async def test_a_time_out_after_a_post_leaves_its_outcome_open(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.channels.meta.graph._ANSWER_SECONDS", 0.1)
    is_over = asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        await is_over.wait()
        return web.json_response({"id": "1"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serve(app) as url, graph_at(url, clock) as graph:
        with pytest.raises(OutcomeUnknown):
            await graph.post("1/feed", {"message": "Hello"}, is_repeatable=False)
        with pytest.raises(RetryLater) as repeatable:
            await graph.get("1", fields="id")
        assert not isinstance(repeatable.value, OutcomeUnknown)
        is_over.set()


@pytest.mark.parametrize("connector", ["facebook_page", "instagram", "meta_catalog"])
async def test_calls_without_proof_work_and_are_warned_of(connector: str) -> None:
    async with meta() as (url, fake):
        fake.requires_proof = False
        config = config_of(connector, url, app_secret="")
        async with open_connector(connector, config) as opened:
            (told,) = await opened.diagnose()
            assert "app secret" in told


async def test_a_full_usage_header_holds_calls_back_until_it_is_over(clock: ManualClock) -> None:
    entry = {"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 10}
    async with meta() as (url, fake), graph_at(url, clock) as graph:
        fake.faults.usage = {"42": [entry]}
        await graph.get(PAGE_ID, fields="id")
        fake.faults.usage = None
        clock.advance(timedelta(minutes=4))
        with pytest.raises(RetryLater) as held:
            await graph.get(PAGE_ID, fields="id")
        assert held.value.after == 360
        assert len(fake.calls) == 1
        clock.advance(timedelta(minutes=6))
        await graph.get(PAGE_ID, fields="id")
        assert len(fake.calls) == 2


@pytest.mark.parametrize("kind", ["no_json", "half_sent", "lost_answer", "unavailable"])
async def test_a_post_without_a_whole_answer_has_an_unknown_outcome(
    clock: ManualClock, kind: str
) -> None:
    async with meta() as (url, fake), graph_at(url, clock) as graph:
        fake.faults.everything = kind
        with pytest.raises(OutcomeUnknown):
            await graph.post(f"{PAGE_ID}/feed", {"message": "Hello"}, is_repeatable=False)
        with pytest.raises(RetryLater) as again:
            await graph.get(PAGE_ID, fields="id")
        assert not isinstance(again.value, OutcomeUnknown)


async def test_where_nobody_listens_nothing_can_have_been_done(clock: ManualClock) -> None:
    app, _ = make_app()
    async with serve(app) as url:
        pass
    async with graph_at(url, clock) as graph:
        with pytest.raises(RetryLater) as unreachable:
            await graph.post(f"{PAGE_ID}/feed", {"message": "Hello"}, is_repeatable=False)
        assert not isinstance(unreachable.value, OutcomeUnknown)


async def test_a_redirection_is_not_followed_with_the_token(clock: ManualClock) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        raise web.HTTPFound("/elsewhere")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serve(app) as url, graph_at(url, clock) as graph:
        with pytest.raises(RetryLater):
            await graph.get(PAGE_ID, fields="id")
    assert seen == [f"/{VERSION}/{PAGE_ID}"]


async def test_only_a_few_calls_are_under_way_at_once(clock: ManualClock) -> None:
    under_way = most = 0
    everybody_is_here = asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 4:
            everybody_is_here.set()
        await everybody_is_here.wait()
        under_way -= 1
        return web.json_response({"id": "1"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serve(app) as url, graph_at(url, clock) as graph:
        await asyncio.gather(*(graph.get("1", fields="id") for _ in range(12)))
    assert most == 4


async def test_it_loads_where_warnings_are_errors_and_nothing_is_compiled_yet(
    tmp_path: object,
) -> None:
    """facebook-sdk 3.1 warns while it is compiled."""
    script = (
        "import warnings, sys; warnings.simplefilter('error'); import requests, structlog; "
        "import liveshop.connect, connectors.limits; sys.dont_write_bytecode = True; "
        "sys.pycache_prefix = sys.argv[1]; import connectors.channels.meta.graph"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": ""},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
