"""Writes src/wire.gen.ts from the server's wire structs: `make types`. `--check` only compares.

What browsers may rely on is what the server encodes, so nobody writes these types by hand.
"""

import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from liveshop.app import Liveshop, wire
from liveshop.chat import wire as chat_wire
from liveshop.checkout import wire as checkout_wire
from liveshop.kernel.clock import SystemClock
from liveshop.orders import wire as orders_wire
from liveshop.realtime import wire as realtime_wire
from liveshop.settings import load
from liveshop.shows import wire as shows_wire
from liveshop.storage import Database
from liveshop.web.wire import Problem

TARGET = Path(__file__).resolve().parent / "src" / "wire.gen.ts"
_REF = "#/components/schemas/{name}"
_HEADER = """\
// Wire shapes of the Liveshop API and of the realtime protocol `liveshop.v1`.
// Written by `make types` from the server's structs; change those, not this file.
"""
_SHORT_NAMES = """
export type Money = MoneyOut;
export type Tax = TaxLine;
export type Country = ShippingCountry;
export type CommandError = ErrorOut;
export type ShowState = Show["state"];
export type OrderState = Order["state"];
export type PaymentState = Payment["state"];
export type ChatRole = ChatMessage["role"];
export type PaymentMethod = PaymentMethodChoice["id"];
"""


def render() -> str:
    """The TypeScript text."""
    with tempfile.TemporaryDirectory() as folder:
        shop = _shop(Path(folder))
        logged = shows_wire.EVENTS | chat_wire.EVENTS | checkout_wire.EVENTS | orders_wire.EVENTS
        omitted = realtime_wire.MessagesOmitted
        types = _types(shop, [*logged.values(), omitted, *realtime_wire.EVENTS.values()])
        schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
        names = {kind: _typescript(schema) for kind, schema in zip(types, schemas, strict=True)}
        parts = [_HEADER]
        parts += [_interface(name, components[name]) for name in sorted(components)]
        parts += [_SHORT_NAMES, _room_events(logged, names), _ticks(names)]
        parts.append(_commands(shop, names))
        shop.media.close()
    return "\n".join(parts)


def _shop(folder: Path) -> Liveshop:
    settings = load(
        file=None,
        environ={},
        overrides={
            "mode": "test",
            "data_dir": str(folder),
            "server.secret": "only for looking at types, never served",
            "payments.methods": ["sandbox", "invoice"],
        },
    )
    return wire(
        settings, Database.open(f"sqlite+aiosqlite:///{folder}/types.sqlite3"), None, SystemClock()
    )


def _types(shop: Liveshop, events: Iterable[type]) -> list[Any]:
    found: list[Any] = [Problem, realtime_wire.Hello, realtime_wire.ErrorOut, *events]
    for endpoint in shop.endpoints:
        if endpoint.documented:
            found += [kind for kind in (endpoint.body, endpoint.answer) if kind is not None]
    for command in shop.socket.commands.values():
        found += [command.args] + ([command.answer] if command.answer else [])
    return list(dict.fromkeys(found))


def _interface(name: str, schema: dict[str, Any]) -> str:
    properties = schema.get("properties", {})
    if not properties:
        return f"export type {name} = Record<string, never>;\n"
    required = set(schema.get("required", ()))
    lines = [
        f"  {key}{'' if key in required else '?'}: {_typescript(value)};"
        for key, value in properties.items()
    ]
    about = schema.get("description")
    comment = f"/** {' '.join(about.split())} */\n" if about else ""
    return f"{comment}export interface {name} {{\n" + "\n".join(lines) + "\n}\n"


def _typescript(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_typescript(part) for part in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(msgspec.json.encode(value).decode() for value in schema["enum"])
    if "const" in schema:
        return msgspec.json.encode(schema["const"]).decode()
    kind = schema.get("type")
    if kind == "array" and "prefixItems" in schema:
        return f"[{', '.join(map(_typescript, schema['prefixItems']))}]"
    if kind == "array":
        items = _typescript(schema.get("items", {}))
        return f"({items})[]" if " | " in items else f"{items}[]"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"Record<string, {_typescript(values) if values else 'unknown'}>"
    return {
        "string": "string",
        "integer": "number",
        "number": "number",
        "boolean": "boolean",
        "null": "null",
    }.get(str(kind), "unknown")


def _room_events(logged: Mapping[str, type], names: Mapping[Any, str]) -> str:
    rows = [f'  | Logged<"{name}", {names[kind]}>' for name, kind in logged.items()]
    return (
        "/** An event of the room's log: `o` is its number. */\n"
        "interface Logged<T extends string, D> {\n  t: T;\n  o: number;\n"
        "  at: string;\n  d: D;\n}\n\n"
        "/** In place of the logged events `from` to `o`, which are not sent to this viewer. */\n"
        "export interface More {\n"
        '  t: "more";\n  o: number;\n  from: number;\n  at?: undefined;\n'
        f"  d: {names[realtime_wire.MessagesOmitted]};\n}}\n\n"
        "export type RoomEvent =\n  | More\n" + "\n".join(rows) + ";\n"
    )


def _ticks(names: Mapping[Any, str]) -> str:
    rows = [
        f'  | {{ t: "{name}"; at?: string; d: {names[kind]} }}'
        for name, kind in realtime_wire.EVENTS.items()
    ]
    return (
        "/** Not logged: at most one a second. */\nexport type Tick =\n" + "\n".join(rows) + ";\n"
    )


def _commands(shop: Liveshop, names: Mapping[Any, str]) -> str:
    rows = []
    for name, command in shop.socket.commands.items():
        key = name if re.fullmatch(r"\w+", name) else f'"{name}"'
        answer = names[command.answer] if command.answer else "Record<string, never>"
        rows.append(f"  {key}: {{ args: {names[command.args]}; ok: {answer} }};")
    return "export interface Commands {\n" + "\n".join(rows) + "\n}\n"


def main() -> int:
    text = render()
    if "--check" in sys.argv:
        if TARGET.read_text(encoding="utf-8") == text:
            return 0
        print(f"{TARGET.name} is not what the server sends: run `make types`", file=sys.stderr)
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
