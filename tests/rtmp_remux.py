"""Publishes a film file with libav's own RTMP client, copied, as fast as it is taken.

`python rtmp_remux.py FILE URL [START_SECONDS]`. A process of its own, since PyAV keeps the
interpreter's lock while it connects and writes: in one process with the server both would wait.
"""

import sys

import av

SECONDS = 10.0


def remux(file: str, url: str, *, start_seconds: float = 0.0) -> None:
    with (
        av.open(file) as film,
        av.open(url, "w", format="flv", timeout=(SECONDS, SECONDS)) as encoder,
    ):
        streams = {s.index: encoder.add_stream_from_template(s) for s in film.streams}
        for packet in film.demux():
            if packet.dts is None or packet.pts is None:
                continue
            packet.stream = streams[packet.stream.index]
            packet.pts += round(start_seconds / packet.time_base)
            packet.dts += round(start_seconds / packet.time_base)
            encoder.mux(packet)


if __name__ == "__main__":
    try:
        remux(sys.argv[1], sys.argv[2], start_seconds=float("".join(sys.argv[3:]) or 0))
    except (av.error.FFmpegError, OSError) as error:
        sys.exit(f"not published: {error}")
