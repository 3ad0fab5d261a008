"""The serve command: settings and environment into a web process."""

from __future__ import annotations

from collections.abc import Mapping

import assemble
from settings import Settings
from web.options import WebOptions
from web.server import require_free_port
from web.server import serve as serve_web

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
        allowed_hosts=access.allowed_hosts,
        address_per_minute=access.address_per_minute,
        address_per_day=access.address_per_day,
        site_per_minute=access.site_per_minute,
        site_per_day=access.site_per_day,
        token_secret=environ.get("WENJU_TOKEN_SECRET") or None,
        feedback=server.feedback or None,
        log_questions=server.log_questions,
        demo=demo,
    )
