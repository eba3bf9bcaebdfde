"""A demo in which no film is played: a new show waits for an encoder, and not for long.

`liveshop demo` plays its film into every show that goes live, so that nobody needs an encoder to
try it; the tests of what viewers see without a picture want the picture to stay away.
"""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import click
import msgspec
import uvloop

from liveshop.demo import run as demo_run
from liveshop.kernel.ids import ShowId
from liveshop.web import logs


@contextlib.asynccontextmanager
async def _nothing(camera: object, main_show_id: ShowId) -> AsyncIterator[None]:
    yield


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--json", "as_json", is_flag=True)
def main(port: int, data: Path, as_json: bool) -> None:
    logs.configure(level="warning", fmt="console")
    demo_run._Camera.rolling = _nothing  # type: ignore[assignment, method-assign]
    plan = demo_run.prepare(
        data=data,
        host="127.0.0.1",
        public_host="127.0.0.1",
        port=port,
        fresh=False,
        progress=lambda *_: None,
        environ={"LIVESHOP_VIDEO__GRACE_SECONDS": "8"},
    )

    def ready(addresses: demo_run.Addresses) -> None:
        sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
        sys.stdout.flush()

    uvloop.run(demo_run.run(plan, ready))


if __name__ == "__main__":
    main()
