"""Who may ask at all: the check before every route.

A browser says in Origin (and Sec-Fetch-Site) which page sends a request, and no page can forge
that; so a portal that is not on the list is kept out here, on the server, whatever CORS headers a
browser would heed. Programs can write any header: the rate limits hold them, or tokens do. CORS
headers are not set here, but outside, so that the pages on the list can read a refusal.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from errors import SettingsError, TokenError
from web.failures import FORBIDDEN_ORIGIN, Failure, failure_response
from web.tokens import TokenBook
from web.visitor import HOST, Network, Visitor, networks, path_of, settled, visitor_of

COOKIE = "wenju_token"

RouteClass = Literal["public", "operator", "api", "article", "page"]
# The first that fits counts; a path that ends with a slash stands for all below it.
_ROUTES: tuple[tuple[str, RouteClass], ...] = (
    ("/healthz", "public"),
    ("/readyz", "public"),
    ("/metrics", "public"),
    ("/widget.js", "public"),
    ("/favicon.ico", "public"),
    ("/demo", "public"),
    ("/ui/", "public"),
    ("/documents", "operator"),
    ("/documents/", "operator"),
    ("/api/v1/", "api"),
    ("/v1/", "api"),
    ("/article/", "article"),
)

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OWN_SITES = ("same-origin", "none")  # "none": typed or bookmarked by a person
_MAX_HEADER = 4096
_CHECKED_HEADERS = ("origin", "host", "authorization")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/?#@\\*%\s]+)(?::([0-9]{1,5}))?", re.ASCII)
_UNTOUCHED_IN_PATH = "/:@!$&'()*+,;=~"

_BAD_HEADER = Failure(400, "bad_request", "请求头不合要求。")
_FORBIDDEN_HOST = Failure(403, "forbidden", "不接受用这个地址访问，请使用管理员提供的地址。")
_NO_TOKEN_ZH = "需要访问凭证，请从提供问答的网站打开。"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AccessRules:
    """What the operator has set; checked and brought into one form when it is made.

    Raises:
        SettingsError: names the entry that cannot be used.
    """

    origins: tuple[str, ...]  # portals whose pages may ask; as browsers write them, once made
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks
    allowed_hosts: tuple[str, ...] = ()  # names without port that this server answers to; () = any
    proxy_networks: tuple[Network, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "origins", tuple(origin_of(text) for text in self.origins))
        object.__setattr__(self, "allowed_hosts", tuple(_host(text) for text in self.allowed_hosts))
        object.__setattr__(self, "proxy_networks", networks(self.trusted_proxies))


def origin_of(text: str) -> str:
    """An origin as browsers write it: lower case, no default port, Chinese names in ASCII.

    Example: https://政务.Example.cn:443 -> https://xn--....example.cn

    Raises:
        SettingsError: it is no origin; a path, a final slash or a "*" is none.
    """
    scheme, _, authority = text.lower().partition("://")
    found = _AUTHORITY.fullmatch(authority)
    if scheme not in _DEFAULT_PORTS or found is None or int(found[2] or 1) not in range(1, 65536):
        raise _bad_origin(text)
    try:
        name = _ascii_name(found[1])
    except ValueError as error:
        raise _bad_origin(text) from error
    port = f":{int(found[2])}" if found[2] else ""
    return f"{scheme}://{name}{port}".removesuffix(_DEFAULT_PORTS[scheme])


def route_class(path: str) -> RouteClass:
    """What kind of route a path below the server's prefix is; all that is left is the chat page."""
    for route, kind in _ROUTES:
        if path == route or (route.endswith("/") and path.startswith(route)):
            return kind
    return "page"


class AccessGuard:
    """Lets through who may ask, and notes the visitor in `scope["state"]["visitor"]`.

    Args:
        app: what answers.
        rules: portals, proxies and names of this server.
        tokens: where every question needs a token; None: none is asked for.
    """

    def __init__(self, app: ASGIApp, *, rules: AccessRules, tokens: TokenBook | None) -> None:
        self._app = app
        self._rules = rules
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = visitor_of(scope, self._rules.proxy_networks).address
        scope = settled(scope, self._rules.proxy_networks)
        refusal = self._refusal(scope, address)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope, address: str) -> Response | None:
        """The answer to who may not ask; notes the visitor who may."""
        headers = Headers(scope=scope)
        if failure := _malformed(headers) or self._wrong_host(headers):
            return failure_response(scope, failure)
        site = self._site(scope, headers)
        if site is None:
            return FORBIDDEN_ORIGIN.response(openai=path_of(scope).startswith("/v1/"))
        scope.setdefault("state", {})["visitor"] = Visitor(address, site)
        if self._tokens is None or route_class(path_of(scope)) in ("public", "operator"):
            return None
        try:
            return _admitted(self._tokens, scope, headers, site, address)
        except TokenError as error:
            _logger.warning("%s", error)
            response = failure_response(scope, Failure(401, "unauthorized", error.user_message))
            response.headers["www-authenticate"] = "Bearer"
            return response

    def _wrong_host(self, headers: Headers) -> Failure | None:
        """A page of another name that was made to point here (DNS rebinding)."""
        if not self._rules.allowed_hosts:
            return None
        found = HOST.fullmatch(headers.get("host", ""))
        if found and found["name"].lower() in self._rules.allowed_hosts:
            return None
        _logger.warning("host refused: %.200r", headers.get("host"))
        return _FORBIDDEN_HOST

    def _site(self, scope: Scope, headers: Headers) -> str | None:
        """The portal that asks, "" for own pages and programs; None: may not ask."""
        origins = headers.getlist("origin")
        method = scope["method"]
        if method == "OPTIONS":  # a browser asks whether it may
            method = headers.get("access-control-request-method", method)
        kind = route_class(path_of(scope))
        own = _own_origin(scope["scheme"], headers.get("host", ""))
        if not origins or origins == [own]:
            if _is_own(headers, method, kind):
                return ""
        elif len(origins) == 1 and origins[0] in self._rules.origins and _is_open(kind, method):
            return origins[0]
        # The operator sees here what is missing: an origin, or the proxy that changed the scheme.
        _logger.warning("origin refused: %.200r, own is %.200r", origins, own)
        return None


def _is_open(kind: RouteClass, method: str) -> bool:
    """Whether a portal's page may use the route; the chat page it can only frame or link."""
    return kind in ("api", "public") or (kind == "article" and method in _SAFE_METHODS)


def _is_own(headers: Headers, method: str, kind: RouteClass) -> bool:
    """Whether what names no other origin may be taken for an own page or a program.

    A link from elsewhere may be followed, also to the operator's page; but another page may not
    make the operator's browser load anything else from there.
    """
    if headers.get("sec-fetch-site", "none") in _OWN_SITES:
        return True
    if method not in _SAFE_METHODS:
        return False
    return kind != "operator" or headers.get("sec-fetch-mode") == "navigate"


def _admitted(
    tokens: TokenBook, scope: Scope, headers: Headers, site: str, address: str
) -> Response | None:
    """None, or where to go on without the token in the address.

    Raises:
        TokenError: there is none, or it does not hold.
    """
    kind = route_class(path_of(scope))
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    in_address = [value for name, value in query if name == "token"]
    if in_address and kind != "api" and scope["method"] == "GET":
        token = in_address[-1]
        seconds = tokens.admit(token, site=site, address=address)
        rest = [(name, value) for name, value in query if name != "token"]
        return _without_token(scope, rest, token, seconds)
    token = _token(headers)
    if not token:
        raise TokenError("missing", _NO_TOKEN_ZH)
    tokens.admit(token, site=site, address=address)
    return None


def _token(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


def _without_token(
    scope: Scope, query: Sequence[tuple[str, str]], token: str, seconds: int
) -> Response:
    # One slash at the start: with two, a browser would read a host's name.
    path = "/" + quote(scope["path"].lstrip("/"), safe=_UNTOUCHED_IN_PATH)
    response = RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)
    secure = scope["scheme"] == "https"
    response.set_cookie(
        COOKIE,
        token,
        max_age=seconds,
        path=scope.get("root_path", "") or "/",
        httponly=True,
        secure=secure,
        # Inside a portal's frame only such a cookie is sent; browsers take it over HTTPS alone.
        samesite="none" if secure else "lax",
    )
    if secure:
        # Python's cookies learn this attribute in 3.14.
        response.headers["set-cookie"] += "; Partitioned"
    response.headers["cache-control"] = "no-store"
    return response


def _malformed(headers: Headers) -> Failure | None:
    values = [value for name in _CHECKED_HEADERS for value in headers.getlist(name)]
    if any(len(value) > _MAX_HEADER for value in values):
        return _BAD_HEADER
    hosts = headers.getlist("host")
    if len(hosts) > 1 or not all(HOST.fullmatch(host) for host in hosts):
        return _BAD_HEADER
    return None


def _own_origin(scheme: str, host: str) -> str:
    return f"{scheme}://{host.lower()}".removesuffix(_DEFAULT_PORTS.get(scheme, ""))


def _host(text: str) -> str:
    """A host's name as it stands in Host; an IPv6 address with or without its brackets."""
    name = f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
    try:
        name = _ascii_name(name.lower())
    except ValueError as error:
        raise _bad_host(text) from error
    found = HOST.fullmatch(name)
    if found is None or found["port"]:
        raise _bad_host(text)
    return name


def _ascii_name(name: str) -> str:
    """Raises ValueError if no host can be called so."""
    if name.startswith("["):
        return f"[{ipaddress.IPv6Address(name[1:-1])}]"
    name = name.encode("idna").decode("ascii")
    if not HOST.fullmatch(name):
        raise ValueError(name)
    return name


def _bad_origin(text: str) -> SettingsError:
    return SettingsError(
        f"origins: {text!r} is not scheme://host[:port]",
        f"origins 中的 {text!r} 不是网站的来源，应形如 https://portal.example.cn，"
        "不带路径、末尾斜杠和 *。",
    )


def _bad_host(text: str) -> SettingsError:
    return SettingsError(
        f"allowed_hosts: {text!r} is no host name",
        f"allowed_hosts 中的 {text!r} 不是主机名，应形如 kb.example.cn，不带协议和端口。",
    )
