"""OpenStack Swift with its S3 API, as its packages from PyPI start it: a real storage, small.

Four processes (accounts, containers, objects and the proxy that clients talk to) on one disk, with
one copy of everything.
"""

import os
import pwd
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.store import S3Store
from video_house import free_ports

from liveshop.settings import VideoSettings

BUCKET = "recordings"
KEY_ID = "live:shop"
SECRET = "a-secret-of-the-storage"
_READY_SECONDS = 30.0
_BIN = Path(sys.executable).parent
_KINDS = ("account", "container", "object")

_COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {folder}
devices = {folder}/node
mount_check = false
disable_fallocate = true
user = {user}
"""
_NODE = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
_PROXY = """
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_live_shop = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""
_RINGS = """
import sys
from swift.common.ring import RingBuilder
for ring in sys.argv[2:]:
    kind, port = ring.split("=")
    builder = RingBuilder(4, 1, 1)
    here = {"ip": "127.0.0.1", "port": int(port), "device": "d1", "region": 1, "zone": 1}
    builder.add_dev({"id": 0, "weight": 1, "meta": "", **here})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{kind}.ring.gz")
"""


@dataclass
class SwiftServer:
    folder: Path
    port: int
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, folder: str, *, secret: str = SECRET) -> VideoSettings:
        return VideoSettings(
            archive_url=f"s3://{BUCKET}/{folder}",
            archive_endpoint=self.endpoint,
            archive_region="us-east-1",
            archive_key_id=KEY_ID,
            archive_secret=secret,
        )

    def start(self, kind: str) -> None:
        with (self.folder / f"{kind}.log").open("ab") as log:
            self.processes[kind] = subprocess.Popen(
                [_BIN / f"swift-{kind}-server", self.folder / f"{kind}.conf", "-v"],
                stdout=log,
                stderr=log,
            )

    def stop(self, kind: str) -> None:
        process = self.processes.pop(kind)
        process.kill()
        process.wait(10)

    def hang(self, kind: str) -> None:
        self.processes[kind].send_signal(signal.SIGSTOP)

    def go_on(self, kind: str) -> None:
        self.processes[kind].send_signal(signal.SIGCONT)

    def until_ready(self) -> None:
        store = S3Store(
            BUCKET,
            config={
                "endpoint": self.endpoint,
                "region": "us-east-1",
                "access_key_id": KEY_ID,
                "secret_access_key": SECRET,
            },
            client_options={"allow_http": True},
        )
        make = obstore.sign(store, "PUT", "", timedelta(minutes=5))
        until = time.monotonic() + _READY_SECONDS
        while not _is_made(make):
            log = "".join(path.read_text() for path in self.folder.glob("*.log"))
            assert time.monotonic() < until, log[-3000:]
            time.sleep(0.05)  # between two questions


def _is_made(url: str) -> bool:
    """Whether the bucket is there now."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 409  # it was before
    except OSError:
        return False


@contextmanager
def swift_server(folder: Path) -> Iterator[SwiftServer]:
    (folder / "node" / "d1").mkdir(parents=True)
    ports = dict(zip((*_KINDS, "proxy"), free_ports(4), strict=True))
    user = pwd.getpwuid(os.geteuid()).pw_name
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = liveshop\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    for kind, port in ports.items():
        common = _COMMON.format(port=port, folder=folder, user=user)
        more = _PROXY.format(secret=SECRET) if kind == "proxy" else _NODE.format(kind=kind)
        (folder / f"{kind}.conf").write_text(common + more)
    rings = [f"{kind}={ports[kind]}" for kind in _KINDS]
    subprocess.run([sys.executable, "-c", _RINGS, folder, *rings], check=True, capture_output=True)
    server = SwiftServer(folder, ports["proxy"])
    try:
        for kind in ports:
            server.start(kind)
        server.until_ready()
        yield server
    finally:
        for kind in list(server.processes):
            server.stop(kind)
