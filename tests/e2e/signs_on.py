"""A demo whose shop vouches for its customers, with the key given as `--key`.

`liveshop demo` reads no environment, so that a demo is the same everywhere.
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
@click.option("--key", required=True)
def main(port: int, data: Path, as_json: bool, key: str) -> None:
    logs.configure(level="warning", fmt="console")
    plan = demo_run.prepare(
        data=data,
        host="127.0.0.1",
        public_host="127.0.0.1",
        port=port,
        fresh=False,
        progress=lambda *_: None,
        environ={
            "LIVESHOP_CUSTOMERS__ALGORITHM": "HS256",
            "LIVESHOP_CUSTOMERS__KEY": key,
        },
    )

    def ready(addresses: demo_run.Addresses) -> None:
        sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
        sys.stdout.flush()

    uvloop.run(demo_run.run(plan, ready))


if __name__ == "__main__":
    main()
