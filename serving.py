"""The serve command: settings and environment into a web process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import assemble
from corpus.formats import SUFFIXES
from qa.live import LiveChatbot
from settings import ROOT, Settings
from web.documents import documents_router
from web.library import Library
from web.options import WebOptions
from web.server import require_free_port
from web.server import serve as serve_web

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

__all__ = ["options_of", "require_free_port", "serve"]


def serve(
    settings: Settings, settings_file: Path | None, environ: Mapping[str, str], *, demo: bool
) -> None:
    """Serve until interrupted; a new index is taken over while it runs.

    Args:
        settings: all of them.
        settings_file: that they came from, for the builds of the operator's page.
        environ: holds the secrets. WENJU_OPERATOR_PASSWORD opens the documents page,
            WENJU_TOKEN_SECRET demands a token of every visitor.
        demo: show a portal page with the widget.

    Raises:
        WenjuError: the index, a model, a setting or the address cannot be used.
    """
    options = options_of(settings, environ, demo=demo)
    with ExitStack() as stack:
        chatbot = stack.enter_context(assemble.live_chatbot(settings))
        routers = []
        if password := environ.get("WENJU_OPERATOR_PASSWORD"):
            library = stack.enter_context(_library(settings, settings_file, chatbot))
            routers.append(documents_router(library, chatbot, password))
        serve_web(chatbot, settings.server.host, settings.server.port, options, routers)


def _library(settings: Settings, settings_file: Path | None, chatbot: LiveChatbot) -> Library:
    """The uploads, built by a process of its own with the same settings."""
    command = [sys.executable, str(ROOT / "app.py"), "build", "--model", settings.model]
    if settings_file is not None:
        command += ["--settings", str(settings_file)]
    return Library(
        Path(settings.server.uploads),
        None if settings.store else Path(settings.index_dir),
        command,
        chatbot,
        suffixes=SUFFIXES,
    )


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
