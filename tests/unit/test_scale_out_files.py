"""What operators start from, for several nodes: settings that load, configuration that is known."""

import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from liveshop.cli import lacks_of_several_nodes
from liveshop.settings import load

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "scale_out"
SECRETS = {
    "LIVESHOP_SERVER__SECRET": "s" * 48,
    "LIVESHOP_DATABASE__URL": "postgresql+asyncpg://liveshop:pw@10.0.0.5/liveshop",
    "LIVESHOP_REALTIME__REDIS_URL": "redis://:pw@10.0.0.6:6379/0",
    "LIVESHOP_DATA_DIR": "/var/lib/liveshop/node-1",
}


@pytest.fixture
def settings_of_example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "settings", raising=False)
    import settings  # noqa: PLC0415  # the example's own module, by a path of its own

    return settings


def test_the_settings_beside_the_units_are_complete() -> None:
    lines = (FOLDER / "systemd" / "node-1.env").read_text().splitlines()
    own = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    found = load(file=FOLDER / "systemd" / "liveshop.toml", environ=SECRETS | own)
    assert (found.mode, found.realtime.broker) == ("production", "redis")
    assert found.server.node == "node-1"
    assert found.server.node_url.endswith(str(found.server.port))
    assert lacks_of_several_nodes(found) == []
    bare = {name: value for name, value in own.items() if "NODE_URL" not in name}
    without = load(file=None, environ=SECRETS | bare | {"LIVESHOP_REALTIME__BROKER": "redis"})
    lacks = [one.partition(":")[0] for one in lacks_of_several_nodes(without)]
    assert lacks == ["server.node_url", "media.folder", "video.folder"]


@pytest.mark.parametrize("unit", ["liveshop@.service", "liveshop-worker.service"])
def test_a_unit_gets_its_secrets_from_systemd_alone(unit: str) -> None:
    text = (FOLDER / "systemd" / unit).read_text()
    for name, credential in (
        ("SERVER__SECRET", "secret"),
        ("DATABASE__URL", "database_url"),
        ("REALTIME__REDIS_URL", "redis_url"),
    ):
        assert f"LoadCredential={credential}:/etc/liveshop/{credential}\n" in text
        assert f"Environment=LIVESHOP_{name}_FILE=%d/{credential}\n" in text


def test_the_configuration_of_nginx_is_the_one_the_example_knows(
    settings_of_example: ModuleType,
) -> None:
    text = (FOLDER / "nginx.conf").read_text()
    nginx = partial(
        settings_of_example.nginx,
        text,
        folder=Path("/state/nginx"),
        listen="127.0.0.1:9000",
        backend=9001,
        varnish=9002,
        nodes=[9003, 9004],
        rtmp_nodes=[9005, 9006],
    )
    made = nginx(
        rtmp_listen="127.0.0.1:9007",
        stream_module="/modules/ngx_stream_module.so",
        most_files=4096,
    )
    for port in range(9000, 9008):
        assert f":{port}" in made
    for line in ("worker_rlimit_nofile 4096;", "worker_connections 2048;"):
        assert line in made
    without = nginx(rtmp_listen="", stream_module="", most_files=-1)
    assert "stream {" not in without
    with pytest.raises(settings_of_example.NoSuchLine):
        settings_of_example.vcl("backend liveshop {}", backend=9001)
