"""web.tokens: which tokens hold, for whom and how long."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess

import pytest

from errors import SettingsError, TokenError
from web.tokens import TokenBook, mint

SECRET = "0123456789abcdef0123456789abcdef"
PORTAL = "https://portal.example.cn"
NOW = 1_800_000_000.0
HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> TokenBook:
    return TokenBook(SECRET, clock)


def token(lifetime: int = 1800, site: str = PORTAL) -> str:
    return mint(SECRET, site, now=NOW, lifetime_seconds=lifetime)


def signed(payload: bytes, secret: str = SECRET) -> str:
    """As a portal would that encodes its claim in its own way."""
    part = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    return f"{part}.{hmac.new(secret.encode(), part.encode(), hashlib.sha256).hexdigest()}"


def reason(book: TokenBook, text: str, site: str = PORTAL, address: str = HOME) -> str:
    with pytest.raises(TokenError) as caught:
        book.admit(text, site=site, address=address)
    assert text not in str(caught.value)
    assert caught.value.user_message.endswith("。")
    return caught.value.reason


def test_a_fresh_token_holds_for_half_an_hour(book: TokenBook) -> None:
    assert book.admit(token(), site=PORTAL, address=HOME) == 1800


def test_a_token_can_be_made_with_openssl_alone(book: TokenBook) -> None:
    claim = json.dumps({"site": PORTAL, "exp": int(NOW) + 600, "nonce": "n1"})
    script = (
        "p=$(printf %s \"$0\" | openssl base64 -A | tr '+/' '-_' | tr -d '=');"
        's=$(printf %s "$p" | openssl dgst -sha256 -hmac "$1" | sed "s/.* //"); echo "$p.$s"'
    )
    made = subprocess.run(
        ["sh", "-c", script, claim, SECRET], capture_output=True, text=True, check=True
    )
    assert book.admit(made.stdout.strip(), site=PORTAL, address=HOME) == 600


def test_one_visitor_uses_a_token_as_often_as_they_like(book: TokenBook) -> None:
    one = token()
    for _ in range(3):
        book.admit(one, site=PORTAL, address=HOME)
    assert len(book) == 1


def test_a_token_used_from_a_second_address_is_a_replay(book: TokenBook) -> None:
    one = token()
    book.admit(one, site=PORTAL, address=HOME)
    assert reason(book, one, address=ELSEWHERE) == "replayed"
    book.admit(one, site=PORTAL, address=HOME)


def test_a_refused_token_binds_to_nobody(book: TokenBook) -> None:
    one = token()
    assert reason(book, one, site="https://other.example", address=ELSEWHERE) == "site"
    book.admit(one, site=PORTAL, address=HOME)


def test_a_nonce_used_twice_by_the_portal_shuts_no_visitor_out(book: TokenBook) -> None:
    first = mint(SECRET, PORTAL, now=NOW, nonce="same")
    second = mint(SECRET, PORTAL, now=NOW + 1, nonce="same")
    book.admit(first, site=PORTAL, address=HOME)
    book.admit(second, site=PORTAL, address=ELSEWHERE)


def test_a_token_expires_to_the_second(book: TokenBook, clock: Clock) -> None:
    one = token(600)
    clock.now = NOW + 599.5
    assert book.admit(one, site=PORTAL, address=HOME) == 1
    clock.now = NOW + 600
    assert reason(book, one) == "expired"


@pytest.mark.parametrize(("lifetime", "holds"), [(1860, True), (1861, False), (10**9, False)])
def test_more_than_half_an_hour_and_a_minute_of_skew_is_too_long(
    book: TokenBook, lifetime: int, holds: bool
) -> None:
    if holds:
        book.admit(token(lifetime), site=PORTAL, address=HOME)
    else:
        assert reason(book, token(lifetime)) == "too_long_lived"


@pytest.mark.parametrize(
    "site", ["https://portal.example.cn.evil.com", "http://portal.example.cn", "null"]
)
def test_a_token_of_another_site_is_refused(book: TokenBook, site: str) -> None:
    assert reason(book, token(), site=site) == "site"


def test_programs_and_own_pages_claim_no_site(book: TokenBook) -> None:
    book.admit(token(), site="", address=HOME)


def test_a_changed_claim_does_not_fit_its_signature(book: TokenBook) -> None:
    _, signature = token().split(".")
    later = token(1801).split(".")[0]
    assert reason(book, f"{later}.{signature}") == "signature"


def test_a_token_signed_with_another_secret_is_refused(book: TokenBook) -> None:
    assert reason(book, mint("x" * 32, PORTAL, now=NOW)) == "signature"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("abc", id="no dot"),
        pytest.param(token()[:-1], id="truncated"),
        pytest.param(token() + "\n", id="line feed behind it"),
        pytest.param(token().upper(), id="signature in upper case"),
        pytest.param("a" * 10_000 + "." + "0" * 64, id="endless"),
        pytest.param("语." + "0" * 64, id="not ASCII"),
        pytest.param("eyJhbGciOiJub25lIn0.e30.", id="a JWT without signature"),
    ],
)
def test_what_is_no_token_is_malformed(book: TokenBook, text: str) -> None:
    with pytest.raises(TokenError) as caught:
        book.admit(text, site=PORTAL, address=HOME)
    assert caught.value.reason == "form"


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"not json", id="no JSON"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b"[" * 1500, id="deeply nested"),
        pytest.param(b"{}", id="nothing claimed"),
        pytest.param(b'{"site": "s", "exp": true, "nonce": "n"}', id="a boolean as time"),
        pytest.param(b'{"site": "s", "exp": 1e999, "nonce": "n"}', id="infinity as time"),
        pytest.param(b'{"site": 1, "exp": 1800000600, "nonce": "n"}', id="a number as site"),
        pytest.param(b'{"site": "s", "exp": 1800000600}', id="no nonce"),
    ],
)
def test_a_claim_that_the_portal_made_wrongly_is_malformed(book: TokenBook, payload: bytes) -> None:
    assert reason(book, signed(payload)) == "form"


def test_expired_tokens_are_forgotten(book: TokenBook, clock: Clock) -> None:
    for lifetime in (100, 900, 200):
        book.admit(token(lifetime), site=PORTAL, address=HOME)
    clock.now = NOW + 300
    book.admit(token(1000), site=PORTAL, address=HOME)
    assert len(book) == 2


def test_the_book_never_grows_beyond_its_size(clock: Clock) -> None:
    book = TokenBook(SECRET, clock, most=3)
    kept = token(1500)
    book.admit(kept, site=PORTAL, address=HOME)
    for lifetime in range(100, 110):
        book.admit(token(lifetime), site=PORTAL, address=HOME)
    assert len(book) == 3
    assert reason(book, kept, address=ELSEWHERE) == "replayed"


@pytest.mark.parametrize("secret", ["", "x" * 31])
def test_a_short_secret_is_refused_with_the_cure(secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        TokenBook(secret)
    assert "openssl rand" in caught.value.user_message
    with pytest.raises(SettingsError):
        mint(secret, PORTAL, now=NOW)


def test_the_secret_shows_in_no_message_and_no_repr(book: TokenBook) -> None:
    secret = "short secret"
    with pytest.raises(SettingsError) as caught:
        TokenBook(secret)
    assert secret not in f"{caught.value} {caught.value.user_message}"
    assert SECRET not in repr(book)
