"""Which Redis keeps what it answered, and what an operator is told of the others."""

import pytest

from liveshop.realtime.redis_doctor import problems_in
from liveshop.realtime.redis_facts import keeps_everything, version_of

INFO = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "role": "master",
    "connected_slaves": "0",
    "master_replid2": "0" * 40,
    "maxmemory": "0",
    "maxmemory_policy": "noeviction",
}
CONFIG = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}


def test_a_lone_server_that_writes_before_it_answers_keeps_everything() -> None:
    assert keeps_everything(INFO, CONFIG)
    assert problems_in(INFO, CONFIG) == []


@pytest.mark.parametrize(
    ("info", "config"),
    [
        ({}, {"appendonly": "no"}),
        ({}, {"appendfsync": "everysec"}),
        ({}, {"no-appendfsync-on-rewrite": "yes"}),
        ({"connected_slaves": "1"}, {}),
        ({"role": "slave"}, {}),
        ({"master_replid2": "f" * 40}, {}),  # it was a replica until its master was gone
    ],
)
def test_any_other_is_taken_to_lose_something(info: dict[str, str], config: dict[str, str]) -> None:
    assert not keeps_everything(INFO | info, CONFIG | config)
    assert any("taken for lost" in one for one in problems_in(INFO | info, CONFIG | config))


def test_one_that_does_not_tell_is_taken_to_lose_something() -> None:
    assert not keeps_everything(INFO, {})


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"redis_version": "6.0.16"}, "6.2 or newer"),
        ({"redis_mode": "cluster"}, "Cluster"),
        ({"role": "slave"}, "replica"),
        ({"maxmemory": "1000", "maxmemory_policy": "volatile-lru"}, "volatile-lru"),
    ],
)
def test_what_does_not_do_for_rooms_is_said(info: dict[str, str], words: str) -> None:
    assert any(words in one for one in problems_in(INFO | info, CONFIG))


def test_versions_are_compared_as_numbers() -> None:
    assert version_of({"redis_version": "7.10.1"}) > version_of({"redis_version": "7.2.9"})
    assert version_of({"redis_version": "255.255.255"}) > (6, 2)
