"""A host at the studio's camera page: opening it, sending, and what it says. In any browser that
can `goto` and `evaluate`: Playwright's, Firefox over BiDi, a tab over DevTools.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import builders
import firefox
import painted_camera
import tabs
from e2e.people import arguments, eventually, executable
from playwright.async_api import async_playwright
from video_house import VideoHouse

HOST: Final = "host@shop.example"
_OPENS_WITHIN_SECONDS: Final = 40.0
_SENDS_WITHIN_SECONDS: Final = 30.0
# Clicks and sounds need no touch in these browsers, so that every kind of them is driven alike.
_FREE: Final = ("--autoplay-policy=no-user-gesture-required",)
_SIGN_IN = """async ({email, password}) => {
  const answer = await fetch("/api/session", {
    method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({email, password}),
  });
  return answer.status;
}"""
_TOLD = """() => {
  const camera = document.querySelector("studio-camera");
  if (!camera) return null;
  const words = (name) =>
    camera.querySelector(`[data-testid=${name}]`)?.textContent.replace(/\\s+/g, " ").trim() ?? "";
  const code = camera.querySelector("[data-testid=camera-trouble]")?.dataset.code ?? "";
  return {
    ...camera.dataset, code, line: camera.querySelector("[data-testid=camera-line]")?.dataset.kbit,
    standing: words("camera-state"), hint: words("camera-hint"), trouble: words("camera-trouble"),
    gone: words("camera-gone"), words: camera.textContent.replace(/\\s+/g, " ").trim(),
  };
}"""
_CLICK = """(name) => {
  const found = document.querySelector(`[data-testid=${name}]`);
  if (!found || found.disabled) return false;
  found.click();
  return true;
}"""


class Page(Protocol):
    async def goto(self, url: str) -> Any: ...

    async def evaluate(self, function: str, given: Any = None) -> Any: ...


@dataclass(frozen=True, slots=True)
class Told:
    """What the page says of itself."""

    step: str
    """`asking`, `trouble`, `check`, `sending` or `over`."""
    state: str
    """While sending `connecting`, `sending`, `weak`, `lost` or `refused`; else the step."""
    way: str
    line_kbit: float | None
    """What the test of the line found."""
    kbit: float
    """What the encoder is asked for."""
    width: int
    height: int
    standing: str
    hint: str
    """What a person reads."""
    code: str
    words: str

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Told":
        width, _, height = told.get("size", "0x0").partition("x")
        return cls(
            step=told.get("step", ""),
            state=told.get("state", ""),
            way=told.get("way", ""),
            line_kbit=None if told.get("line") is None else float(told["line"]),
            kbit=float(told.get("kbit", 0)),
            width=int(width),
            height=int(height),
            standing=told["standing"],
            hint=told["hint"],
            code=told["code"],
            words=told["words"],
        )


@dataclass(slots=True)
class CameraHost:
    page: Any
    """A `Page`; those of Playwright and of Firefox can do more."""
    base: str
    """Where the studio is reached, which may be a proxy's port."""
    show_id: str

    async def open(self, way: str = "") -> None:
        """Up to the check of camera, microphone and line; `way` is forced. Without signing in
        twice."""
        await self.page.goto(f"{self.base}/studio")
        status = await self.page.evaluate(_SIGN_IN, {"email": HOST, "password": builders.PASSWORD})
        assert status < 300, status
        await self.page.goto("about:blank")
        forced = f"?camera={way}" if way else ""
        await self.page.goto(f"{self.base}/studio{forced}#/shows/{self.show_id}")
        await self.click("camera-open")

    async def start(self, way: str = "") -> Told:
        """Sends, once the line has been tested."""
        await self.open(way)
        await self.until(_is_checked, "the check", within=_OPENS_WITHIN_SECONDS)
        await self.click("camera-send")
        return await self.until(
            lambda told: told.state == "sending", "sending", within=_SENDS_WITHIN_SECONDS
        )

    async def click(self, test_id: str, *, within: float = _OPENS_WITHIN_SECONDS) -> None:
        async def clicked() -> bool:
            return bool(await self.page.evaluate(_CLICK, test_id))

        await eventually(clicked, f"{test_id} to be clicked", within=within)

    async def raw(self) -> dict[str, Any] | None:
        told = await self.page.evaluate(_TOLD)
        return None if told is None else dict(told)

    async def told(self) -> Told:
        told = await self.raw()
        assert told is not None, "the camera is not open"
        return Told.read(told)

    async def until(self, fits: Any, what: str, *, within: float = 30.0) -> Told:
        """The first that fits."""

        async def found() -> Told | None:
            told = await self.raw()
            if told is None:
                return None
            read = Told.read(told)
            return read if fits(read) else None

        try:
            told = await eventually(found, what, within=within)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page: {await self.raw()}") from None
        assert isinstance(told, Told)
        return told


def _is_checked(told: Told) -> bool:
    return told.step == "check" and told.line_kbit is not None


@asynccontextmanager
async def chromium(
    house: VideoHouse, *, base: str = "", is_painted: bool = True
) -> AsyncIterator[CameraHost]:
    """Not painted: Chromium's own fake devices."""
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable(), args=[*arguments(), *_FREE, *fake]
        )
        try:
            context = await browser.new_context(viewport={"width": 1280, "height": 900})
            if is_painted:
                await context.add_init_script(painted_camera.SCRIPT)
            page = await context.new_page()
            yield CameraHost(page, base or house.public, house.show_id)
        finally:
            await browser.close()


@asynccontextmanager
async def in_firefox(
    house: VideoHouse, folder: Path, *, base: str = ""
) -> AsyncIterator[CameraHost]:
    async with firefox.opened(folder) as browser:
        await browser.add_init_script(painted_camera.SCRIPT)
        page = await browser.new_page()
        yield CameraHost(page, base or house.public, house.show_id)


@asynccontextmanager
async def in_tab(house: VideoHouse, folder: Path) -> AsyncIterator[CameraHost]:
    """Of a Chromium that hides tabs; with its own fake devices, which do not mind."""
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    async with tabs.opened(folder, *_FREE, *fake) as browser:
        yield CameraHost(await browser.new_tab(), house.public, house.show_id)
