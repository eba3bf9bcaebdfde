"""The clock that is painted into pictures survives what happens to them on the way."""

import io

import av
import barcode
import painted
import pytest

START = 1_790_000_000_123


def _decoded(film: painted.Film, *, seconds: int) -> list[tuple[float, int | None]]:
    """When each picture is shown, in seconds, and what is read from it."""
    camera = painted.Camera(film)
    media = io.BytesIO()
    with av.open(media, "w", format="flv") as container:
        video, _ = painted.add_streams(container, film)
        for number in range(seconds * film.rate):
            at_ms = START + round(number * 1000 / film.rate)
            container.mux(video.encode(camera.picture(number, at_ms=at_ms, light=None)))
        container.mux(video.encode(None))
    media.seek(0)
    with av.open(media, format="flv") as container:
        return [
            (
                float(frame.pts * frame.time_base),
                barcode.read(memoryview(frame.planes[0]), frame.planes[0].line_size, frame.width),
            )
            for frame in container.decode(video=0)
            if frame.pts is not None and frame.time_base is not None
        ]


@pytest.mark.parametrize("encoder", ["zerolatency", "obs"])
@pytest.mark.parametrize(("width", "height", "kbit"), [(1280, 720, 2500), (640, 360, 700)])
def test_every_picture_tells_its_time_after_compression(
    encoder: str, width: int, height: int, kbit: int
) -> None:
    film = painted.Film(
        width=width, height=height, kbit=kbit, encoder=encoder, has_sound=False, gop_seconds=2
    )
    pictures = _decoded(film, seconds=2)
    assert len(pictures) == 2 * film.rate
    first = pictures[0][0]
    for seconds, read in pictures:
        assert read is not None
        assert read == pytest.approx(START + (seconds - first) * 1000, abs=1.1)


def test_a_picture_without_a_clock_is_not_misread() -> None:
    camera = painted.Camera(painted.Film())
    frame = camera.picture(0, at_ms=START, light=None)
    luma = memoryview(frame.planes[0])
    stride = frame.planes[0].line_size
    assert barcode.read(luma, stride, 1280) == START
    luma[: stride * 32] = luma[stride * 200 : stride * 232]
    assert barcode.read(luma, stride, 1280) is None
    luma[:] = bytes([128]) * len(luma)
    assert barcode.read(luma, stride, 1280) is None


def test_the_loop_fits_together() -> None:
    film = painted.Film(width=160, height=90, kbit=200)
    packets = painted.encoded_loop(film)
    for kind, step in (("video", 1 / film.rate), ("audio", 1024 / painted.SAMPLE_RATE)):
        times = [float(p.dts * p.time_base) for p in packets if p.stream.type == kind]
        assert len(times) == pytest.approx(painted.LOOP_SECONDS / step)
        assert times[0] + painted.LOOP_SECONDS - times[-1] == pytest.approx(step, abs=0.001)
