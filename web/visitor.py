"""Who asks, as far as limits and rights need to know: a request's scope in, Visitor out.

Anyone can write an X-Forwarded-* header. They are believed only of a trusted proxy, named by its
address; `settled` takes them out of every request, so that nothing behind it can believe them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Scope

from errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HOST = re.compile(
    r"(?P<name>[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_.])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([0-9a-fA-F:.]+)\](?::[0-9]{1,5})?", re.ASCII)
_MAX_HOST = 255


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person or program that asks."""

    address: str  # IPv4, or IPv6 cut to /64: one household or office has a whole /64
    site: str = ""  # origin of the portal page that asks; "" for own pages and programs


def visitor_of_request(request: Request) -> Visitor:
    """The visitor that the guard has recognised."""
    visitor = request.scope.get("state", {}).get("visitor")
    return visitor if isinstance(visitor, Visitor) else Visitor("unknown")


def path_of(scope: Scope) -> str:
    """The path below the server's prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks, such as 10.0.0.7 and 10.0.0.0/24, as they stand in the settings.

    Raises:
        SettingsError: one of them is neither.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise SettingsError(
                f"trusted_proxies: {text!r} is no address or network: {error}",
                f"trusted_proxies 中的 {text!r} 不是地址或网段，应形如 10.0.0.7 或 10.0.0.0/24。",
            ) from error
    return tuple(found)


def visitor_of(scope: Scope, trusted_proxies: Sequence[Network]) -> Visitor:
    """Where the request comes from; the site is left empty.

    X-Forwarded-For is read from the right, each hop vouching for the one to its left as long as it
    is trusted itself. What is no address ends the reading: whoever wrote it may have written all
    that stands before it. An address that cannot be told at all is "unknown".
    """
    address = _peer(scope)
    if address is None:
        return Visitor("unknown")
    for hop in _hops(scope):
        if not _is_trusted(address, trusted_proxies):
            break
        reported = _parsed(hop)
        if reported is None:
            break
        address = reported
    return Visitor(_cut(address))


def settled(scope: Scope, trusted_proxies: Sequence[Network]) -> Scope:
    """The scope as the visitor's browser sees it, without any header of a proxy.

    A trusted proxy's X-Forwarded-Proto becomes the scheme, its X-Forwarded-Host the Host; of
    several values the last counts, which the nearest proxy has written.
    """
    peer = _peer(scope)
    forwarded = {name: value for name, value in scope["headers"] if name.startswith(b"x-forwarded")}
    kept = [(name, value) for name, value in scope["headers"] if not _is_of_proxy(name)]
    if peer is None or not _is_trusted(peer, trusted_proxies):
        return {**scope, "headers": kept}
    scheme = _last(forwarded.get(b"x-forwarded-proto", b"")).lower()
    host = _last(forwarded.get(b"x-forwarded-host", b""))
    if len(host) <= _MAX_HOST and HOST.fullmatch(host):
        kept = [(name, value) for name, value in kept if name != b"host"]
        kept.append((b"host", host.encode("ascii")))
    known = scheme in ("http", "https")
    return {**scope, "headers": kept, "scheme": scheme if known else scope["scheme"]}


def _is_of_proxy(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name in (b"forwarded", b"x-real-ip")


def _last(value: bytes) -> str:
    return value.decode("latin-1").rpartition(",")[2].strip()


def _peer(scope: Scope) -> _Address | None:
    client = scope.get("client")
    return _parsed(client[0]) if client else None


def _hops(scope: Scope) -> Iterator[str]:
    """The nearest first; several headers are one list."""
    for name, value in reversed(scope["headers"]):
        if name == b"x-forwarded-for":
            yield from (hop.strip() for hop in reversed(value.decode("latin-1").split(",")))


def _parsed(text: str) -> _Address | None:
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_trusted(address: _Address, trusted_proxies: Sequence[Network]) -> bool:
    return any(address in network for network in trusted_proxies)


def _cut(address: _Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
