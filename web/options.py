"""What the web process is told at its start; the defaults stand in settings.py."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WebOptions:
    """Plain values, all of them; a rate of 0 is no limit."""

    concurrent_questions: int  # answered at the same time
    queue_size: int  # waiting beyond those
    root_path: str = ""  # prefix that a reverse proxy takes away; "" or begins with a slash
    origins: tuple[str, ...] = ()  # portals whose pages may ask, such as https://portal.example.cn
    trusted_proxies: tuple[str, ...] = ()  # addresses or networks
    allowed_hosts: tuple[str, ...] = ()  # names this server answers to; empty: any
    address_per_minute: int = 0
    address_per_day: int = 0
    site_per_minute: int = 0
    site_per_day: int = 0
    token_secret: str | None = field(default=None, repr=False)
    feedback: str | None = None  # SQLite file; None: feedback is not taken
    log_questions: bool = False  # the text of questions is written to the log
    demo: bool = False  # a portal page that shows the widget
