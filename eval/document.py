"""The run document: everything a run came to, as `report.json` keeps it.

A document read back is checked field by field, since a report folder is something people copy,
edit and damage. Fields it does not know are ignored: a later version may have added them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from errors import TestSetError
from eval.figures import Figures
from eval.outcome import Outcome


@dataclass(frozen=True)
class RunDocument:
    """One run of a test set."""

    set: str  # name of the test set
    index_version: str
    code_version: str
    when: str  # ISO 8601
    figures: Figures
    outcomes: tuple[Outcome, ...]

    def to_json(self) -> str:
        """The document as JSON text; half a surrogate pair becomes a question mark.

        Raises:
            ValueError: a figure is not a finite number.
        """
        text = json.dumps(asdict(self), ensure_ascii=False, allow_nan=False, indent=1)
        return text.encode("utf-8", "replace").decode("utf-8")

    @classmethod
    def from_json(cls, text: str) -> RunDocument:
        """The document that `to_json` wrote.

        Raises:
            TestSetError: not JSON, or a field is missing or of another type; names the field.
        """
        try:
            document: RunDocument = _value(cls, json.loads(text, parse_constant=_not_finite), "")
            datetime.fromisoformat(document.when)
        except (ValueError, RecursionError) as error:
            raise TestSetError(
                f"not a run document: {error}", f"不是评测报告，或已损坏（{error}）。"
            ) from error
        return document

    @classmethod
    def read(cls, path: Path) -> RunDocument | None:
        """The document in a file; None if there is no such file.

        Raises:
            TestSetError: the file cannot be read or is not a run document.
        """
        try:
            return cls.from_json(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise TestSetError(f"{path}: {error}", f"无法读取上一次的报告 {path}。") from error
        except TestSetError as error:
            raise TestSetError(f"{path}: {error}", f"{path} {error.user_message}") from error


def _value(hint: Any, value: Any, place: str) -> Any:
    """`value`, as JSON gives it, in the type that `hint` names.

    Raises:
        ValueError: it is of another type; names the place.
    """
    if is_dataclass(hint):
        return _record(hint, value, place)
    read = _READERS.get(get_origin(hint))
    if read is not None:
        return read(get_args(hint), value, place)
    if hint is float:
        return _number(value, place)
    if type(value) is not hint:  # True is no count
        _wrong(place)
    return value


def _record(hint: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        _wrong(place)
    hints = _hints(hint)
    given = {}
    for field in fields(hint):
        if field.name in value:
            inner = f"{place}.{field.name}".lstrip(".")
            given[field.name] = _value(hints[field.name], value[field.name], inner)
        elif field.default is MISSING and field.default_factory is MISSING:
            _wrong(f"{place}.{field.name}".lstrip("."))
    return hint(**given)


@cache
def _hints(hint: Any) -> dict[str, Any]:
    return get_type_hints(hint)


def _tuple(arguments: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        _wrong(place)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        _wrong(place)
    pairs = zip(arguments, value, strict=True)
    return tuple(_value(one, item, f"{place}[{i}]") for i, (one, item) in enumerate(pairs))


def _dict(arguments: tuple[Any, ...], value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _wrong(place)
    return {key: _value(arguments[1], item, f"{place}.{key}") for key, item in value.items()}


def _union(arguments: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and NoneType in arguments:
        return None
    (only,) = (one for one in arguments if one is not NoneType)
    return _value(only, value, place)


def _literal(arguments: tuple[Any, ...], value: Any, place: str) -> Any:
    if not isinstance(value, str) or value not in arguments:
        _wrong(place)
    return value


_READERS: dict[Any, Callable[[tuple[Any, ...], Any, str], Any]] = {
    tuple: _tuple,
    dict: _dict,
    Union: _union,
    UnionType: _union,
    Literal: _literal,
}


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        _wrong(place)
    return float(value)


def _not_finite(word: str) -> NoReturn:
    raise ValueError(f"{word} 不是数")


def _wrong(place: str) -> NoReturn:
    raise ValueError(f"{place or '最外层'} 缺失或格式不对")
