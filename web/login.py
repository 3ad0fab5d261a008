"""The operator's password and sessions: a password in, the token of a session out.

All of it is kept in memory: whoever is logged in logs in again after a restart. An address that
tries wrong passwords is locked out for a while, even with the right one, so that guessing takes
years.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable

from errors import LockedOutError, WrongPasswordError

SESSION_SECONDS = 8 * 3600  # a working day
_TRIES = 5  # wrong passwords from one address
_WINDOW_SECONDS = 60.0
_MAX_SESSIONS = 100  # the oldest ends first; operators are few
_MAX_ADDRESSES = 10_000  # remembered; beyond them the longest forgotten


class Operators:
    """Who is logged in. Safe to call from several threads.

    Args:
        password: of the operator; not empty.
        clock: seconds that never go back.
    """

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        if not password:
            raise ValueError("an empty password would let everybody in")
        self._password = _digest(password)
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: dict[str, float] = {}  # digest of the token -> when its session ends
        self._failures: dict[str, deque[float]] = {}  # address -> when passwords were wrong

    def log_in(self, password: str, address: str) -> str:
        """The token of a new session.

        Raises:
            LockedOutError: too many wrong passwords from this address.
            WrongPasswordError: this is one more.
        """
        with self._lock:
            now = self._clock()
            failures = self._recent_failures(address, now)
            if len(failures) >= _TRIES:
                raise LockedOutError(math.ceil(failures[0] + _WINDOW_SECONDS - now) or 1)
            if not hmac.compare_digest(_digest(password), self._password):
                self._note_failure(address, failures, now)
                raise WrongPasswordError
            self._failures.pop(address, None)
            token = secrets.token_urlsafe(32)
            self._ends = {key: end for key, end in self._ends.items() if end > now}
            while len(self._ends) >= _MAX_SESSIONS:
                del self._ends[next(iter(self._ends))]
            self._ends[_key(token)] = now + SESSION_SECONDS
            return token

    def knows(self, token: str) -> bool:
        """Whether a session of that token is under way."""
        with self._lock:
            return self._ends.get(_key(token), -math.inf) > self._clock()

    def log_out(self, token: str) -> None:
        """End the session, if there is one."""
        with self._lock:
            self._ends.pop(_key(token), None)

    def _recent_failures(self, address: str, now: float) -> deque[float]:
        failures = self._failures.get(address, deque())
        while failures and failures[0] <= now - _WINDOW_SECONDS:
            failures.popleft()
        return failures

    def _note_failure(self, address: str, failures: deque[float], now: float) -> None:
        failures.append(now)
        self._failures.pop(address, None)  # to the end: the longest forgotten stand first
        self._failures[address] = failures
        while len(self._failures) > _MAX_ADDRESSES:
            del self._failures[next(iter(self._failures))]


def _digest(password: str) -> bytes:
    """Of one length, so that comparing tells nothing of the password's."""
    return hashlib.sha256(password.encode("utf-8", "replace")).digest()


def _key(token: str) -> str:
    """What is kept of a token; looking it up tells nothing of other tokens."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
