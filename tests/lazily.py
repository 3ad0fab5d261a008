"""Modules that take seconds to import, such as PyTorch, imported only where they are used.

Every test process imports every test file, although it runs but some of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazily:
    """A module by its full name; imported when something public of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # pytest asks everything in a test file what it is
            raise AttributeError(attribute)
        return getattr(import_module(self._name), attribute)
