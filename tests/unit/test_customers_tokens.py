"""Tokens: whatever is forged, foreign, expired or strange is refused, and never a crash."""

import base64
import contextlib
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from liveshop.customers.model import BadSignOn, SignOnNotConfigured, vouched_from
from liveshop.customers.tokens import StorefrontTokens, ViewerTokens
from liveshop.kernel.ids import new_id
from liveshop.settings import BadSettings, CustomerSettings
from liveshop.web import BadToken

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
SECRET = "server-secret-server-secret-server-secret"
SHARED = "storefront-secret-storefront-secret"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

HS256 = CustomerSettings(algorithm="HS256", key=SHARED)
RS256 = CustomerSettings(algorithm="RS256", key=PUBLIC)


def claims(**changes: Any) -> dict[str, Any]:
    whole = {"sub": "42", "aud": "liveshop", "exp": int(NOW.timestamp()) + 60, **changes}
    return {name: value for name, value in whole.items() if value is not ...}


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def by_hand(header: Any, payload: Any, key: bytes) -> str:
    """A token as an attacker makes it: no library that refuses."""
    body = f"{part(header)}.{part(payload)}"
    return f"{body}.{part(hmac.digest(key, body.encode(), hashlib.sha256))}"


def reason_of(settings: CustomerSettings, token: str) -> str:
    with pytest.raises(BadSignOn) as refused:
        vouched_from(StorefrontTokens(settings).read(token, NOW))
    assert token not in refused.value.detail
    return str(refused.value.data["reason"])


def test_a_viewers_token_says_who_until_it_expires() -> None:
    tokens = ViewerTokens(SECRET)
    viewer_id = new_id("gst", NOW)
    signed = tokens.sign(viewer_id, now=NOW, life=timedelta(days=2))
    assert tokens.read(signed.token, NOW) == viewer_id
    assert tokens.read(signed.token, signed.expires_at - timedelta(seconds=1)) == viewer_id
    with pytest.raises(BadToken):
        tokens.read(signed.token, signed.expires_at)


def test_a_token_does_not_show_in_a_log() -> None:
    signed = ViewerTokens(SECRET).sign(new_id("gst", NOW), now=NOW, life=timedelta(days=2))
    assert signed.token not in repr(signed)


@pytest.mark.parametrize("attack", range(9))
def test_forged_viewer_tokens_are_refused(attack: int) -> None:
    tokens = ViewerTokens(SECRET)
    good = claims(sub=new_id("gst", NOW), aud="liveshop:viewer")
    key = hmac.digest(SECRET.encode(), b"liveshop viewer token 1", "sha256")
    assert tokens.read(by_hand({"alg": "HS256"}, good, key), NOW) == good["sub"]
    forged = [
        by_hand({"alg": "HS256"}, good, b"another key"),
        by_hand({"alg": "HS256"}, good, SECRET.encode()),  # the secret itself signs nothing
        f"{part({'alg': 'none'})}.{part(good)}.",
        by_hand({"alg": "HS512"}, good, key),
        by_hand({"alg": "HS256"}, good | {"aud": "liveshop"}, key),
        by_hand({"alg": "HS256"}, good | {"sub": "stf_01K00000000000000000000000"}, key),
        by_hand({"alg": "HS256"}, good | {"sub": "gst_1"}, key),
        by_hand({"alg": "HS256"}, {"sub": good["sub"], "aud": good["aud"]}, key),
        by_hand({"alg": "HS256"}, good, key)[:-4] + "AAAA",
    ]
    with pytest.raises(BadToken):
        tokens.read(forged[attack], NOW)


STRANGE: list[Any] = [
    "", ".", "..", "a.b.c", "lsk_abc", "é.é.é", "\ud800", "x" * 9000, "\x00",
    f"{part(b'[' * 4000)}.{part({})}.", f"{part(b'1' * 5000)}.e30.", f"{part([1])}.e30.",
]  # fmt: skip


@pytest.mark.parametrize("token", STRANGE, ids=range(len(STRANGE)))
def test_what_is_no_token_at_all_is_refused_and_breaks_nothing(token: str) -> None:
    with pytest.raises(BadToken):
        ViewerTokens(SECRET).read(token, NOW)
    for settings in (HS256, RS256):
        with pytest.raises(BadSignOn):
            StorefrontTokens(settings).read(token, NOW)


@given(st.text(max_size=200))
def test_no_text_crashes_the_reading_of_tokens(text: str) -> None:
    with pytest.raises(BadToken):
        ViewerTokens(SECRET).read(text, NOW)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    ),
    st.sampled_from(["sub", "aud", "exp", "nbf", "iat", "iss", "name", "email", "locale", "jti"]),
)
def test_no_claim_of_a_storefront_breaks_the_sign_on(value: Any, claim: str) -> None:
    token = by_hand({"alg": "HS256"}, claims(**{claim: value}), SHARED.encode())
    with contextlib.suppress(BadSignOn):
        vouched_from(StorefrontTokens(HS256).read(token, NOW))


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "1" * 4000, '"2099"', "true", "null"])
def test_a_strange_expiry_is_never_a_crash(number: str) -> None:
    raw = json.dumps(claims(exp="EXP")).replace('"EXP"', number).encode()
    token = by_hand({"alg": "HS256"}, raw, SHARED.encode())
    if number.startswith("11"):  # a real number, far ahead: the storefront's own business
        assert StorefrontTokens(HS256).read(token, NOW)["sub"] == "42"
    else:
        assert reason_of(HS256, token) in ("expired", "missing_exp")


def test_both_configured_algorithms_work() -> None:
    assert StorefrontTokens(HS256).read(jwt.encode(claims(), SHARED), NOW)["sub"] == "42"
    token = jwt.encode(claims(), PRIVATE, algorithm="RS256")
    assert StorefrontTokens(RS256).read(token, NOW)["sub"] == "42"


def test_the_public_key_cannot_be_used_as_a_shared_secret() -> None:
    for key in (PUBLIC.encode(), PUBLIC.strip().encode()):
        assert reason_of(RS256, by_hand({"alg": "HS256"}, claims(), key)) == "wrong_algorithm"
        # Nor with a header that lies about what was done.
        assert reason_of(RS256, by_hand({"alg": "RS256"}, claims(), key)) == "wrong_signature"


def test_the_headers_algorithm_is_never_trusted() -> None:
    for alg in ("none", "None", "NONE", "HS384", "ES256"):
        token = f"{part({'alg': alg})}.{part(claims())}."
        assert reason_of(HS256, token) in ("wrong_algorithm", "unreadable")
    rs = jwt.encode(claims(), PRIVATE, algorithm="RS256")
    assert reason_of(HS256, rs) == "wrong_algorithm"
    hs512 = jwt.encode(claims(), SHARED * 2, algorithm="HS512")
    assert reason_of(CustomerSettings(algorithm="HS256", key=SHARED * 2), hs512) == (
        "wrong_algorithm"
    )


def test_a_key_named_by_the_token_is_not_used() -> None:
    attacker = {"kty": "oct", "k": part(b"attacker-attacker-attacker-attacker")}
    token = by_hand(
        {"alg": "HS256", "jwk": attacker, "jku": "https://evil.example", "kid": "../../dev/null"},
        claims(),
        b"attacker-attacker-attacker-attacker",
    )
    assert reason_of(HS256, token) == "wrong_signature"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": int(NOW.timestamp()) - 31}, "expired"),
        ({"exp": ...}, "missing_exp"),
        ({"sub": ...}, "missing_sub"),
        ({"sub": ""}, "bad_sub"),
        ({"sub": 42}, "bad_sub"),
        ({"sub": "4\x002"}, "bad_sub"),
        ({"sub": "\ud800"}, "bad_sub"),
        ({"sub": "x" * 256}, "bad_sub"),
        ({"aud": ...}, "missing_aud"),
        ({"aud": "another-shop"}, "wrong_audience"),
        ({"aud": ["another-shop"]}, "wrong_audience"),
        ({"nbf": int(NOW.timestamp()) + 60}, "not_yet_valid"),
        ({"iat": int(NOW.timestamp()) + 60}, "not_yet_valid"),
        ({"iss": 7}, "bad_iss"),
    ],
)
def test_a_storefronts_token_must_hold_in_every_claim(changes: dict[str, Any], reason: str) -> None:
    token = by_hand({"alg": "HS256"}, claims(**changes), SHARED.encode())
    assert reason_of(HS256, token) == reason


def test_the_issuer_is_checked_where_one_is_configured() -> None:
    strict = CustomerSettings(algorithm="HS256", key=SHARED, issuer="https://shop.example")
    assert reason_of(strict, jwt.encode(claims(), SHARED)) == "missing_iss"
    assert reason_of(strict, jwt.encode(claims(iss="https://evil"), SHARED)) == "wrong_issuer"
    good = jwt.encode(claims(iss="https://shop.example"), SHARED)
    assert vouched_from(StorefrontTokens(strict).read(good, NOW)).issuer == "https://shop.example"


def test_clocks_may_differ_by_half_a_minute() -> None:
    early = jwt.encode(claims(iat=int(NOW.timestamp()) + 25), SHARED)
    late = jwt.encode(claims(exp=int(NOW.timestamp()) - 25), SHARED)
    for token in (early, late):
        assert StorefrontTokens(HS256).read(token, NOW)["sub"] == "42"


def test_sign_on_that_is_not_configured_says_what_to_set() -> None:
    with pytest.raises(SignOnNotConfigured, match=r"customers\.key"):
        StorefrontTokens(CustomerSettings()).read(jwt.encode(claims(), SHARED), NOW)


EC_PUBLIC = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("HS256", PUBLIC), ("HS256", "short"), ("RS256", SHARED), ("RS256", PRIVATE),
     ("RS256", EC_PUBLIC), ("RS256", PUBLIC[:200])],
    ids=["a public key as secret", "too short", "no pem", "a private key", "no rsa", "cut off"],
)  # fmt: skip
def test_a_key_that_cannot_be_used_is_refused_at_the_start(algorithm: Any, key: str) -> None:
    with pytest.raises(BadSettings) as refused:
        StorefrontTokens(CustomerSettings(algorithm=algorithm, key=key))
    assert key not in str(refused.value)
