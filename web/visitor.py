"""Who asks, as far as limits and rights need to know."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Scope


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person or program that asks."""

    address: str  # IPv4, or IPv6 cut to /64
    site: str = ""  # origin of the portal page that asks; "" for own pages and programs


def visitor_of_request(request: Request) -> Visitor:
    """The visitor that the guard has recognised."""
    visitor = request.scope.get("state", {}).get("visitor")
    return visitor if isinstance(visitor, Visitor) else Visitor("unknown")


def path_of(scope: Scope) -> str:
    """The path below the server's prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
