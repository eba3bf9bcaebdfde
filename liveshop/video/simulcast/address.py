"""Where a destination is: an RTMP address taken apart, with what is wrong about it in words."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from liveshop.kernel.errors import Invalid

_PORTS: Final = {"rtmp": 1935, "rtmps": 443}
_MAX_KEY: Final = 1000


class BadDestination(Invalid):
    """The address or the key of a destination cannot be used; `detail` says why."""

    code = "bad_destination"


@dataclass(frozen=True, slots=True)
class Address:
    """`url` without the key, as people enter it: `rtmp://live.example/app`."""

    url: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """A checked address. `app`: the path, which RTMP calls the application."""

    host: str
    port: int
    app: str
    is_secure: bool

    @property
    def tc_url(self) -> str:
        """As `connect` tells it to the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "rtmps" if self.is_secure else "rtmp"
        port = "" if self.port == _PORTS[scheme] else f":{self.port}"
        return f"{scheme}://{host}{port}/{self.app}"


def server_of(url: str) -> Server:
    """Raises BadDestination, whose words repeat nothing of the address: it may hold a key."""
    text = url.strip()
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in text):
        raise BadDestination("The address holds white space. Copy it again from the platform.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadDestination("The address cannot be read. Copy it again from the platform.") from (
            None
        )
    if parts.scheme.lower() not in _PORTS:
        raise BadDestination("The address has to begin with rtmp:// or rtmps://.")
    if not parts.hostname:
        raise BadDestination("The address names no server.")
    if "@" in parts.netloc:
        raise BadDestination(
            "A user name and password in the address are not taken: addresses are shown to staff."
            " Enter the stream key in its own field."
        )
    if parts.query or parts.fragment:
        raise BadDestination(
            "The address holds a ? or #. What follows belongs to the stream key: enter it there."
        )
    app = parts.path.strip("/")
    if not app:
        raise BadDestination(
            "The address ends after the server's name. Platforms show a path too, such as /live2."
        )
    scheme = parts.scheme.lower()
    if port == 0:
        raise BadDestination("The port is a number from 1 to 65535.")
    return Server(parts.hostname, port or _PORTS[scheme], app, scheme == "rtmps")


def checked_key(key: str) -> str:
    """Without the white space that pasting brings along. Raises BadDestination."""
    key = key.strip()
    if not key:
        raise BadDestination("The stream key is empty.")
    if len(key) > _MAX_KEY or any(ord(letter) <= 32 or ord(letter) == 127 for letter in key):
        raise BadDestination("This is not a stream key: it holds white space or is too long.")
    return key
