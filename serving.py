"""The serve command: settings and environment into a web process."""

from __future__ import annotations

from collections.abc import Mapping

import assemble
from settings import Settings
from web.options import WebOptions
from web.server import require_free_port
from web.server import serve as serve_web

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

__all__ = ["options_of", "require_free_port", "serve"]


def serve(settings: Settings, environ: Mapping[str, str], *, demo: bool) -> None:
    """Serve until interrupted.

    Raises:
        WenjuError: the index, a model, a setting or the address cannot be used.
    """
    chatbot = assemble.open_chatbot(settings, with_examples=True)
    options = options_of(settings, environ, demo=demo)
    serve_web(chatbot, settings.server.host, settings.server.port, options)


def options_of(settings: Settings, environ: Mapping[str, str], *, demo: bool) -> WebOptions:
    """What the web process is told; secrets come from the environment alone."""
    server, access = settings.server, settings.access
    return WebOptions(
        concurrent_questions=server.concurrent_questions,
        queue_size=server.queue_size,
        root_path=server.root_path,
        origins=access.origins,
        trusted_proxies=access.trusted_proxies,
        allowed_hosts=_allowed_hosts(settings),
        address_per_minute=access.address_per_minute,
        address_per_day=access.address_per_day,
        site_per_minute=access.site_per_minute,
        site_per_day=access.site_per_day,
        token_secret=environ.get("WENJU_TOKEN_SECRET") or None,
        feedback=server.feedback or None,
        log_questions=server.log_questions,
        demo=demo,
    )


def _allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """On this machine alone, only its own names: no other name may lead a browser here.

    Behind a proxy the names are the proxy's business until the operator says otherwise.
    """
    access = settings.access
    if access.allowed_hosts or access.trusted_proxies or settings.server.host not in _LOOPBACK:
        return access.allowed_hosts
    return _LOOPBACK_NAMES
