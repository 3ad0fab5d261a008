"""Short-lived tokens: what a portal's server signs for its visitors, and what is taken for one.

A token is `base64url(JSON {"site": origin, "exp": unix seconds, "nonce": text})` without padding,
a dot, and the hex HMAC-SHA256 of that first part under the secret that portal and server share.
The first address that uses a token keeps it; whoever copies it gains nothing.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from errors import SettingsError, TokenError

LIFETIME_SECONDS = 1800
_CLOCK_SKEW_SECONDS = 60
_MIN_SECRET = 32  # characters; a shorter one can be guessed from one token
_MAX_TOKEN = 2048  # characters; an origin is at most 255
_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([0-9a-f]{64})", re.ASCII)

_AGAIN = "请刷新页面后再试。"


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the portal has signed."""

    site: str  # origin
    expires: int  # unix seconds


def mint(
    secret: str,
    site: str,
    *,
    now: float,
    lifetime_seconds: int = LIFETIME_SECONDS,
    nonce: str | None = None,
) -> str:
    """A token for one visitor of a site.

    Args:
        secret: shared by portal and server.
        site: origin of the portal's pages, such as https://portal.example.cn.
        now: unix seconds.
        lifetime_seconds: more than LIFETIME_SECONDS is refused by the server.
        nonce: makes the token unlike all others; None: a random one.

    Raises:
        SettingsError: the secret is too short.
    """
    claim = {
        "site": site,
        "exp": int(now) + lifetime_seconds,
        "nonce": secrets.token_urlsafe(12) if nonce is None else nonce,
    }
    payload = base64.urlsafe_b64encode(json.dumps(claim).encode()).rstrip(b"=").decode()
    return f"{payload}.{_signature(_key(secret), payload)}"


class TokenBook:
    """Tells the tokens that hold from those that do not, and who has used them.

    Args:
        secret: shared with the portal, at least 32 characters.
        clock: unix seconds.
        most: how many used tokens are remembered. Beyond it the one that expires first is
            forgotten, and could be used from a second address until it does.

    Raises:
        SettingsError: the secret is too short.
    """

    def __init__(
        self, secret: str, clock: Callable[[], float] = time.time, *, most: int = 100_000
    ) -> None:
        self._key = _key(secret)
        self._clock = clock
        self._most = most
        self._addresses: dict[str, str] = {}  # by signature, which is unlike all others
        self._expiring: list[tuple[int, str]] = []  # a heap of (unix seconds, signature)

    def admit(self, token: str, *, site: str, address: str) -> int:
        """Accept a token, or say why not.

        Args:
            token: as it was sent.
            site: origin of the page that sent it; "" for a program or the server's own page,
                which do not claim to be a site.
            address: of the visitor.

        Returns:
            For how many more seconds it holds, at least 1.

        Raises:
            TokenError: with the reason `form`, `signature`, `expired`, `too_long_lived`, `site` or
                `replayed`.
        """
        claim, signature = self._claim(token)
        now = self._clock()
        if claim.expires <= now:
            raise TokenError("expired", f"访问凭证已过期，{_AGAIN}")
        if claim.expires > now + LIFETIME_SECONDS + _CLOCK_SKEW_SECONDS:
            raise TokenError("too_long_lived", "访问凭证的有效期超过 30 分钟，请联系网站管理员。")
        if site and claim.site != site:
            raise TokenError("site", "访问凭证不是发给这个网站的，请联系网站管理员。")
        self._forget(now)
        if self._addresses.setdefault(signature, address) != address:
            raise TokenError("replayed", f"访问凭证已在别处使用，{_AGAIN}")
        self._remember(claim, signature)
        return max(1, int(claim.expires - now))

    def __len__(self) -> int:
        """How many used tokens are remembered."""
        return len(self._addresses)

    def _claim(self, token: str) -> tuple[_Claim, str]:
        found = _FORM.fullmatch(token) if len(token) <= _MAX_TOKEN else None
        if found is None:
            raise _malformed()
        payload, signature = found.groups()
        if not hmac.compare_digest(_signature(self._key, payload), signature):
            raise TokenError("signature", f"访问凭证无效，{_AGAIN}")
        return _read(payload), signature

    def _remember(self, claim: _Claim, signature: str) -> None:
        if len(self._expiring) == len(self._addresses):
            return  # seen before
        heapq.heappush(self._expiring, (claim.expires, signature))
        while len(self._expiring) > self._most:
            self._forget_first()

    def _forget(self, now: float) -> None:
        while self._expiring and self._expiring[0][0] <= now:
            self._forget_first()

    def _forget_first(self) -> None:
        _, signature = heapq.heappop(self._expiring)
        del self._addresses[signature]


def _read(payload: str) -> _Claim:
    """Of a payload whose signature is right: the portal's own mistakes."""
    try:
        padding = "=" * (-len(payload) % 4)
        claim = json.loads(base64.urlsafe_b64decode(payload + padding))
    except (ValueError, RecursionError):
        raise _malformed() from None
    if not isinstance(claim, dict):
        raise _malformed()
    site, expires, nonce = claim.get("site"), claim.get("exp"), claim.get("nonce")
    if not isinstance(site, str) or type(expires) is not int or not isinstance(nonce, str):
        raise _malformed()
    return _Claim(site, expires)


def _malformed() -> TokenError:
    return TokenError("form", f"访问凭证的格式不对，{_AGAIN}")


def _key(secret: str) -> bytes:
    if len(secret) < _MIN_SECRET:
        raise SettingsError(
            f"the token secret has {len(secret)} characters; at least {_MIN_SECRET} are needed",
            f"凭证密钥（环境变量 WENJU_TOKEN_SECRET）太短，至少要 {_MIN_SECRET} 个字符，"
            "可用 openssl rand -hex 32 生成一个。",
        )
    return secret.encode()


def _signature(key: bytes, payload: str) -> str:
    return hmac.new(key, payload.encode("ascii"), hashlib.sha256).hexdigest()
