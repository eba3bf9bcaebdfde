"""A browser's camera that sees what a test holds before it."""

import io
from pathlib import Path

import segno
from e2e.people import arguments, executable
from PIL import Image
from playwright.async_api import Browser, Playwright

_FRAMES = 4
_SIZE = (640, 480)
_TABLE = (150, 140, 130)
_CARD_HEIGHT = 420


class Camera:
    """Chromium plays a film of JPEGs as its camera, and reads the file again each time the camera
    is switched on: `sees` is for the next time."""

    def __init__(self, folder: Path) -> None:
        self._film = folder / "camera.mjpeg"
        self.sees_code("NOTHING")

    async def launch(self, playwright: Playwright) -> Browser:
        return await playwright.chromium.launch(
            executable_path=executable(),
            args=[
                *arguments(),
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={self._film}",
            ],
        )

    def sees(self, picture: bytes) -> None:
        """A picture with a code on it lies on a grey table, a little turned as a hand holds it."""
        card = Image.open(io.BytesIO(picture)).convert("RGB")
        width = round(card.width * _CARD_HEIGHT / card.height)
        card = card.resize((width, _CARD_HEIGHT), Image.Resampling.LANCZOS)
        card = card.rotate(4, expand=True, fillcolor=_TABLE)
        table = Image.new("RGB", _SIZE, _TABLE)
        table.paste(card, ((_SIZE[0] - card.width) // 2, (_SIZE[1] - card.height) // 2))
        frame = io.BytesIO()
        table.save(frame, "JPEG", quality=80)
        self._film.write_bytes(frame.getvalue() * _FRAMES)

    def sees_code(self, code: str) -> None:
        drawn = io.BytesIO()
        segno.make_qr(code, error="m").save(drawn, kind="png", scale=9, border=4)
        self.sees(drawn.getvalue())
