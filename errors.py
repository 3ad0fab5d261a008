"""Everything that can go wrong in a way a person can mend.

WenjuError
├── BadQuestionError          empty, too long
├── BusyError                 too many people are asking
├── NotReadyError             no index yet
├── CorpusError
│   ├── UnreadableDocumentError   one file; skipped and counted
│   └── NoReadableFileError       a build with nothing to build from
├── IndexStateError
│   ├── MissingIndexError
│   ├── LockedIndexError          another build is running
│   ├── DamagedIndexError         half-written, truncated, checksum wrong
│   └── IncompatibleIndexError    foreign, newer, or made with another model
├── ModelError                missing, damaged or unloadable embedder
├── TestSetError              an evaluation file that cannot be read
├── QualityDropError          a run is worse than its record
├── PortInUseError
└── SettingsError

`str(error)` is English for the log; `user_message` is one line of Chinese with the cure, and is all
that a person sees. Only app.py and web catch WenjuError.
"""

from __future__ import annotations

import errno
from pathlib import Path


class WenjuError(Exception):
    """Base of all expected failures."""

    def __init__(self, message: str, user_message: str) -> None:
        super().__init__(message)
        self.user_message = user_message


class BadQuestionError(WenjuError):
    """The question cannot be worked on at all."""


class BusyError(WenjuError):
    """As many questions as may wait are waiting already."""

    def __init__(self) -> None:
        super().__init__("too many questions are waiting", "现在提问的人较多，请稍后再试。")


class NotReadyError(WenjuError):
    """There is no index to answer from yet."""

    def __init__(self) -> None:
        super().__init__("no index yet", "资料库还没有建好，请稍后再试。")


class CorpusError(WenjuError):
    """Something about the documents."""


class UnreadableDocumentError(CorpusError):
    """One file that cannot become an article; `user_message` is the reason alone."""

    def __init__(self, reason: str, user_reason: str) -> None:
        super().__init__(reason, user_reason)


class NoReadableFileError(CorpusError):
    """None of the given paths holds a readable document; `reason` tells why of the first file."""

    def __init__(self, paths: list[str], reason: str = "") -> None:
        joined = "、".join(paths)
        super().__init__(
            f"no readable document in {paths}: {reason}",
            f"在 {joined} 中没有找到可以读取的文档"
            f"（{f'{reason}；' if reason else ''}支持 TXT、Markdown、HTML、DOCX 和文字版 PDF）。",
        )


class IndexStateError(WenjuError):
    """Something about the index folder."""


class MissingIndexError(IndexStateError):
    """No index in the folder."""

    def __init__(self, index_dir: Path) -> None:
        super().__init__(
            f"no index in {index_dir}",
            f"{index_dir} 中还没有索引，请先运行："
            f"python app.py build 文档文件夹 --index {index_dir}",
        )


class LockedIndexError(IndexStateError):
    """Another process is building into this folder."""

    def __init__(self, index_dir: Path, holder: str) -> None:
        super().__init__(
            f"index {index_dir} is locked by {holder}",
            f"另一个建库任务（{holder}）正在写入 {index_dir}，请等它结束后再试。",
        )


class DamagedIndexError(IndexStateError):
    """The index is there but not whole."""

    def __init__(self, index_dir: Path, detail: str) -> None:
        super().__init__(
            f"index {index_dir} is damaged: {detail}",
            f"{index_dir} 中的索引不完整或已损坏（{detail}），"
            "请重新建库：python app.py build 文档文件夹 --rebuild",
        )


class IncompatibleIndexError(IndexStateError):
    """The index was made by something else, by a newer version or with another model."""

    def __init__(self, index_dir: Path, detail: str) -> None:
        super().__init__(
            f"index {index_dir} cannot be used: {detail}",
            f"{index_dir} 不能使用（{detail}），"
            "请换一个索引文件夹，或重新建库：python app.py build 文档文件夹 --rebuild",
        )


class ModelError(WenjuError):
    """An embedding model that cannot be used."""


class TestSetError(WenjuError):
    """An evaluation file without a usable line."""

    __test__ = False  # the name starts with "Test"; pytest must not collect it


class QualityDropError(WenjuError):
    """The gate of an evaluation does not let a run pass; the message names the questions."""

    def __init__(self, verdict: str) -> None:
        super().__init__("quality dropped", verdict)


class PortInUseError(WenjuError):
    """The server's address is taken."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"{host}:{port} is in use",
            f"端口 {port} 已被占用，请用 --port 换一个，"
            f"例如：python app.py serve --port {port + 1}",
        )


class SettingsError(WenjuError):
    """A settings file with an unknown key or a wrong type."""


_REASONS = {
    errno.ENOENT: "路径不存在",
    errno.EACCES: "没有权限",
    errno.EPERM: "没有权限",
    errno.EISDIR: "这是一个文件夹",
    errno.ENOTDIR: "上级不是文件夹",
    errno.ENOSPC: "磁盘已满",
    errno.EROFS: "磁盘是只读的",
    errno.ENAMETOOLONG: "文件名太长",
}


def reason(error: OSError) -> str:
    """Why the operating system refused, as a Chinese clause."""
    return _REASONS.get(error.errno or 0, f"系统错误 {error.errno}")
