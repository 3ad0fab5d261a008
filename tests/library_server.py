"""The real server with a real index, uploads and the operator's page, in a folder of its own.

Run as a program: `python tests/library_server.py FOLDER PORT PASSWORD MAX_FILE_BYTES`.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

PASSWORD = "暗号 correct-horse"


@dataclass(frozen=True)
class LibraryServer:
    """A server process and the folders that it works on."""

    address: str
    folder: Path
    process: subprocess.Popen[str]

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def index(self) -> Path:
        return self.folder / "index"

    def output(self) -> str:
        """What it has printed and logged so far."""
        return (self.folder / "output.txt").read_text("utf-8")


@contextmanager
def library_server(folder: Path, *, max_file_bytes: int = 1 << 20) -> Iterator[LibraryServer]:
    """Serve what lies in `folder` on a free port; what the test leaves there is kept."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, __file__, folder, port, PASSWORD, max_file_bytes]
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [str(argument) for argument in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    server = LibraryServer(f"http://127.0.0.1:{port}", folder, process)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, server.output()
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait()


def main(folder: Path, port: int, password: str, max_file_bytes: int) -> None:
    """What the serve command does where a password is set."""
    from assemble import live_chatbot
    from corpus.formats import SUFFIXES
    from settings import Settings
    from web.documents import documents_router
    from web.library import Library
    from web.options import WebOptions
    from web.server import serve

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
        routers = [documents_router(library, chatbot, password)]
        serve(chatbot, "127.0.0.1", port, options, routers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
