"""Where an index lies: in a folder, or in Milvus. The only place that tells the two apart.

pymilvus is an extra and takes most of a second to import, so it is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from errors import MissingExtraError
from index import generation
from index.build import IndexWriter
from index.doctor import was_begun
from index.file_watch import check_large_files
from index.protocols import Embedder, Generation

if TYPE_CHECKING:
    from index.milvus_build import MilvusWriter


@dataclass(frozen=True)
class Place:
    """Where an index lies.

    Args:
        index_dir: the folder.
        store: address of a Milvus or path of a local file of it, instead of the folder; or "".
        token: for access to it, "user:password".
    """

    index_dir: Path
    store: str = ""
    token: str = field(default="", repr=False)

    @property
    def name(self) -> Path | str:
        """As the operator knows it."""
        return self.store or self.index_dir

    def open(self) -> Generation:
        """The generation that serves.

        Raises:
            IndexStateError: there is none, or it cannot be used.
            MissingExtraError: it lies in Milvus, and pymilvus is not installed.
        """
        if not self.store:
            return generation.Generation.open(self.index_dir)
        _require_milvus()
        from index.milvus_store import open_generation

        return open_generation(self.store, self.token)

    def watch(self) -> Callable[[], Hashable | None]:
        """A function that tells what serves: another value after every publication, None before.

        It may raise StoreError. This itself raises MissingExtraError as `open` does.
        """
        if not self.store:
            return lambda: generation.pointer_stamp(self.index_dir)
        _require_milvus()
        from index.milvus_store import VersionWatch

        return VersionWatch(self.store, self.token)

    def check_beside(self, opened: Generation) -> None:
        """Start to read, in a thread, what opening a folder left unread; see file_watch.py."""
        if isinstance(opened, generation.Generation):
            check_large_files(self.index_dir, opened)

    def exists(self) -> bool:
        """Whether an index is there, be it usable or not; in a folder also one that is being made.

        Raises:
            StoreError: that cannot be told.
        """
        return was_begun(self.index_dir) if not self.store else self.watch()() is not None

    def writer(
        self,
        embedder: Embedder,
        *,
        corpus_version: int,
        settings_fingerprint: str,
        wenju_version: str,
        rebuild: bool = False,
        embed_batch: int | None = None,
    ) -> IndexWriter | MilvusWriter:
        """The one writer; see there. Raises MissingExtraError as `open` does."""
        if not self.store:
            return IndexWriter(
                self.index_dir,
                embedder,
                corpus_version=corpus_version,
                settings_fingerprint=settings_fingerprint,
                wenju_version=wenju_version,
                rebuild=rebuild,
                embed_batch=embed_batch,
            )
        _require_milvus()
        from index.milvus_build import MilvusWriter

        return MilvusWriter(
            self.store,
            self.token,
            embedder,
            corpus_version=corpus_version,
            settings_fingerprint=settings_fingerprint,
            wenju_version=wenju_version,
            rebuild=rebuild,
            embed_batch=embed_batch,
        )


def _require_milvus() -> None:
    if find_spec("pymilvus") is None:
        raise MissingExtraError("pymilvus", "milvus")
