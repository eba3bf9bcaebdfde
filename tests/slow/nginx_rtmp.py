"""Debian's nginx with its RTMP module in the part of a platform: takes streams and records them."""

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_CONFIG = """
load_module {module};
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log info;
events {{ worker_connections 64; }}
rtmp {{
  access_log off;
  server {{
    listen 127.0.0.1:{port};
    application live {{
      live on;
      record all;
      record_path {folder}/recordings;
      record_unique on;
    }}
  }}
}}
"""


@dataclass(slots=True)
class Nginx:
    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        (self.folder / "recordings").mkdir(parents=True, exist_ok=True)
        (self.folder / "recordings").chmod(0o777)  # it may write as another user
        config = self.folder / "nginx.conf"
        config.write_text(_CONFIG.format(module=MODULE, folder=self.folder, port=self.port))
        self.process = subprocess.Popen(
            ["nginx", "-p", str(self.folder), "-c", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def until_ready(self) -> None:
        async with asyncio.timeout(10):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)  # between two tries

    def kill(self) -> None:
        """As a machine that fails."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def freeze(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.thaw()
            self.process.terminate()
            try:
                self.process.wait(10)
            finally:
                self.process.kill()
                self.process.wait(10)

    @property
    def recordings(self) -> list[Path]:
        """In the order in which they were begun."""
        return sorted((self.folder / "recordings").iterdir(), key=lambda path: path.name)
