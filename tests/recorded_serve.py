"""`wenju serve` that writes down every name it looks up and every address it connects to.

Run as a program: `python tests/recorded_serve.py RECORD ARGUMENT…`; RECORD gets a line for each.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

_looked_up = socket.getaddrinfo
_connect = socket.socket.connect


def main(record: Path, arguments: list[str]) -> int:
    """Patch first: what is imported later may look something up at once."""

    def note(kind: str, target: object) -> None:
        with record.open("a", encoding="utf-8") as file:
            file.write(f"{kind} {target}\n")

    def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
        note("name", host)
        return _looked_up(host, *rest, **options)

    def connect(self: socket.socket, address: Any) -> None:
        note("address", address[0] if isinstance(address, tuple) else address)
        _connect(self, address)

    socket.getaddrinfo = getaddrinfo
    socket.socket.connect = connect  # type: ignore[method-assign, assignment]
    from app import main as run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
