"""How often somebody may ask: a visitor in, nothing or TooManyRequestsError out.

Counted are the visitor's address and the portal's site, never anything that the visitor chooses: a
new session, token or browser resets nothing. The counts live in this process and end with it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from errors import TooManyRequestsError
from web.visitor import Visitor

# A count is about 500 bytes; beyond this many the oldest go, so that a flood of addresses takes
# at most some 30 MB. Who has so many addresses is not held by a limit on each.
_MOST_COUNTS = 50_000
_ROUNDING_SECONDS = 0.001  # the library takes time modulo the window, in floating point


@dataclass(frozen=True, slots=True)
class _Rule:
    """One limit on one who asks."""

    limiter: SlidingWindowCounterRateLimiter
    storage: MemoryStorage
    item: RateLimitItem
    name: str

    def allows(self) -> bool:
        return self.limiter.test(self.item, self.name)

    def count(self) -> None:
        self.limiter.hit(self.item, self.name)

    def wait(self) -> int:
        """Whole seconds until one more is allowed, if nothing else is asked meanwhile.

        The window before this one counts by the part of it that the sliding window still covers,
        so the sum falls steadily: the seconds are those until it falls below the limit.
        """
        window = self.item.get_expiry()
        before, left_of_before, now, left = self.storage.get_sliding_window(
            self.item.key_for(self.name), window
        )
        if now < self.item.amount:
            seconds = left_of_before - (self.item.amount - now) * window / max(before, 1)
        else:
            seconds = (left - window) + window * (1 - self.item.amount / now)
        return max(1, math.floor(seconds + _ROUNDING_SECONDS) + 1)


class RateLimits:
    """Counts questions in sliding windows; 0 is no limit.

    Two counters for each limit and address, however many are asked: a list of times would hold
    every question of a day. The sites, few and listed, are kept apart: no flood of addresses
    pushes their counts out.

    Args:
        address_per_minute: questions from one address.
        address_per_day: the same, in 24 hours.
        site_per_minute: questions from all visitors of one portal.
        site_per_day: the same, in 24 hours.
    """

    def __init__(
        self,
        address_per_minute: int,
        address_per_day: int,
        site_per_minute: int,
        site_per_day: int,
    ) -> None:
        self._addresses = _Limits(address_per_minute, address_per_day)
        self._sites = _Limits(site_per_minute, site_per_day)
        self._lock = threading.Lock()

    def admit(self, visitor: Visitor) -> None:
        """Count one question, or refuse it and count nothing.

        Raises:
            TooManyRequestsError: with the seconds after which all limits let one more through.
        """
        with self._lock:
            rules = [*self._addresses.rules(visitor.address)]
            if visitor.site:
                rules += self._sites.rules(visitor.site)
            waits = [rule.wait() for rule in rules if not rule.allows()]
            if waits:
                raise TooManyRequestsError(max(waits))
            for rule in rules:
                rule.count()
            self._addresses.shrink()

    def __len__(self) -> int:
        """How many counts are kept for addresses."""
        return len(self._addresses)


class _Limits:
    """A minute's and a day's limit with their counts."""

    def __init__(self, per_minute: int, per_day: int) -> None:
        self._storage = MemoryStorage()
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)
        self._items: list[RateLimitItem] = []
        if per_minute:
            self._items.append(RateLimitItemPerMinute(per_minute))
        if per_day:
            self._items.append(RateLimitItemPerDay(per_day))

    def rules(self, name: str) -> Iterator[_Rule]:
        for item in self._items:
            yield _Rule(self._limiter, self._storage, item, name)

    def shrink(self) -> None:
        """Forget the oldest counts, a batch at a time."""
        if len(self) > _MOST_COUNTS:
            for key in list(islice(self._storage.storage, _MOST_COUNTS // 10)):
                self._storage.clear(key)

    def __len__(self) -> int:
        return len(self._storage.storage)
