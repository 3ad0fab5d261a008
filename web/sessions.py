"""What was said in a session, for clients of the API that send no history of their own.

Kept in memory, for a while: a portal that must not lose a conversation keeps it itself and sends
`history`. A session belongs to one visitor; another one who names it begins anew.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from schema import Turn
from web.visitor import Visitor

_Key = tuple[Visitor, str]


class Sessions:
    """Turns by visitor and session.

    Args:
        most: sessions kept; the one not used for longest goes first.
        idle_seconds: after which a session is forgotten.
        turns: messages kept of each.
        clock: seconds.
    """

    def __init__(
        self,
        *,
        most: int,
        idle_seconds: float,
        turns: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._idle_seconds = idle_seconds
        self._turns = turns
        self._clock = clock
        self._sessions: OrderedDict[_Key, tuple[float, tuple[Turn, ...]]] = OrderedDict()

    def history(self, visitor: Visitor, session: str) -> tuple[Turn, ...]:
        """Oldest first; empty if there is none."""
        used, turns = self._sessions.get((visitor, session), (0.0, ()))
        return turns if self._clock() - used < self._idle_seconds else ()

    def add(self, visitor: Visitor, session: str, said: Sequence[Turn]) -> None:
        """Put messages behind those already there."""
        turns = (*self.history(visitor, session), *said)[-self._turns :]
        self._sessions[visitor, session] = (self._clock(), turns)
        self._sessions.move_to_end((visitor, session))
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
