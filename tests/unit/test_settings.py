"""Settings: where they come from, in which order, and that every problem is told at once."""

from pathlib import Path
from typing import Any

import pytest

from liveshop.settings import BadSettings, Settings, load

SECRET = "x" * 32


def read(
    environ: dict[str, str] | None = None, *, file: Path | None = None, **overrides: Any
) -> Settings:
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    return load(file=file, environ=environ or {}, overrides={"server.secret": SECRET} | given)


def problems_of(
    environ: dict[str, str] | None = None, *, file: Path | None = None, **overrides: Any
) -> list[str]:
    with pytest.raises(BadSettings) as bad:
        read(environ, file=file, **overrides)
    return bad.value.problems


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "liveshop.toml"
    path.write_text('[shop]\nname = "From the file"\ncurrency = "CHF"\n[server]\nport = 1\n')
    return path


def test_the_nearer_source_wins(toml: Path) -> None:
    assert read().shop.name == "Liveshop"
    assert read(file=toml).shop.name == "From the file"
    environ = {"LIVESHOP_SHOP__NAME": "From the environment", "LIVESHOP_SERVER__PORT": "2"}
    settings = read(environ, file=toml, server__port=3)
    assert settings.shop.name == "From the environment"
    assert settings.shop.currency == "CHF"
    assert settings.server.port == 3


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("  " + "s" * 40 + "\n")
    settings = load(file=None, environ={"LIVESHOP_SERVER__SECRET_FILE": str(secret)})
    assert settings.server.secret == "s" * 40
    (problem, *_) = problems_of({"LIVESHOP_SERVER__SECRET_FILE": str(tmp_path / "nothing")})
    assert problem.startswith("LIVESHOP_SERVER__SECRET_FILE: cannot read")


def test_text_of_the_environment_becomes_what_is_meant() -> None:
    settings = read(
        {
            "LIVESHOP_SERVER__EMBED_ORIGINS": "https://a.example, https://b.example,",
            "LIVESHOP_SHOP__SHIPPING": "DE=490,CH=1290",
            "LIVESHOP_CHAT__LINKS_ALLOWED": "true",
            "LIVESHOP_REALTIME__IDLE_SECONDS": "1.5",
            "LIVESHOP_MEDIA__WIDTHS": "100,200",
            "OTHER_VARIABLE": "of somebody else",
        }
    )
    assert settings.server.embed_origins == ("https://a.example", "https://b.example")
    assert settings.shop.shipping == {"DE": 490, "CH": 1290}
    assert settings.chat.links_allowed is True
    assert settings.realtime.idle_seconds == 1.5
    assert settings.media.widths == (100, 200)


def test_every_problem_is_told_not_just_the_first() -> None:
    problems = problems_of(
        {
            "LIVESHOP_SERVER__PORT": "eighty",
            "LIVESHOP_MODE": "dangerous",
            "LIVESHOP_COLOUR": "blue",
            "LIVESHOP_SHOP__CURENCY": "EUR",
            "LIVESHOP_PAYMENTS": "sandbox",
            "LIVESHOP_SHOP__SHIPPING": "DE=much",
        },
        server__secret="short",
    )
    for name in ("server.port", "mode", "colour", "shop.curency", "payments", "shop.shipping"):
        assert sum(problem.startswith(f"{name}:") for problem in problems) == 1, name
    assert "production, demo, test" in next(one for one in problems if one.startswith("mode"))


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"LIVESHOP_SERVER": "x", "LIVESHOP_SERVER__PORT": "1"}, "server"),
        ({"LIVESHOP_SERVER__PORT__DEEPER": "1"}, "server.port"),
        ({"LIVESHOP_": "x"}, "LIVESHOP_"),
        ({"LIVESHOP_SHOP__NAME": "\ud800"}, "shop.name"),
    ],
)
def test_what_no_setting_can_be_is_a_problem_and_not_a_crash(
    environ: dict[str, str], named: str
) -> None:
    with pytest.raises(BadSettings) as bad:
        load(file=None, environ={"LIVESHOP_SERVER__SECRET": SECRET} | environ)
    assert any(named in problem for problem in bad.value.problems), bad.value.problems


STRIPE = {
    "payments__methods": ["stripe"],
    "stripe__secret_key": "sk_live_1",
    "stripe__publishable_key": "pk_live_1",
    "stripe__webhook_secret": "whsec_1",
}


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"server__secret": ""}, "server.secret"),
        ({"server__secret": "x" * 31}, "server.secret"),
        ({"payments__methods": ["sandbox"]}, "payments.methods"),
        ({"payments__methods": ["invoice", "sandbox"]}, "payments.methods"),
        ({"payments__methods": []}, "payments.methods"),
        ({"payments__methods": ["invoice", "cheque"]}, "payments.methods"),
        ({"payments__methods": ["invoice", "invoice"]}, "payments.methods"),
        (STRIPE | {"stripe__secret_key": ""}, "stripe.secret_key"),
        (STRIPE | {"stripe__publishable_key": ""}, "stripe.publishable_key"),
        (STRIPE | {"stripe__webhook_secret": ""}, "stripe.webhook_secret"),
        (STRIPE | {"stripe__api_url": "api.stripe.com"}, "stripe.api_url"),
        (STRIPE | {"stripe__secret_key": "sk_test_1"}, "stripe.secret_key"),
        (STRIPE | {"stripe__publishable_key": "pk_test_1"}, "stripe.publishable_key"),
        (STRIPE | {"mode": "test", "stripe__secret_key": "sk_test_1"}, "stripe.publishable_key"),
        (STRIPE | {"mode": "demo", "stripe__publishable_key": "pk_test_1"}, "stripe.secret_key"),
        ({"payments__timeout_seconds": 0}, "payments.timeout_seconds"),
        ({"payments__action_minutes": 0}, "payments.action_minutes"),
        ({"payments__action_minutes": 30}, "payments.action_minutes"),
        ({"checkout__payment_hold_seconds": 900}, "payments.action_minutes"),
        ({"customers__algorithm": "HS256", "customers__key": "short"}, "customers.key"),
        ({"server__port": -1}, "server.port"),
        ({"server__port": 65536}, "server.port"),
        ({"server__trusted_proxies": -1}, "server.trusted_proxies"),
        ({"server__public_url": "shop.example"}, "server.public_url"),
        ({"server__public_url": "http://["}, "server.public_url"),
        ({"server__embed_origins": ["https://shop.example/page"]}, "server.embed_origins"),
        ({"server__embed_origins": ["shop.example"]}, "server.embed_origins"),
        ({"checkout__hold_seconds": 29}, "checkout.hold_seconds"),
        ({"shop__currency": "euro"}, "shop.currency"),
        ({"shop__shipping": {"DE": -1}}, "shop.shipping"),
        ({"shop__shipping": {"Germany": 490}}, "shop.shipping"),
        ({"shop__tax_permille": {"standard": 190}}, "shop.tax_permille"),
        ({"shop__languages": ["tlh"]}, "shop.languages"),
        ({"shop__languages": []}, "shop.languages"),
        ({"syndication__source_seconds": 1}, "syndication.source_seconds"),
        ({"syndication__source_whole_hours": 0}, "syndication.source_whole_hours"),
        ({"syndication__read_back_seconds": 5}, "syndication.read_back_seconds"),
        ({"syndication__limits": {"x.text": -1}}, "syndication.limits.x.text"),
    ],
)
def test_what_cannot_work_or_would_be_dangerous_does_not_start(
    overrides: dict[str, Any], named: str
) -> None:
    problems = problems_of(**overrides)
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"{named}:")


def test_the_sandbox_runs_where_no_money_is_meant() -> None:
    for mode in ("demo", "test"):
        assert read(mode=mode, payments__methods=["sandbox"]).payments.methods == ("sandbox",)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    assert problems_of(file=tmp_path / "nowhere.toml") == [f"{tmp_path}/nowhere.toml: no such file"]
    for content in (b"[server\n", b"\xff\xfe", b"port = 1 = 2"):
        path = tmp_path / "bad.toml"
        path.write_bytes(content)
        (problem,) = problems_of(file=path)
        assert problem.startswith(f"{path}: ")
    (problem,) = problems_of(file=tmp_path)
    assert problem.startswith(f"{tmp_path}: ")


def test_secrets_are_not_in_the_words_of_a_problem() -> None:
    problems = problems_of({"LIVESHOP_SERVER__SECRET": "hunter2"}, server__secret="hunter2")
    assert "hunter2" not in " ".join(problems)


def test_the_address_for_browsers_follows_from_host_and_port() -> None:
    assert read(server__port=81).public_url == "http://127.0.0.1:81"
    assert read(server__public_url="https://live.example/").public_url == "https://live.example"
    assert read(data_dir="/data").database_url == "sqlite+aiosqlite:////data/liveshop.sqlite3"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "rtmp://127.0.0.1/live"),
        ({"server.public_url": "https://live.example.com"}, "rtmp://live.example.com/live"),
        ({"video.rtmp_port": 1936}, "rtmp://127.0.0.1:1936/live"),
        ({"video.rtmp_port": 0}, ""),
        ({"server.public_url": "http://[::1]:8080"}, "rtmp://[::1]/live"),
        ({"video.ingest_url": "rtmps://in.example.com/app/"}, "rtmps://in.example.com/app"),
        (
            {
                "video.rtmps_port": 443,
                "video.rtmps_certificate": "c.pem",
                "video.rtmps_key": "k.pem",
            },
            "rtmps://127.0.0.1/live",
        ),
    ],
)
def test_hosts_are_told_where_to_send_to(given: dict[str, Any], told: str) -> None:
    assert (
        load(
            file=None, environ={}, overrides={"mode": "test", "server.secret": "x" * 40} | given
        ).ingest_url
        == told
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"video.rtmp_port": 70000}, "video.rtmp_port"),
        ({"video.rtmps_port": 1936}, "video.rtmps_port: needs"),
        ({"video.ingest_url": "https://in.example.com"}, "video.ingest_url"),
        ({"video.part_seconds": 2.0}, "video.part_seconds"),
        ({"video.grace_seconds": 0}, "video.grace_seconds"),
        ({"video.least_free_gib": -1}, "video.least_free_gib"),
    ],
)
def test_video_settings_that_cannot_work_are_named(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadSettings, match=problem):
        load(file=None, environ={}, overrides={"mode": "test", "server.secret": "x" * 40} | given)


ARCHIVE = {"video__archive_url": "s3://bucket/folder"}
KEY = {"video__archive_key_id": "an-id", "video__archive_secret": "the-archive's-secret"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"video__archive_url": "https://bucket.example/folder"}, "s3://bucket/folder"),
        ({"video__archive_url": "s3://No_Bucket"}, "s3://bucket/folder"),
        ({"video__archive_url": "s3://bucket/folder?secret=1"}, "nothing but a bucket"),
        ({**ARCHIVE, "video__archive_endpoint": "s3.example.com"}, "https://s3.example.com"),
        ({**ARCHIVE, "video__archive_key_id": "an-id"}, "neither alone"),
        ({**ARCHIVE, "video__archive_secret": "the-archive's-secret"}, "neither alone"),
        (KEY, "video.archive_url: where to"),
        ({**ARCHIVE, **KEY, "video__replay_days": 0}, "nothing to move"),
        ({"video__replay_days": -1}, "video.replay_days"),
        ({"video__recording_hours": 0}, "video.recording_hours"),
    ],
)
def test_an_archive_that_cannot_work_is_named(given: dict[str, Any], problem: str) -> None:
    [told] = problems_of(**given)
    assert problem in told
    assert "the-archive's-secret" not in told


def test_an_archive_is_a_bucket_and_how_to_get_in() -> None:
    settings = read(**ARCHIVE, **KEY, video__archive_endpoint="http://127.0.0.1:9000")
    assert settings.video.archive_url == "s3://bucket/folder"
    assert read(**ARCHIVE).video.archive_key_id == ""  # what the machine itself may do
