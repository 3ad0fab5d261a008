"""Everything that can go wrong in a way a person can mend.

WenjuError
├── BadQuestionError          empty
│   └── LongQuestionError         more than anyone types
├── BusyError                 too many people are asking
├── TooManyRequestsError      one of them asks too often
├── TokenError                a portal's token that does not hold
├── NotReadyError             no index yet
├── CorpusError
│   ├── UnreadableDocumentError   one file; skipped and counted
│   ├── NoReadableFileError       a build with nothing to build from
│   └── MissingFolderError        a folder whose documents are in the index is not there
├── IndexStateError
│   ├── MissingIndexError
│   ├── LockedIndexError          another build is running
│   ├── DamagedIndexError         half-written, truncated, checksum wrong
│   ├── IncompatibleIndexError    foreign, or made with another model
│   │   └── NewerIndexError           made by a newer version; never overwritten
│   ├── UnhealthyIndexError       the doctor found something
│   └── StoreError                a Milvus store that does not do what it should
│       ├── UnreachableStoreError     does not answer
│       ├── StoreAccessError          the token is not accepted
│       ├── StoreInUseError           a local file that another process has open
│       └── SupersededError           the state that was opened is no longer kept there
├── LibraryError              the operator's documents page: something that cannot be done
│   ├── RefusedUploadError        a name, type or content that cannot be taken
│   ├── LargeUploadError
│   ├── SameNameError             there is one of that name, and nobody said to replace it
│   ├── UnknownDocumentError
│   └── KeptDocumentError         not to be removed from here
├── LoginRequiredError        the operator's pages without a session
│   └── WrongPasswordError
├── LockedOutError            too many wrong passwords
├── ModelError                missing, damaged or unloadable embedder
├── LostProcessError          a process that a build started was ended from outside
├── ClusterError              Ray: absent, not reached, other versions, no machine left
├── TestSetError              an evaluation file that cannot be read
├── QualityDropError          a run is worse than its record
├── FeedbackError             the file of people's feedback cannot be used
├── PortInUseError
├── MissingExtraError         a library that a setting needs is not installed
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


class LongQuestionError(BadQuestionError):
    """Longer than is accepted; `limit` in code points."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"question of {length} characters", f"问题太长了，请控制在 {limit} 个字以内。"
        )


class BusyError(WenjuError):
    """As many questions as may wait are waiting already."""

    def __init__(self) -> None:
        super().__init__("too many questions are waiting", "现在提问的人较多，请稍后再试。")


class TooManyRequestsError(WenjuError):
    """One visitor or one site asks too often; `retry_after` in whole seconds, at least 1."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"too many requests, retry after {retry_after} s",
            f"提问过于频繁，请 {_duration(retry_after)}后再试。",
        )
        self.retry_after = retry_after


def _duration(seconds: int) -> str:
    if seconds < 100:
        return f"{seconds} 秒"
    minutes = -(-seconds // 60)
    return f"{minutes} 分钟" if minutes < 100 else f"{-(-minutes // 60)} 小时"


class TokenError(WenjuError):
    """A token that does not hold; `reason` is a short code for the log, never the token."""

    def __init__(self, reason: str, user_message: str) -> None:
        super().__init__(f"token refused: {reason}", user_message)
        self.reason = reason


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
            f"（{f'{reason}；' if reason else ''}支持 TXT、Markdown、HTML、DOCX、文字版 PDF，"
            "和一行一篇的 .jsonl、.lines、.txt.gz）。",
        )


class MissingFolderError(CorpusError):
    """A folder that documents of the index came from is not there; nothing was built."""

    def __init__(self, root: str, documents: int) -> None:
        super().__init__(
            f"folder {root} of {documents} documents is missing",
            f"收录过的文件夹 {root} 不在了（其中 {documents} 篇文档），为免丢失它们，没有重建。"
            "请先恢复这个文件夹；若不再需要，请在终端用其余文件夹重建："
            "wenju build 文件夹 --rebuild",
        )


class IndexStateError(WenjuError):
    """Something about the index; `index_dir` is its folder, or the name of its store."""


class MissingIndexError(IndexStateError):
    """No index in the folder or store."""

    def __init__(self, index_dir: Path | str) -> None:
        where = f"--index {index_dir}" if isinstance(index_dir, Path) else "--settings 设置文件"
        super().__init__(
            f"no index in {index_dir}",
            f"{index_dir} 中还没有索引，请先运行：python app.py build 文档文件夹 {where}",
        )


class LockedIndexError(IndexStateError):
    """Another process is building into this folder or store."""

    def __init__(self, index_dir: Path | str, holder: str) -> None:
        super().__init__(
            f"index {index_dir} is locked by {holder}",
            f"另一个建库任务（{holder}）正在写入 {index_dir}，请等它结束后再试。",
        )


class DamagedIndexError(IndexStateError):
    """The index is there but not whole."""

    def __init__(self, index_dir: Path | str, detail: str) -> None:
        doctor = f"；或先检查能否修复：python app.py doctor --index {index_dir}"
        doctor = doctor if isinstance(index_dir, Path) else ""
        super().__init__(
            f"index {index_dir} is damaged: {detail}",
            f"{index_dir} 中的索引不完整或已损坏（{detail}），"
            f"请重新建库：python app.py build 文档文件夹 --rebuild{doctor}",
        )
        self.detail = detail  # Chinese


class IncompatibleIndexError(IndexStateError):
    """The index was made by something else or with another model."""

    def __init__(self, index_dir: Path | str, detail: str) -> None:
        other = "索引文件夹" if isinstance(index_dir, Path) else "数据库"
        super().__init__(
            f"index {index_dir} cannot be used: {detail}",
            f"{index_dir} 不能使用（{detail}），"
            f"请换一个{other}，或重新建库：python app.py build 文档文件夹 --rebuild",
        )
        self.detail = detail  # Chinese


class NewerIndexError(IncompatibleIndexError):
    """A newer version of this program made the index; not even a rebuild overwrites it."""

    def __init__(self, index_dir: Path | str, found: int, known: int) -> None:
        detail = f"索引格式 {found} 来自更新的版本，本程序只支持到 {known}"
        super().__init__(index_dir, detail)
        if isinstance(index_dir, str):
            self.user_message = (
                f"{index_dir} 不能使用（{detail}），请升级本程序，"
                "或在设置 store 里换一个 database。"
            )
            return
        self.user_message = (
            f"{index_dir} 不能使用（{detail}），请升级本程序，或用 --index 换一个索引文件夹；"
            "确定不再需要它时，请先自行移走这个文件夹，再重新建库。"
        )


class UnhealthyIndexError(IndexStateError):
    """The examination of an index found something, which has been told in full."""

    def __init__(self, index_dir: Path, problems: int) -> None:
        super().__init__(
            f"index {index_dir} has {problems} problems",
            f"{index_dir} 有 {problems} 处问题，办法见检查结果。",
        )


class StoreError(IndexStateError):
    """A Milvus store does not do what it was asked for; `detail` for the log."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(
            f"store {store}: {detail}",
            f"向量数据库 {store} 没有完成请求，请查看它的日志和剩余空间后再试。",
        )


class UnreachableStoreError(StoreError):
    """It does not answer, or not in time."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(store, detail)
        self.user_message = (
            f"连不上向量数据库 {store}，请检查设置 store 的地址、网络和它是否在运行。"
        )


class StoreAccessError(StoreError):
    """It does not accept the token, or there is none."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(store, detail)
        self.user_message = (
            f"向量数据库 {store} 不接受凭证，请检查环境变量 WENJU_MILVUS_TOKEN（用户名:密码）。"
        )


class StoreInUseError(StoreError):
    """A local file that cannot be opened, as a rule because another process has it open."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(store, detail)
        self.user_message = (
            f"打不开 {store}：本地文件同一时间只能由一个程序使用，请先关掉另一个，"
            "或改用 Milvus 服务器。"
        )


class SupersededError(StoreError):
    """The state that was opened long ago is no longer kept; a newer one is there to be opened."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(store, detail)
        self.user_message = f"打开的版本早已被替换，{store} 不再保存它，请重新打开索引。"


class LibraryError(WenjuError):
    """The operator asked for something about the documents that cannot be done."""


class RefusedUploadError(LibraryError):
    """A file whose name, type or content cannot be taken."""


class LargeUploadError(LibraryError):
    """A file of more bytes than are taken."""

    def __init__(self, limit: int) -> None:
        megabytes = f"{limit / 1024 / 1024:.3g}"
        super().__init__(
            f"upload of more than {limit} bytes", f"文件超过 {megabytes} MB，请拆分后再传。"
        )


class SameNameError(LibraryError):
    """A document of that name was uploaded before."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!a} exists", f"已有同名文档《{name}》，确认替换后再传。")


class UnknownDocumentError(LibraryError):
    """No document of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no document {name!a}", f"没有文档《{name}》，可能已被移除。")


class KeptDocumentError(LibraryError):
    """A document that cannot be removed from here; `user_message` says how it can."""


class LoginRequiredError(WenjuError):
    """The operator's page or what belongs to it, asked for without a session."""

    def __init__(self) -> None:
        super().__init__("no operator session", "登录已失效，请重新登录。")


class WrongPasswordError(LoginRequiredError):
    """A log-in that did not succeed."""

    def __init__(self) -> None:
        super().__init__()
        self.user_message = "密码不对，请重新输入。"


class LockedOutError(WenjuError):
    """Too many wrong passwords from one address; `retry_after` in whole seconds, at least 1."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            f"too many failed log-ins, retry after {retry_after} s",
            f"密码错误次数过多，请 {_duration(retry_after)}后再试。",
        )
        self.retry_after = retry_after


class ModelError(WenjuError):
    """An embedding model that cannot be used."""


class LostProcessError(WenjuError):
    """A process that reads or cuts for a build ended before its work; nothing is published yet."""

    def __init__(self, work: str) -> None:
        super().__init__(
            f"a process that {work} has ended",
            "建库的一个子进程被系统终止了，多半是内存不足。原有的索引没有变，"
            "请腾出内存后再运行一次同样的命令。",
        )


class ClusterError(WenjuError):
    """A Ray cluster that cannot do, or go on with, the work it was given."""

    @classmethod
    def unreachable(cls, address: str, detail: str) -> ClusterError:
        """Nobody there, or nobody who understands us."""
        first = (detail.strip().splitlines() or ["?"])[0]
        return cls(
            f"no Ray cluster at {address}: {detail}",
            f"连不上 Ray 集群 {address}（{first}）。请确认集群已启动、各机的 Ray 与 Python 版本"
            "相同；主机:端口 和 auto 只能在集群内的机器上用，别的机器请用 ray://主机:10001。",
        )

    @classmethod
    def lost(cls, detail: str) -> ClusterError:
        """It was there; the index stays whole."""
        return cls(
            f"lost the Ray cluster: {detail}",
            "与 Ray 集群的连接断了，建库停止，索引照常可用；"
            "请用 ray status 查看集群，恢复后重新运行同一命令。",
        )


class TestSetError(WenjuError):
    """An evaluation file without a usable line."""

    __test__ = False  # the name starts with "Test"; pytest must not collect it


class QualityDropError(WenjuError):
    """The gate of an evaluation does not let a run pass; the message names the questions."""

    def __init__(self, verdict: str) -> None:
        super().__init__("quality dropped", verdict)


class FeedbackError(WenjuError):
    """The file that keeps feedback cannot be read or written."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}", f"评价文件 {path} 无法读写，请检查路径和权限。")


class PortInUseError(WenjuError):
    """The server's address is taken."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"{host}:{port} is in use",
            f"端口 {port} 已被占用，请用 --port 换一个，"
            f"例如：python app.py serve --port {port + 1}",
        )


class MissingExtraError(WenjuError):
    """A library that only some need is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"{library} is not installed",
            f'没有安装 {library}，请先运行：pip install "wenju[{extra}]"（在源码目录中则为 '
            f'pip install ".[{extra}]"）。',
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
    errno.EDQUOT: "磁盘配额已满",
    errno.EROFS: "磁盘是只读的",
    errno.ENAMETOOLONG: "文件名太长",
}


def reason(error: OSError) -> str:
    """Why the operating system refused, as a Chinese clause."""
    return _REASONS.get(error.errno or 0, f"系统错误 {error.errno}")
