"""Run a fake by hand: `python -m fakes x --port 9101` in the folder `tests`."""

import asyncio
from importlib import import_module

import click
from aiohttp import web

from fakes.serving import serve

FAKES = {
    "shopify": "fakes.shopify:make_demo_app",
    "meta": "fakes.meta:make_app",
    "x": "fakes.x:make_app",
}
"""Name -> `module:make_app`. Fakes are imported when asked for: each loads a specification."""


@click.command()
@click.argument("name", type=click.Choice(sorted(FAKES)))
@click.option("--port", type=int, default=0, show_default="any free one")
def main(name: str, port: int) -> None:
    """Serve the fake of a vendor on 127.0.0.1 until interrupted."""
    module, function = FAKES[name].split(":")
    app, _ = getattr(import_module(module), function)()
    asyncio.run(_serve(app, port))


async def _serve(app: web.Application, port: int) -> None:
    async with serve(app, port=port) as base_url:
        click.echo(base_url)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        click.echo("stopped")
