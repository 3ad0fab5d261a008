"""The calls to Milvus that an index needs, each with a time limit and with its errors translated.

The only module that imports pymilvus. The same calls go to a cluster, to a server of milvus-lite
and to a local file ending in .db, which milvus-lite serves from inside this process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from pymilvus import CollectionSchema, MilvusClient
from pymilvus.exceptions import ConnectionConfigException, MilvusException

from errors import SettingsError, StoreAccessError, StoreError, StoreInUseError
from errors import UnreachableStoreError as Unreachable

# pymilvus writes every failed call with its whole traceback to standard error, also one that is
# expected and caught. What matters of it is in the error that is raised.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)
logging.getLogger("milvus_lite").setLevel(logging.CRITICAL + 1)

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0  # a search takes milliseconds; what takes longer than this has failed
WRITE_SECONDS = 120.0
LOAD_SECONDS = 600.0  # a cluster reads a whole collection into memory

_OPTIONS = {
    "grpc.enable_http_proxy": 0,  # to the store itself, whatever proxy some variable names
    "grpc.max_reconnect_backoff_ms": 1000,  # else a server that came back is missed for minutes
}
_PAGE = 1000  # rows asked for at once
_EF = 512  # HNSW: recall 0.94 at 218,000 vectors, of 128 it is 0.82 (docs/index-size.md)
_UNAUTHENTICATED = (1400, 1401, 1402)  # of the server: no, or not enough, rights
_NO_COLLECTION = 100
_NOT_LOADED = 101
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_SILENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

Row = dict[str, Any]


class Milvus:
    """A connection. Safe to use from several threads.

    Args:
        store: an address, or the path of a local file ending in .db; named in errors.
        token: "user:password", or "" for none. It stands in no error and in no log.

    Raises:
        SettingsError: `store` is neither, or holds a password.
        UnreachableStoreError: nobody answers there.
        StoreAccessError: the token is not accepted.
        StoreInUseError: the file is open in another process.
    """

    def __init__(self, store: str, token: str = "") -> None:
        check_store(store)
        self.store = store
        self._loaded: set[str] = set()
        self._turns: dict[str, threading.Lock] = {}
        with self._errors():
            self._client = MilvusClient(
                store, token=token, timeout=CONNECT_SECONDS, grpc_options=_OPTIONS
            )

    @property
    def is_file(self) -> bool:
        """Whether this process alone has it."""
        return self.store.endswith(".db")

    def close(self) -> None:
        """Let go of the connection; harmless when done twice."""
        self._client.close()

    def collections(self) -> list[str]:
        """Names of all collections in the database."""
        with self._errors():
            return list(self._client.list_collections(timeout=READ_SECONDS))

    def fields(self, name: str) -> set[str] | None:
        """Names of a collection's fields; None where there is no such collection."""
        try:
            with self._errors():
                described = self._client.describe_collection(name, timeout=READ_SECONDS)
        except MissingCollectionError:
            return None
        return {field["name"] for field in described["fields"]}

    def create(
        self, name: str, schema: CollectionSchema, indexes: Mapping[str, tuple[str, str]]
    ) -> None:
        """Make a collection; what is written later is seen at once by those who ask for it.

        Args:
            name: of the collection.
            schema: its fields.
            indexes: {field: (kind of index, metric)}, for every vector field.
        """
        parameters = MilvusClient.prepare_index_params()
        for field, (kind, metric) in indexes.items():
            options = {"M": 32, "efConstruction": 200} if kind == "HNSW" else {}
            parameters.add_index(field, index_type=kind, metric_type=metric, params=options)
        with self._errors():
            self._client.create_collection(
                name, schema=schema, timeout=WRITE_SECONDS, consistency_level="Strong"
            )
            # Nothing is in it yet, so there is no work to wait half a second for.
            self._client.create_index(name, parameters, timeout=WRITE_SECONDS, sync=False)

    def drop(self, name: str) -> None:
        """Remove a collection; one that is not there is no error."""
        with self._errors():
            self._client.drop_collection(name, timeout=WRITE_SECONDS)
        self._loaded.discard(name)

    def upsert(self, name: str, rows: Sequence[Row]) -> None:
        """Insert or replace by primary key.

        Never `insert`: a cluster keeps both rows of one key then, milvus-lite the last.
        """
        if rows:
            with self._turn(name), self._errors():
                self._client.upsert(name, list(rows), timeout=WRITE_SECONDS)

    def delete(self, name: str, condition: str) -> None:
        """Remove the rows that meet the condition."""
        # The result is a list here and a dict there; nobody needs it.
        with self._turn(name):
            self._loaded_call(
                name, lambda: self._client.delete(name, filter=condition, timeout=WRITE_SECONDS)
            )

    def flush(self, name: str) -> None:
        """Make what was written last, and searchable by index.

        milvus-lite does not show rows that were not flushed before while it does.
        """
        with self._turn(name), self._errors():
            self._client.flush(name, timeout=WRITE_SECONDS)

    def get(self, name: str, ids: Sequence[Any], fields: Sequence[str]) -> list[Row]:
        """The rows of these keys, in any order; those that are not there are missing."""

        def page(first: int) -> list[Row]:
            wanted = list(ids[first : first + _PAGE])
            return list(
                self._client.get(name, ids=wanted, output_fields=list(fields), timeout=READ_SECONDS)
            )

        rows: list[Row] = []
        for first in range(0, len(ids), _PAGE):
            rows += self._loaded_call(name, partial(page, first))
        return rows

    def select(self, name: str, condition: str, fields: Sequence[str]) -> Iterator[Row]:
        """All rows that meet the condition, a page of them in memory at a time, in any order."""
        pages = self._loaded_call(
            name,
            lambda: self._client.query_iterator(
                name,
                batch_size=_PAGE,
                filter=condition,
                output_fields=list(fields),
                timeout=READ_SECONDS,
            ),
        )
        try:
            while True:
                with self._errors():
                    page = pages.next()
                if not page:
                    return
                yield from page
        finally:
            pages.close()

    def count(self, name: str, condition: str) -> int:
        """How many rows meet the condition, all that was written before included."""
        rows = self._loaded_call(
            name,
            lambda: self._client.query(
                name,
                filter=condition,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=READ_SECONDS,
            ),
        )
        return int(rows[0]["count(*)"])

    def search(
        self, name: str, field: str, vector: Any, k: int, condition: str, *, strong: bool
    ) -> list[tuple[int, float]]:
        """(primary key, inner product), best first, of equal ones the lower key first.

        Args:
            name: of the collection.
            field: that is searched.
            vector: of the query, as the field holds them.
            k: at most so many.
            condition: that the rows meet.
            strong: wait, in a cluster, until all that was written before can be found; else what
                was written in the last seconds may be missing.
        """
        dense = not isinstance(vector, dict)
        (hits,) = self._loaded_call(
            name,
            lambda: self._client.search(
                name,
                data=[vector],
                anns_field=field,
                limit=k,
                filter=condition,
                search_params={"params": {"ef": max(_EF, k)} if dense else {}},
                consistency_level="Strong" if strong else "Bounded",
                timeout=READ_SECONDS,
            ),
        )
        found = [(int(hit["id"]), float(hit["distance"])) for hit in hits]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def _loaded_call(self, name: str, call: Callable[[], Any]) -> Any:
        """What the call gives, after the collection is loaded.

        A server that was started anew reads nothing until it is told to load, and does not tell.
        """
        self._load(name)
        try:
            with self._errors():
                return call()
        except _NotLoadedError:
            self._loaded.discard(name)
        self._load(name)
        with self._errors():
            return call()

    def _load(self, name: str) -> None:
        if name not in self._loaded:
            with self._errors():
                self._client.load_collection(name, timeout=LOAD_SECONDS)
            self._loaded.add(name)

    def _turn(self, name: str) -> threading.Lock:
        """Held while a collection is written: milvus-lite takes one writer of each at a time."""
        return self._turns.setdefault(name, threading.Lock())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ConnectionConfigException as error:
            raise StoreInUseError(self.store, _said(error)) from error
        except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> StoreError:
        code, said = _code(error), _said(error)
        if code == _NO_COLLECTION:
            return MissingCollectionError(self.store, said)
        if code == _NOT_LOADED:
            return _NotLoadedError(self.store, said)
        # Where connecting fails, pymilvus hides why: the reason is what it was raised from.
        if any(_code(one) in (*_UNAUTHENTICATED, *_REFUSED) for one in _chain(error)):
            return StoreAccessError(self.store, said)
        silent = isinstance(error, grpc.FutureTimeoutError) or code in _SILENT
        # "Received UNIMPLEMENTED": somebody answers, and it is not Milvus.
        if silent or any(sign in said for sign in ("Fail connecting", "Retry", "UNIMPLEMENTED")):
            return Unreachable(self.store, said)
        return StoreError(self.store, said)


class MissingCollectionError(StoreError):
    """There is no collection of that name."""


class _NotLoadedError(StoreError):
    """The collection is there, but not in memory."""


def check_store(store: str) -> None:
    """Refuse what is neither an address nor a local file, or holds a password.

    Raises:
        SettingsError: as said.
    """
    if store.endswith(".db"):
        if not Path(store).resolve().parent.is_dir():
            raise SettingsError(
                f"store: no folder for {store}", f"设置 store：{store} 所在的文件夹不存在。"
            )
        return
    address = urlsplit(store)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise SettingsError(
            f"store: {address.scheme!r} is no address",
            "设置 store 应为 Milvus 地址（如 http://主机:19530）或以 .db 结尾的本地路径。",
        )
    if address.username or address.password:
        raise SettingsError(
            "store: credentials in the address",
            "设置 store 里不要写用户名和密码，请放在环境变量 WENJU_MILVUS_TOKEN（用户名:密码）中。",
        )


def _code(error: BaseException) -> object:
    """Of Milvus or of gRPC, None where there is none."""
    code = getattr(error, "code", None)
    return code() if callable(code) else code


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it came from; pymilvus raises some from themselves."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        cause = error.__cause__
        error = cause if cause not in (None, error) else error.__context__


def _said(error: BaseException) -> str:
    """What the library says, in one line, without its own names."""
    details = getattr(error, "details", None)
    text = getattr(error, "message", None) or (details() if callable(details) else str(error))
    return " ".join(str(text).split())[:300] or type(error).__name__
