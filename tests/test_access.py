"""web.access and web.visitor: who may ask for what, and whose word is taken for it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

from errors import SettingsError
from tests.loops import in_own_loop
from web.access import COOKIE, AccessGuard, AccessRules, RouteClass, origin_of, route_class
from web.tokens import TokenBook, mint
from web.visitor import networks, visitor_of, visitor_of_request

PORTAL = "https://portal.example.cn"
OWN = "http://kb.example.cn:7860"
HOST = "kb.example.cn:7860"
SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0

RawHeaders = Sequence[tuple[str, str]]


@dataclass
class Reply:
    status: int
    headers: Headers
    body: bytes

    @property
    def seen(self) -> dict[str, Any]:
        """What the route behind the guard saw of the request."""
        seen: dict[str, Any] = json.loads(self.body)
        return seen


@dataclass
class Site:
    """A guarded app; the route behind the guard tells what reached it."""

    rules: AccessRules = field(default_factory=lambda: AccessRules(origins=(PORTAL,)))
    tokens: TokenBook | None = None
    root_path: str = ""
    scheme: str = "http"

    def __post_init__(self) -> None:
        app = Starlette(routes=[Route("/{path:path}", _tell, methods=["GET", "POST", "DELETE"])])
        self.app: ASGIApp = AccessGuard(app, rules=self.rules, tokens=self.tokens)

    def ask(
        self,
        method: str,
        target: str,
        *headers: tuple[str, str],
        host: str | None = HOST,
        client: str = "203.0.113.7",
    ) -> Reply:
        path, _, query = target.partition("?")
        sent = [*([("host", host)] if host is not None else []), *headers]
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.scheme,
            "path": self.root_path + path,
            "raw_path": b"",
            "query_string": query.encode(),
            "root_path": self.root_path,
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent],
            "client": (client, 4711),
            "server": ("127.0.0.1", 7860),
            "state": {},
        }
        return in_own_loop(_run(self.app, scope))


async def _tell(request: Request) -> JSONResponse:
    visitor = visitor_of_request(request)
    return JSONResponse(
        {
            "url": str(request.url),
            "address": visitor.address,
            "site": visitor.site,
            "headers": sorted(request.headers.keys()),
        }
    )


async def _run(app: ASGIApp, scope: Scope) -> Reply:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Reply(sent[0]["status"], Headers(raw=sent[0]["headers"]), body)


@pytest.fixture
def site() -> Site:
    return Site()


# Origins


def test_a_portal_on_the_list_may_ask(site: Site) -> None:
    reply = site.ask("POST", "/api/v1/ask", ("Origin", PORTAL))
    assert reply.status == 200
    assert reply.seen["site"] == PORTAL


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "origin",
    [
        pytest.param("https://evil.example", id="a stranger"),
        pytest.param("null", id="hidden"),
        pytest.param("", id="empty"),
        pytest.param("https://portal.example.cn.evil.com", id="as a prefix"),
        pytest.param("https://evil-portal.example.cn", id="as a suffix"),
        pytest.param("https://evil.com/https://portal.example.cn", id="as a path"),
        pytest.param("https://portal.example.cn@evil.com", id="as a user"),
        pytest.param("https://portal.example.cn/", id="with a slash"),
        pytest.param("https://portal.example.cn:8443", id="other port"),
        pytest.param("https://portal.example.cn:443", id="default port spelt out"),
        pytest.param("http://portal.example.cn", id="other scheme"),
        pytest.param("HTTPS://PORTAL.EXAMPLE.CN", id="upper case"),
        pytest.param("https://sub.portal.example.cn", id="sub-domain"),
        pytest.param("https://example.cn", id="parent domain"),
        pytest.param("https://portalxexample.cn", id="the dot as any character"),
        pytest.param(f"{PORTAL} https://evil.com", id="two in one"),
        pytest.param(f"{PORTAL}\x00", id="NUL behind it"),
        pytest.param("http://kb.example.cn", id="own host on another port"),
        pytest.param("https://kb.example.cn:7860", id="own host by another scheme"),
        pytest.param("HTTP://KB.EXAMPLE.CN:7860", id="own origin in upper case"),
    ],
)
def test_every_other_origin_is_forbidden(site: Site, method: str, origin: str) -> None:
    reply = site.ask(method, "/api/v1/ask", ("Origin", origin))
    assert reply.status == 403
    assert json.loads(reply.body)["error"]["code"] == "forbidden"


def test_two_origins_are_none(site: Site) -> None:
    for other in (PORTAL, OWN, "https://evil.example"):
        reply = site.ask("POST", "/api/v1/ask", ("Origin", PORTAL), ("Origin", other))
        assert reply.status == 403


def test_an_openai_client_is_refused_in_its_own_form(site: Site) -> None:
    reply = site.ask("POST", "/v1/chat/completions", ("Origin", "https://evil.example"))
    assert json.loads(reply.body)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("host", "origin", "scheme"),
    [
        (HOST, OWN, "http"),
        ("KB.example.cn:7860", OWN, "http"),
        ("kb.example.cn", "https://kb.example.cn", "https"),
        ("kb.example.cn:443", "https://kb.example.cn", "https"),
        ("kb.example.cn:80", "http://kb.example.cn", "http"),
        ("[::1]:7860", "http://[::1]:7860", "http"),
    ],
)
def test_own_pages_may_do_everything(host: str, origin: str, scheme: str) -> None:
    site = Site(scheme=scheme)
    for path in ("/api/v1/ask", "/gradio_api/queue/join", "/documents/upload", "/v1/models"):
        reply = site.ask("POST", path, ("Origin", origin), host=host)
        assert reply.status == 200
        assert reply.seen["site"] == ""


def test_a_program_names_no_origin_and_passes(site: Site) -> None:
    assert site.ask("POST", "/api/v1/ask").seen["site"] == ""


@pytest.mark.parametrize("fetch_site", ["cross-site", "same-site", "whatever"])
@pytest.mark.parametrize("origin", [None, OWN])
def test_a_browser_that_says_it_comes_from_elsewhere_may_change_nothing(
    site: Site, fetch_site: str, origin: str | None
) -> None:
    headers = [("Sec-Fetch-Site", fetch_site), *([("Origin", origin)] if origin else [])]
    for path in ("/api/v1/ask", "/gradio_api/queue/join", "/documents/upload"):
        assert site.ask("POST", path, *headers).status == 403
    assert site.ask("GET", "/article/a.txt", *headers).status == 200


def test_the_operators_pages_can_be_linked_but_not_loaded_by_others(site: Site) -> None:
    link = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"))
    assert site.ask("GET", "/documents", *link).status == 200
    load = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"))
    assert site.ask("GET", "/documents/api/list", *load).status == 403


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/v1/ask", True),
        ("POST", "/api/v1/feedback", True),
        ("POST", "/v1/chat/completions", True),
        ("GET", "/article/a.txt", True),
        ("GET", "/widget.js", True),
        ("POST", "/article/a.txt", False),
        ("POST", "/gradio_api/queue/join", False),
        ("GET", "/gradio_api/queue/data", False),
        ("GET", "/config", False),
        ("GET", "/", False),
        ("GET", "/documents", False),
        ("POST", "/documents/login", False),
        ("DELETE", "/documents/api/1", False),
        ("POST", "/api/v1", False),
        ("POST", "/api/v2/ask", False),
        ("POST", "//api/v1/ask", False),
        ("POST", "/documents/../api/v1/ask", False),
    ],
)
@pytest.mark.parametrize("preflight", [False, True])
def test_a_portal_may_use_the_api_and_nothing_else(
    site: Site, method: str, path: str, allowed: bool, preflight: bool
) -> None:
    headers = [("Origin", PORTAL)]
    if preflight:
        headers.append(("Access-Control-Request-Method", method))
        # Starlette answers 405 to an OPTIONS that it has no route for: it got through.
        assert site.ask("OPTIONS", path, *headers).status == (405 if allowed else 403)
    else:
        assert site.ask(method, path, *headers).status == (200 if allowed else 403)


def test_a_prefix_of_the_server_changes_no_right() -> None:
    site = Site(root_path="/kb")
    assert site.ask("POST", "/api/v1/ask", ("Origin", PORTAL)).status == 200
    assert site.ask("POST", "/documents/login", ("Origin", PORTAL)).status == 403


def test_a_refusal_can_be_read_by_the_pages_on_the_list_alone(site: Site) -> None:
    site = Site(tokens=TokenBook(SECRET, lambda: NOW))
    site.app = CORSMiddleware(site.app, allow_origins=site.rules.origins)
    refused = site.ask("POST", "/api/v1/ask", ("Origin", PORTAL))
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == PORTAL
    evil = site.ask("POST", "/api/v1/ask", ("Origin", "https://evil.example"))
    assert "access-control-allow-origin" not in evil.headers


def test_a_refusal_is_logged_so_that_the_operator_sees_what_is_missing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.ask("POST", "/api/v1/ask", ("Origin", "https://kb.example.cn\r\nforged: line"))
    message = caplog.messages[0]
    assert OWN in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/healthz", "public"),
        ("/ui/page.css", "public"),
        ("/ui", "page"),
        ("/widget.js", "public"),
        ("/widget.jsx", "page"),
        ("/documents", "operator"),
        ("/documents/api/x", "operator"),
        ("/documentsx", "page"),
        ("/api/v1/documents", "api"),
        ("/", "page"),
        ("", "page"),
    ],
)
def test_a_route_is_of_the_kind_that_its_whole_path_says(path: str, kind: RouteClass) -> None:
    assert route_class(path) == kind


# Settings


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://portal.example.cn", "https://portal.example.cn"),
        ("HTTPS://Portal.Example.CN:443", "https://portal.example.cn"),
        ("http://portal:80", "http://portal"),
        ("http://portal:8080", "http://portal:8080"),
        ("https://政务.example.cn", "https://xn--zfr164b.example.cn"),
        ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ("http://127.0.0.1:8902", "http://127.0.0.1:8902"),
    ],
)
def test_an_origin_is_brought_into_the_form_that_browsers_send(written: str, meant: str) -> None:
    assert origin_of(written) == meant
    assert AccessRules(origins=(written,)).origins == (meant,)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "*",
        "null",
        "portal.example.cn",
        "https://",
        "https://*.example.cn",
        "https://portal.example.cn/",
        "https://portal.example.cn/path",
        "https://portal.example.cn?x",
        "https://portal.example.cn#x",
        "https://user@portal.example.cn",
        "https://portal.example.cn:0",
        "https://portal.example.cn:65536",
        "https://portal.example.cn:x",
        "https://portal .cn",
        "https://portal.cn; script-src *",
        "https://portal.cn\r\nx: y",
        "https://" + "a" * 64 + ".cn",
        "https://a..cn",
        "https://[::x]",
        "ftp://portal.example.cn",
        "javascript://portal.example.cn",
    ],
)
def test_what_is_no_origin_is_refused_by_name(written: str) -> None:
    with pytest.raises(SettingsError) as caught:
        AccessRules(origins=(PORTAL, written))
    assert repr(written) in caught.value.user_message


@pytest.mark.parametrize("written", ["proxy", "10.0.0.1/8", "10.0.0.300", "", "*"])
def test_a_proxy_that_is_no_address_is_refused_by_name(written: str) -> None:
    with pytest.raises(SettingsError) as caught:
        AccessRules(origins=(), trusted_proxies=("10.0.0.1", written))
    assert repr(written) in caught.value.user_message


@pytest.mark.parametrize("written", ["http://kb.cn", "kb.cn:80", "kb.cn/", "*", "", "a b"])
def test_a_host_that_is_no_name_is_refused_by_name(written: str) -> None:
    with pytest.raises(SettingsError) as caught:
        AccessRules(origins=(), allowed_hosts=(written,))
    assert repr(written) in caught.value.user_message


# Host


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LocalHost:7860", 200),
        ("127.0.0.1:7860", 200),
        ("[::1]:7860", 200),
        ("rebound.evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:7860", 403),
        ("[::2]", 403),
        (None, 403),
    ],
)
def test_a_server_of_this_machine_answers_to_its_own_names_alone(
    host: str | None, status: int
) -> None:
    site = Site(AccessRules((), allowed_hosts=("localhost", "127.0.0.1", "::1")))
    for path in ("/", "/healthz", "/api/v1/documents"):
        assert site.ask("GET", path, host=host).status == status


@pytest.mark.parametrize(
    "host", ["a b", "a@b", "a/b", "a\r\nb: c", "a\x00", "", "<b>", "a:b", "例子.cn", "a" * 5000]
)
def test_a_host_that_is_none_is_a_bad_request(site: Site, host: str) -> None:
    assert site.ask("GET", "/", host=host).status == 400


def test_two_hosts_are_a_bad_request(site: Site) -> None:
    assert site.ask("GET", "/", ("Host", "evil.example")).status == 400


@pytest.mark.parametrize("name", ["Origin", "Authorization"])
def test_endless_headers_are_a_bad_request(site: Site, name: str) -> None:
    assert site.ask("GET", "/api/v1/documents", (name, "x" * 4097)).status == 400


def test_a_websocket_is_closed() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def connect() -> None:
        scope = {"type": "websocket", "path": "/api/v1/ask", "headers": []}
        await Site().app(scope, receive, send)

    in_own_loop(connect())
    assert [message["type"] for message in sent] == ["websocket.close"]


# Proxies and addresses


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        pytest.param("203.0.113.7", [], "203.0.113.7", id="no proxy"),
        pytest.param("203.0.113.7", ["1.2.3.4"], "203.0.113.7", id="a visitor's own word"),
        pytest.param("10.0.0.1", ["203.0.113.7"], "203.0.113.7", id="one proxy"),
        pytest.param("10.0.0.1", ["6.6.6.6, 203.0.113.7"], "203.0.113.7", id="forged at the left"),
        pytest.param("10.0.0.1", ["203.0.113.7, 10.0.0.9"], "203.0.113.7", id="two proxies"),
        pytest.param("10.0.0.1", ["203.0.113.7", "10.0.0.9"], "203.0.113.7", id="two headers"),
        pytest.param("10.0.0.1", ["10.0.0.8, 10.0.0.9"], "10.0.0.8", id="proxies only"),
        pytest.param("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1", id="garbage from the proxy"),
        pytest.param("10.0.0.1", ["x, 203.0.113.7"], "203.0.113.7", id="garbage at the left"),
        pytest.param("10.0.0.1", ["203.0.113.7:5555"], "203.0.113.7", id="with a port"),
        pytest.param("10.0.0.1", ["[2001:db8:1:2:3::4]:55"], "2001:db8:1:2::/64", id="IPv6 port"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="empty"),
        pytest.param("10.0.0.1", ["203.0.113.7, "], "10.0.0.1", id="empty at the right"),
        pytest.param("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7", id="mapped"),
        pytest.param("2001:db8:1:2:aaaa::1", [], "2001:db8:1:2::/64", id="a household"),
        pytest.param("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64", id="IPv6 proxy"),
        pytest.param("testclient", ["6.6.6.6"], "unknown", id="no address at all"),
    ],
)
def test_the_address_is_the_first_that_no_trusted_proxy_has(
    client: str, forwarded: list[str], address: str
) -> None:
    site = Site(AccessRules((), trusted_proxies=("10.0.0.0/24", "fd00::1")))
    headers = [("X-Forwarded-For", value) for value in forwarded]
    assert site.ask("GET", "/article/a", *headers, client=client).seen["address"] == address


def test_a_server_behind_a_socket_file_knows_no_address() -> None:
    assert visitor_of({"client": None, "headers": []}, networks(["0.0.0.0/0"])).address == "unknown"


FORWARDED = (
    ("X-Forwarded-For", "1.2.3.4"),
    ("X-Forwarded-Host", "public.example.cn"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Prefix", "/evil"),
    ("Forwarded", "for=1.2.3.4;host=evil"),
    ("X-Real-IP", "1.2.3.4"),
)


def test_what_a_stranger_says_of_proxies_reaches_no_route() -> None:
    site = Site(AccessRules((), trusted_proxies=("10.0.0.1",)))
    seen = site.ask("GET", "/article/a", *FORWARDED).seen
    assert seen["url"] == f"{OWN}/article/a"
    assert seen["headers"] == ["host"]


def test_a_trusted_proxy_says_what_the_browser_sees() -> None:
    site = Site(AccessRules((), trusted_proxies=("10.0.0.1",)))
    seen = site.ask("GET", "/article/a", *FORWARDED, client="10.0.0.1").seen
    assert seen["url"] == "https://public.example.cn/article/a"
    assert seen["headers"] == ["host"]
    own = ("Origin", "https://public.example.cn")
    assert site.ask("POST", "/gradio_api/x", own, *FORWARDED, client="10.0.0.1").status == 200
    assert site.ask("POST", "/gradio_api/x", own, *FORWARDED).status == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Forwarded-Host", "evil/x"),
        ("X-Forwarded-Host", "a\r\nb: c"),
        ("X-Forwarded-Host", "a" * 300),
        ("X-Forwarded-Host", ""),
        ("X-Forwarded-Proto", "javascript"),
        ("X-Forwarded-Proto", ""),
    ],
)
def test_nonsense_from_a_trusted_proxy_changes_nothing(name: str, value: str) -> None:
    site = Site(AccessRules((), trusted_proxies=("10.0.0.1",)))
    seen = site.ask("GET", "/article/a", (name, value), client="10.0.0.1").seen
    assert seen["url"] == f"{OWN}/article/a"


def test_of_several_proxies_the_nearest_is_believed() -> None:
    site = Site(AccessRules((), trusted_proxies=("10.0.0.1",)))
    headers = (("X-Forwarded-Host", "forged.cn, real.cn"), ("X-Forwarded-Proto", "http, https"))
    seen = site.ask("GET", "/article/a", *headers, client="10.0.0.1").seen
    assert seen["url"] == "https://real.cn/article/a"


# Tokens


@pytest.fixture
def locked() -> Site:
    return Site(tokens=TokenBook(SECRET, lambda: NOW))


def token(lifetime: int = 600) -> str:
    return mint(SECRET, PORTAL, now=NOW, lifetime_seconds=lifetime)


@pytest.mark.parametrize("path", ["/api/v1/ask", "/v1/models", "/article/a", "/", "/config"])
def test_without_a_token_nothing_is_answered(locked: Site, path: str) -> None:
    reply = locked.ask("POST" if path == "/api/v1/ask" else "GET", path)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/widget.js", "/ui/a.css", "/demo"])
def test_what_tells_nothing_of_the_documents_stays_open(locked: Site, path: str) -> None:
    assert locked.ask("GET", path).status == 200


def test_the_operator_has_a_password_instead(locked: Site) -> None:
    assert locked.ask("GET", "/documents").status == 200


def test_a_program_hears_of_it_in_json_and_a_person_on_a_page(locked: Site) -> None:
    reply = locked.ask("GET", "/api/v1/documents")
    assert json.loads(reply.body)["error"]["code"] == "unauthorized"
    page = locked.ask("GET", "/article/a")
    assert page.headers["content-type"].startswith("text/html")
    assert "需要访问凭证" in page.body.decode()


def test_a_bearer_token_opens_the_api(locked: Site) -> None:
    for scheme in ("Bearer", "bearer"):
        bearer = ("Authorization", f"{scheme} {token()}")
        reply = locked.ask("POST", "/api/v1/ask", bearer, ("Origin", PORTAL))
        assert reply.seen["site"] == PORTAL


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer x.y", token()])
def test_other_authorizations_open_nothing(locked: Site, value: str) -> None:
    assert locked.ask("POST", "/api/v1/ask", ("Authorization", value)).status == 401


def test_a_token_in_an_address_becomes_a_cookie_and_vanishes_from_the_address(
    locked: Site,
) -> None:
    sent = token(600)
    reply = locked.ask("GET", f"/article/港口/2025 年报?start=1&token={sent}&end=%E5%8F%B7")
    assert reply.status == 303
    location = reply.headers["location"]
    assert location == "/article/%E6%B8%AF%E5%8F%A3/2025%20%E5%B9%B4%E6%8A%A5?start=1&end=%E5%8F%B7"
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}={sent}; ")
    assert "HttpOnly" in cookie
    assert "Max-Age=600" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert reply.headers["cache-control"] == "no-store"
    assert locked.ask("GET", "/config", ("Cookie", f"a=b; {COOKIE}={sent}")).status == 200


def test_over_https_the_cookie_is_sent_inside_a_portals_frame_too() -> None:
    site = Site(tokens=TokenBook(SECRET, lambda: NOW), scheme="https", root_path="/kb")
    reply = site.ask("GET", f"/?token={token()}")
    assert reply.headers["location"] == "/kb/"
    cookie = reply.headers["set-cookie"]
    for part in ("SameSite=none", "Secure", "Partitioned", "Path=/kb", "HttpOnly"):
        assert f"; {part}" in cookie


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("//evil.example/x", "/evil.example/x"),
        ("///evil.example", "/evil.example"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("/a\r\nSet-Cookie: x=y", "/a%0D%0ASet-Cookie:%20x=y"),
        ("/a\x00b", "/a%00b"),
        ("/a?b=c%0D%0Ad", "/a?b=c%0D%0Ad"),
    ],
)
def test_the_new_address_is_on_this_server_and_in_one_line(
    locked: Site, path: str, location: str
) -> None:
    reply = locked.ask("GET", f"{path}{'&' if '?' in path else '?'}token={token()}")
    assert reply.headers["location"] == location


def test_a_bad_token_in_an_address_sets_no_cookie(locked: Site) -> None:
    reply = locked.ask("GET", f"/?token={token()}x")
    assert reply.status == 401
    assert "set-cookie" not in reply.headers


def test_a_token_in_the_address_of_the_api_would_stand_in_logs_and_opens_nothing(
    locked: Site,
) -> None:
    assert locked.ask("GET", f"/api/v1/documents?token={token()}").status == 401


def test_a_token_is_held_to_the_site_and_the_address_that_use_it() -> None:
    other = "https://other.example.cn"
    site = Site(AccessRules((PORTAL, other)), TokenBook(SECRET, lambda: NOW))
    bearer = ("Authorization", f"Bearer {token()}")
    assert site.ask("POST", "/api/v1/ask", bearer, ("Origin", other)).status == 401
    assert site.ask("POST", "/api/v1/ask", bearer, ("Origin", PORTAL)).status == 200
    elsewhere = site.ask("POST", "/api/v1/ask", bearer, ("Origin", PORTAL), client="198.51.100.1")
    assert elsewhere.status == 401
    assert "已在别处使用" in elsewhere.body.decode()


def test_the_reason_is_logged_and_the_token_is_not(
    locked: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    old = token(-1)
    locked.ask("POST", "/api/v1/ask", ("Authorization", f"Bearer {old}"))
    locked.ask("GET", f"/?token={old}")
    assert "token refused: expired" in caplog.text
    assert old not in caplog.text
