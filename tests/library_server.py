"""The real server with a real index, uploads and the operator's page, in a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from settings import Settings
from tests.servers import RunningServer, free_port, served

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "暗号 correct-horse"


@dataclass(frozen=True)
class LibraryServer(RunningServer):
    """A server process and the folders that it works on."""

    @property
    def folder(self) -> Path:
        return self.log.parent

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def index(self) -> Path:
        return self.folder / "index"


@contextmanager
def library_server(folder: Path, *, max_file_bytes: int = 1 << 20) -> Iterator[LibraryServer]:
    """Serve what lies in `folder` on a free port; what the test leaves there is kept."""
    port = free_port()
    with served(_serve, folder, port, max_file_bytes, port=port, folder=folder) as server:
        yield LibraryServer(server.address, port, server.process, server.log)


def _serve(folder: Path, port: int, max_file_bytes: int) -> None:
    """What the serve command does where a password is set."""
    from assemble import live_chatbot
    from corpus.formats import SUFFIXES
    from web import library as library_module
    from web.documents import documents_router
    from web.library import Library
    from web.options import WebOptions
    from web.server import serve

    # Builds of low priority would wait until no other test wants the processor.
    library_module._NICENESS = 0
    settings = replace(Settings(), index_dir=str(folder / "index"))
    with (
        live_chatbot(settings) as chatbot,
        Library(
            folder / "uploads",
            Path(settings.index_dir),
            [sys.executable, str(ROOT / "app.py"), "build"],
            chatbot,
            suffixes=SUFFIXES,
            max_file_bytes=max_file_bytes,
        ) as library,
    ):
        options = WebOptions(concurrent_questions=4, queue_size=16)
        routers = [documents_router(library, chatbot, PASSWORD)]
        serve(chatbot, "127.0.0.1", port, options, routers)
