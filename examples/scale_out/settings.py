"""The example's own addresses put into the files that operators start from: each line that is
changed has to be there exactly once, or the file has been changed and this has not."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class NoSuchLine(Exception):
    """A line that was to be replaced is not in the file, or is there twice."""


def toml(tree: Mapping[str, Any]) -> str:
    """Settings by dotted names as a liveshop.toml."""
    sections: dict[str, list[str]] = {"": []}
    for dotted, value in tree.items():
        section, _, name = dotted.rpartition(".")
        # Such values are spelled in TOML as in JSON.
        sections.setdefault(section, []).append(f"{name} = {json.dumps(value)}")
    text = "".join(f"{line}\n" for line in sections.pop(""))
    return text + "".join(
        f"\n[{section}]\n" + "".join(f"{line}\n" for line in lines)
        for section, lines in sections.items()
    )


def vcl(text: str, *, backend: int) -> str:
    return _replaced(text, '.port = "8080";', f'.port = "{backend}";')


def nginx(
    text: str,
    *,
    folder: Path,
    listen: str,
    backend: int,
    varnish: int,
    nodes: Sequence[int],
    rtmp_nodes: Sequence[int],
    rtmp_listen: str,
    stream_module: str,
    most_files: int,
) -> str:
    """`stream_module`: empty where it is built in. `rtmp_listen`: empty where there is none."""
    modules = f"load_module {stream_module};" if stream_module and rtmp_listen else ""
    text = _replaced(text, "include /etc/nginx/modules-enabled/*.conf;", modules)
    text = _replaced(text, "pid /run/nginx.pid;", f"pid {folder / 'pid'};")
    text = _replaced(
        text, "error_log /var/log/nginx/error.log warn;", f"error_log {folder / 'log'} warn;"
    )
    files = 262144 if most_files < 0 else min(262144, most_files)
    text = _replaced(text, "worker_rlimit_nofile 262144;", f"worker_rlimit_nofile {files};")
    connections = min(65536, files // 2)
    text = _replaced(text, "worker_connections 65536;", f"worker_connections {connections};")
    # Without root nothing else may be written to.
    folders = "".join(
        f"    {kind}_temp_path {folder / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = _replaced(text, "    access_log off;\n", f"    access_log off;\n{folders}")
    text = _replaced(text, "listen 80 backlog=65535;", f"listen {listen};")
    text = _replaced(text, "listen 127.0.0.1:8080 backlog=65535;", f"listen 127.0.0.1:{backend};")
    text = _replaced(text, "server 127.0.0.1:8080 backup;", f"server 127.0.0.1:{backend} backup;")
    text = _replaced(text, "server 127.0.0.1:6081 ", f"server 127.0.0.1:{varnish} ")
    for place, port in enumerate(nodes, start=1):
        text = _replaced(text, f"server 127.0.0.1:808{place} ", f"server 127.0.0.1:{port} ")
    for place, port in enumerate(rtmp_nodes, start=1):
        text = _replaced(text, f"server 127.0.0.1:1935{place} ", f"server 127.0.0.1:{port} ")
    if not rtmp_listen:
        return re.sub(r"(?ms)^stream \{.*?^\}\n", "", text)
    return _replaced(text, "listen 1935;", f"listen {rtmp_listen};")


def _replaced(text: str, old: str, new: str) -> str:
    """Raises NoSuchLine. What stands in a comment does not count."""
    pattern = re.compile(rf"(?m)^(?P<before>[^#\n]*?){re.escape(old)}")
    found = len(pattern.findall(text))
    if found != 1:
        raise NoSuchLine(f"`{old.strip()}` is {found} times in the example's configuration.")
    return pattern.sub(lambda one: one["before"] + new, text)
