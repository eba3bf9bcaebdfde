"""What `liveshop serve` says when it cannot listen for encoders: which setting, and what to do."""

import shutil
import socket
from pathlib import Path

import pytest
from blockbuster import BlockBuster
from smtp_server import certificate

from liveshop.app import opened
from liveshop.cli.console import Fault, in_words, run_to_end
from liveshop.serving import taking_video
from liveshop.settings import load


@pytest.fixture(autouse=True)
def process(no_blocking_calls: BlockBuster) -> None:
    """A command has its process to itself: it may read files while it starts."""
    no_blocking_calls.deactivate()


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path) -> Path:
    """With a database, `certificate.pem` and `key.pem`."""
    shutil.copy(sqlite_template, tmp_path / "liveshop.sqlite3")
    certificate(tmp_path)
    return tmp_path


def said(folder: Path, **video: object) -> str:
    """What the operator is told."""
    given = {
        "video.rtmp_port": 0,
        "video.rtmps_port": 0,
        "video.rtmps_certificate": str(folder / "certificate.pem"),
        "video.rtmps_key": str(folder / "key.pem"),
    }
    given |= {f"video.{name}": value for name, value in video.items()}
    given |= {"data_dir": str(folder), "server.host": "127.0.0.1", "server.secret": "s" * 40}
    settings = load(file=None, environ={}, overrides=given)

    async def run() -> None:
        async with opened(settings) as shop, taking_video(shop):
            pass

    with pytest.raises(Fault) as fault:
        run_to_end(run())
    return fault.value.message


@pytest.mark.parametrize("setting", ["rtmp_port", "rtmps_port"])
def test_a_port_in_use_is_named_by_its_own_setting(folder: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = said(folder, **{setting: port})
    assert f"video.{setting}: " in words
    assert str(port) in words
    assert "--port" not in words


@pytest.mark.parametrize("setting", ["rtmps_certificate", "rtmps_key"])
def test_a_missing_certificate_is_named_with_its_path(folder: Path, setting: str) -> None:
    missing = folder / "nowhere.pem"
    words = said(folder, rtmps_port=1, **{setting: str(missing)})
    assert f"video.{setting}: {missing} cannot be read" in words


def test_an_unreadable_certificate_is_not_the_data_folders_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = folder / "certificate.pem"

    def guarded(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # Whoever runs the tests may be allowed to read everything.
    monkeypatch.setattr("liveshop.serving._open_once", guarded)
    words = said(folder, rtmps_port=1)
    assert f"video.rtmps_certificate: {refused} cannot be read (Permission denied)" in words
    assert "data folder" not in words


def test_a_key_that_is_another_ones_is_said_so(folder: Path) -> None:
    (folder / "other").mkdir()
    certificate(folder / "other")
    words = said(folder, rtmps_port=1, rtmps_key=str(folder / "other" / "key.pem"))
    assert "video.rtmps_certificate, video.rtmps_key: " in words


def test_a_port_nobody_may_take_is_not_the_data_folders_fault() -> None:
    error = PermissionError(13, "error while attempting to bind on address ('::', 80): denied")
    assert "--port" in in_words(error)
