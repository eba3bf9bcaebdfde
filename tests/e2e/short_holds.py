"""A demo whose holds end after 30 seconds, the shortest the settings allow.

`liveshop demo` reads no environment, so that a demo is the same everywhere; the tests want
this one number to be another.
"""

import sys
from pathlib import Path

import click
import msgspec
import uvloop

from liveshop.demo import run as demo_run
from liveshop.web import logs


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--json", "as_json", is_flag=True)
def main(port: int, data: Path, as_json: bool) -> None:
    logs.configure(level="warning", fmt="console")
    plan = demo_run.prepare(
        data=data,
        host="127.0.0.1",
        public_host="127.0.0.1",
        port=port,
        fresh=False,
        progress=lambda *_: None,
        environ={
            "LIVESHOP_CHECKOUT__HOLD_SECONDS": "30",
            "LIVESHOP_CHECKOUT__HOLD_WARNING_SECONDS": "20",
        },
    )

    def ready(addresses: demo_run.Addresses) -> None:
        sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
        sys.stdout.flush()

    uvloop.run(demo_run.run(plan, ready))


if __name__ == "__main__":
    main()
