"""A demo with other settings, `--set checkout.hold_seconds=30`, and where asked without its film.

`liveshop demo` reads no environment, so that a demo is the same everywhere; and it plays its film
into every show, so that nobody needs an encoder. Tests want one or the other to be different.
"""

import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import click
import msgspec
import uvloop

from liveshop.demo import run as demo_run
from liveshop.kernel.ids import ShowId
from liveshop.web import logs


def command(*given: str, film: bool = True) -> Sequence[str]:
    """What to start, with settings as `name=value`; for `House`."""
    options = [part for one in given for part in ("--set", one)]
    return (sys.executable, __file__, *options, *([] if film else ["--no-film"]))


@contextlib.asynccontextmanager
async def _nothing(camera: object, main_show_id: ShowId) -> AsyncIterator[None]:
    yield


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--json", "as_json", is_flag=True)
@click.option("--set", "given", multiple=True)
@click.option("--film/--no-film", default=True)
def main(port: int, data: Path, as_json: bool, given: tuple[str, ...], film: bool) -> None:
    logs.configure(level="warning", fmt="console")
    if not film:
        demo_run._Camera.rolling = _nothing  # type: ignore[assignment, method-assign]
    settings = dict(one.split("=", 1) for one in given)
    plan = demo_run.prepare(
        data=data,
        host="127.0.0.1",
        public_host="127.0.0.1",
        port=port,
        fresh=False,
        progress=lambda *_: None,
        environ={
            f"LIVESHOP_{name.upper().replace('.', '__')}": value for name, value in settings.items()
        },
    )

    def ready(addresses: demo_run.Addresses) -> None:
        sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
        sys.stdout.flush()

    uvloop.run(demo_run.run(plan, ready))


if __name__ == "__main__":
    main()
