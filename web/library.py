"""The operator's documents: a folder of uploads, and the builds that bring it into the index.

Files come in whole or not at all: they are written beside and renamed. Building is done by a child
process at low priority, one at a time; what is asked for meanwhile waits and is merged. The index
is published by the child in whole steps, so stopping it at any time leaves one that answers.
How a new generation comes to be served is not decided here.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import tempfile
import threading
import unicodedata
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Protocol

from errors import (
    KeptDocumentError,
    LargeUploadError,
    LibraryError,
    RefusedUploadError,
    SameNameError,
    UnknownDocumentError,
    reason,
)
from schema import DocumentSummary

Status = Literal["indexed", "waiting", "changed", "leaving", "unreadable"]
Job = Literal["update", "rebuild"]
Phase = Literal["idle", "running", "failed", "finished"]

MAX_FILE_BYTES = 50 * 1024 * 1024  # what `build` reads at most
MAX_NAME_CHARS = 120
_MAX_NAME_BYTES = 240  # file systems take 255, the temporary name a few more
_PARTIAL = ".upload-"  # a build passes over hidden files
_NICENESS = 15  # one thirtieth of the processor where somebody asks, all of it otherwise
_STOP_SECONDS = 2.0
_LOGGED_LINES = 40
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_NOT_IN_NAMES = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
_STAGES = {"read": ("正在读取文件", "个"), "embed": ("正在建立向量", "段")}
_logger = logging.getLogger(__name__)


class IndexView(Protocol):
    """What is known of the index that answers now. Safe to call from several threads."""

    def documents(self) -> list[DocumentSummary]:
        """Sorted by doc."""

    def origins(self) -> Mapping[str, str]:
        """{doc: the folder that its file lies in}."""

    @property
    def index_version(self) -> str:
        """Names the generation that answers; empty while there is none."""


@dataclass(frozen=True, slots=True)
class LibraryDocument:
    """One line of the operator's list."""

    doc: str
    status: Status
    uploaded: bool  # here; else from a folder of the server
    folder: str  # that holds the file
    title: str | None = None
    date: str | None = None
    chars: int = 0  # in the index
    chunks: int = 0
    warnings: tuple[str, ...] = ()
    reason: str = ""  # Chinese: why it is unreadable


@dataclass(frozen=True, slots=True)
class BuildState:
    """What the builder does now, or did last."""

    phase: Phase = "idle"
    job: Job | None = None
    message: str = ""  # Chinese, one line
    done: int = 0
    total: int = 0  # 0: not known yet
    queued: bool = False  # another job waits
    finished: datetime | None = None  # UTC
    version: str = ""  # that the last build published or found unchanged


class Upload:
    """A file on its way in; `Library.receive` makes it."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file = file
        self._most = most
        self._size = 0

    def write(self, data: bytes) -> None:
        """Some more bytes.

        Raises:
            LargeUploadError: they are too many by now.
            LibraryError: the disk is full.
        """
        self._size += len(data)
        if self._size > self._most:
            raise LargeUploadError(self._most)
        with _disk_errors():
            self._file.write(data)

    def finish(self) -> None:
        """Everything has arrived.

        Raises:
            RefusedUploadError: it is nothing.
        """
        if not self._size:
            raise RefusedUploadError("empty upload", "文件是空的，没有收下。")
        with _disk_errors():
            self._file.flush()
            os.fsync(self._file.fileno())


class Library:
    """Uploads and builds of one index; a context manager. Safe to call from several threads.

    Args:
        folder: of the uploads; made with the first one.
        index_dir: where the index is built; None where the settings of the command say it.
        build_command: program and arguments up to and including `build` with its settings.
        index: what answers now.
        suffixes: of the files that can be read, lower case with their dot.
        max_file_bytes: the largest upload.
    """

    def __init__(
        self,
        folder: Path,
        index_dir: Path | None,
        build_command: Sequence[str],
        index: IndexView,
        *,
        suffixes: Collection[str],
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self.folder = folder.resolve()
        self.suffixes = frozenset(suffixes)
        self.max_file_bytes = max_file_bytes
        self._index_dir = index_dir
        self._build_command = tuple(build_command)
        self._index = index
        self._lock = threading.Condition()
        self._state = BuildState()
        self._wanted: Job | None = None
        self._stopping = False
        self._child: subprocess.Popen[str] | None = None
        self._arrivals = 0
        self._changes = 0
        self._fresh: dict[str, int] = {}  # uploads that no finished build has seen -> arrival
        self._problems: dict[str, str] = {}  # uploads that could not be read -> Chinese reason
        self._indexed: tuple[str, Mapping[str, DocumentSummary], Mapping[str, str]] | None = None
        self._worker = threading.Thread(target=self._work, name="library-builds", daemon=True)

    def __enter__(self) -> Library:
        for leftover in self.folder.glob(f"{_PARTIAL}*"):
            with suppress(OSError):
                leftover.unlink()
        if self._behind():
            self.update()
        self._worker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the build under way, if any, and begin no other; leaving does this too."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
            if self._child is not None:
                self._child.terminate()
        self._worker.join(_STOP_SECONDS)
        with self._lock:
            if self._child is not None:
                self._child.kill()
        self._worker.join()

    @property
    def state(self) -> BuildState:
        """What the builder does."""
        with self._lock:
            return replace(self._state, queued=self._wanted is not None)

    @property
    def revision(self) -> str:
        """Another text whenever `documents` may be another list."""
        with self._lock:
            return f"{self._index.index_version}/{self._changes}"

    def documents(self) -> list[LibraryDocument]:
        """What is in the index and what was uploaded, sorted by doc."""
        summaries, origins = self._served()
        uploads = self._uploads()
        with self._lock:
            fresh, problems = set(self._fresh), dict(self._problems)
        rows = []
        for doc in sorted(summaries.keys() | uploads):
            folder = origins.get(doc, str(self.folder))
            uploaded = folder == str(self.folder)
            # A file here that has the name of a document from elsewhere is left out by the build.
            problem = problems.get(doc, "") if doc in uploads else ""
            rows.append(
                _row(
                    doc,
                    summaries.get(doc),
                    folder,
                    uploaded=uploaded,
                    status=_status(
                        indexed=doc in summaries,
                        present=doc in uploads or not uploaded,
                        fresh=doc in uploads and doc in fresh,
                        problem=problem,
                    ),
                    reason=problem,
                )
            )
        return rows

    def counts(self) -> tuple[int, int]:
        """Documents and chunks of the index that answers."""
        summaries, _ = self._served()
        return len(summaries), sum(summary.chunks for summary in summaries.values())

    def clean_name(self, name: str) -> str:
        """The name under which a file of that name is kept.

        Raises:
            RefusedUploadError: no such file can be taken.
        """
        name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
        # Control and format characters: some of the latter turn the direction of what follows.
        name = "".join(c for c in name if not unicodedata.category(c).startswith("C"))
        name = " ".join(name.translate(_NOT_IN_NAMES).split()).lstrip(". ").rstrip(". ")
        if not Path(name).stem or _RESERVED.fullmatch(name):
            raise RefusedUploadError(f"name {name!a}", "这个文件名不能用，请改名后再传。")
        if len(name) > MAX_NAME_CHARS or len(name.encode()) > _MAX_NAME_BYTES:
            raise RefusedUploadError("name too long", "文件名太长，请改短后再传。")
        if Path(name).suffix.lower() not in self.suffixes:
            raise RefusedUploadError(
                f"suffix of {name!a}",
                "不支持这种文件（支持 TXT、Markdown、HTML、DOCX 和文字版 PDF）。",
            )
        return name

    def holds(self, name: str) -> bool:
        """Whether a file of that clean name was uploaded.

        Raises:
            RefusedUploadError: a document from another folder has the name.
        """
        folder = self._served()[1].get(name, str(self.folder))
        if folder != str(self.folder):
            raise RefusedUploadError(
                f"{name!a} lies in {folder}",
                f"索引中已有来自 {folder} 的同名文档《{name}》，请改名后再传。",
            )
        return name in self._uploads()

    @contextmanager
    def receive(self, name: str, *, replacing: bool) -> Iterator[Upload]:
        """Take a file in; it appears when the block ends without an error, and else never.

        Args:
            name: clean.
            replacing: an upload of that name may be replaced.

        Raises:
            SameNameError: there is one, and it may not.
            RefusedUploadError: nothing came, or the name is taken elsewhere.
            LibraryError: the disk does not take it.
        """
        if self.holds(name) and not replacing:
            raise SameNameError(name)
        with _disk_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, partial = tempfile.mkstemp(prefix=_PARTIAL, dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                upload = Upload(file, self.max_file_bytes)
                yield upload
                upload.finish()
            self._keep(Path(partial), name, replacing=replacing)
        finally:
            Path(partial).unlink(missing_ok=True)

    def _keep(self, partial: Path, name: str, *, replacing: bool) -> None:
        with self._lock:
            if self.holds(name) and not replacing:
                raise SameNameError(name)
            with _disk_errors():
                partial.replace(self.folder / name)
            self._arrivals += 1
            self._fresh[name] = self._arrivals
            self._problems.pop(name, None)
            self._changes += 1

    def remove(self, doc: str) -> None:
        """Delete an upload; the next build takes it out of the index.

        Raises:
            KeptDocumentError: it lies in a folder of the operator's, or nothing would be left.
            UnknownDocumentError: there is none.
        """
        rows = {row.doc: row for row in self.documents()}
        row = rows.get(doc)
        if row is None:
            raise UnknownDocumentError(doc)
        if not row.uploaded or Path(doc).name != doc:
            raise KeptDocumentError(
                f"{doc!a} lies in {row.folder}",
                f"《{doc}》来自服务器上的文件夹 {row.folder}，"
                f"请在那里删除文件，再运行 wenju build {row.folder}",
            )
        others = (other for name, other in rows.items() if name != doc)
        if row.chunks and all(
            other.status == "leaving" or not _has_text(other) for other in others
        ):
            raise KeptDocumentError(
                f"{doc!a} is the last", "这是最后一篇文档，请先传入别的文档，再移除它。"
            )
        with self._lock, _disk_errors():
            (self.folder / doc).unlink(missing_ok=True)
            self._fresh.pop(doc, None)
            self._problems.pop(doc, None)
            self._changes += 1

    def update(self) -> None:
        """Bring what was uploaded and removed into the index, as soon as nothing else is built."""
        self._want("update")

    def rebuild(self) -> None:
        """Read every document again, from wherever it came, and build the index from nothing."""
        self._want("rebuild")

    def _want(self, job: Job) -> None:
        with self._lock:
            if self._wanted != "rebuild":  # a rebuild does what an update does
                self._wanted = job
            self._lock.notify_all()

    def _served(self) -> tuple[Mapping[str, DocumentSummary], Mapping[str, str]]:
        """What the index holds; an archive is not listed again for every question of the page."""
        version = self._index.index_version
        if self._indexed is None or self._indexed[0] != version:
            summaries = {summary.doc: summary for summary in self._index.documents()}
            origins = {doc: root for doc, root in self._index.origins().items() if doc in summaries}
            self._indexed = (version, summaries, origins)
        return self._indexed[1], self._indexed[2]

    def _uploads(self) -> set[str]:
        try:
            entries = list(self.folder.iterdir())
        except OSError:
            return set()
        return {
            path.name
            for path in entries
            if not path.name.startswith(".")
            and path.suffix.lower() in self.suffixes
            and path.is_file()
        }

    def _behind(self) -> bool:
        """Whether uploads came or went since the index was built, before this process began."""
        if self._index_dir is None:
            return bool(self._uploads())
        try:
            built = (self._index_dir / "CURRENT").stat().st_mtime
        except OSError:
            return bool(self._uploads())
        newer = (
            (self.folder / name).stat(follow_symlinks=False).st_mtime > built
            for name in self._uploads()
        )
        return any(newer) or any(row.status != "indexed" for row in self.documents())

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._stopping or self._wanted)
                if self._stopping:
                    return
                job, self._wanted = self._wanted or "update", None
                seen = self._arrivals
                self._state = BuildState("running", job, "正在准备……")
            try:
                self._run(job, seen)
            except OSError as error:
                _logger.exception("no build")
                self._fail(job, f"无法开始建库：{reason(error)}。")
            except Exception:
                _logger.exception("no build")
                self._fail(job, "建库程序出错，详情见服务器日志。")

    def _run(self, job: Job, seen: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*self._build_command, str(self.folder)]
        command += ["--index", str(self._index_dir)] if self._index_dir is not None else []
        command += ["--prune", "--json", "--progress", "json"]
        command += ["--rebuild", "--known"] if job == "rebuild" else []
        # A file, since nobody reads a second pipe while the first is followed.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as summary:
            child = self._start(command, summary)
            if child is None:
                return
            with child:
                skipped, said = self._follow(child, job)
            with self._lock:
                self._child = None
                stopped = self._stopping
            if stopped:
                return
            problems = {Path(p).name: why for p, why in skipped if Path(p).parent == self.folder}
            if child.returncode:
                self._fail(job, _failure(child.returncode, said), problems)
                return
            summary.seek(0)
            self._succeed(job, seen, problems, json.load(summary))

    def _start(self, command: Sequence[str], out: IO[str]) -> subprocess.Popen[str] | None:
        """The child, unless the server stops."""
        with self._lock:
            if self._stopping:
                return None
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # Ctrl+C is for the server, which stops its child
            )
            with suppress(AttributeError, OSError):  # Windows knows no such call
                os.setpriority(os.PRIO_PROCESS, self._child.pid, _NICENESS)
            return self._child

    def _follow(
        self, child: subprocess.Popen[str], job: Job
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """(path, reason) of what is left out, and the last lines that are no progress."""
        skipped: list[tuple[str, str]] = []
        said: deque[str] = deque(maxlen=_LOGGED_LINES)
        for line in child.stderr or ():
            match _event(line):
                case {"stage": str(stage), "done": int(done), "total": int(total)}:
                    self._progress(job, stage, done, total)
                case {"skipped": str(path), "reason": str(why)}:
                    skipped.append((path, why))
                case _ if line.strip():
                    said.append(line.strip())
        return skipped, list(said)

    def _progress(self, job: Job, stage: str, done: int, total: int) -> None:
        label, unit = _STAGES.get(stage, ("正在建库", "步"))
        message = f"{label}：{done}/{total} {unit}"
        if stage == "embed" and done == total:
            message = "正在写入索引……"
        with self._lock:
            self._state = BuildState("running", job, message, done, total)

    def _fail(self, job: Job, message: str, problems: Mapping[str, str] | None = None) -> None:
        with self._lock:
            self._problems |= problems or {}
            self._changes += 1
            self._state = BuildState("failed", job, message, finished=datetime.now(UTC))

    def _succeed(
        self, job: Job, seen: int, problems: Mapping[str, str], summary: Mapping[str, Any]
    ) -> None:
        message = (
            f"{'重建' if job == 'rebuild' else '收录'}完成：新增 {summary['added']} 篇，"
            f"更新 {summary['updated']} 篇，移除 {summary['removed']} 篇，"
            f"跳过 {len(summary['skipped'])} 个；共 {summary['documents']} 篇，"
            f"用时 {summary['seconds']:.1f} 秒。"
        )
        with self._lock:
            self._changes += 1
            self._fresh = {name: at for name, at in self._fresh.items() if at > seen}
            self._problems = {n: why for n, why in problems.items() if n not in self._fresh}
            self._state = BuildState(
                "finished",
                job,
                message,
                finished=datetime.now(UTC),
                version=str(summary["index_version"]),
            )


def _status(*, indexed: bool, present: bool, fresh: bool, problem: str) -> Status:
    if problem:
        return "unreadable"
    if not indexed:
        return "waiting"
    if not present:
        return "leaving"
    return "changed" if fresh else "indexed"


def _row(
    doc: str,
    summary: DocumentSummary | None,
    folder: str,
    *,
    uploaded: bool,
    status: Status,
    reason: str,
) -> LibraryDocument:
    row = LibraryDocument(doc, status, uploaded, folder, reason=reason)
    if summary is None:
        return row
    return replace(
        row,
        title=summary.title,
        date=summary.date,
        chars=summary.chars,
        chunks=summary.chunks,
        warnings=summary.warnings,
    )


def _has_text(row: LibraryDocument) -> bool:
    """Whether the index holds it, or will as far as is known."""
    return row.chunks > 0 or row.status == "waiting"


def _event(line: str) -> Any:
    """A line of progress, or None for what people or libraries have to say."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _failure(code: int, said: Sequence[str]) -> str:
    """Why the child gave up, in Chinese: its last line, unless that was not meant for people."""
    if code == 1 and said and not any(line.startswith("Traceback") for line in said):
        return said[-1]
    _logger.error("build ended with %s:\n%s", code, "\n".join(said))
    if code < 0:
        return f"建库程序被中断（信号 {-code}）。已发布的索引没有坏；重建会接着做完。"
    return f"建库程序出错（代码 {code}）。已发布的索引没有坏；详情见服务器日志。"


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LibraryError(f"disk: {error}", f"无法保存：{reason(error)}。") from error
