"""The state of an index folder, told and mended.

`examine` reads every byte and changes nothing. `repair` does, under the write lock, what needs no
document to be read again: CURRENT is pointed at the newest whole generation, what killed builds
left is removed, and damaged generations are moved into a folder of their own. They are moved
instead of deleted because their documents.sqlite may be the only copy of texts whose files are
gone; nothing reads them again, and whoever needs the space may delete them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from errors import (
    DamagedIndexError,
    IncompatibleIndexError,
    IndexStateError,
    MissingIndexError,
    NewerIndexError,
    reason,
)
from index.build import point_to
from index.chunk_table import SqliteChunkTable
from index.generation import (
    BUILDING,
    CURRENT,
    DOCUMENTS,
    GENERATIONS,
    MANIFEST,
    SET_ASIDE,
    Generation,
    check_folder,
    generation_names,
    generation_number,
    generation_path,
    load_generation,
    read_pointer,
    refuse_newer,
    superseded,
)
from index.journal import JOURNAL
from index.lock import HOLDER_FILE, LOCK_FILE, lock_holder, write_lock
from index.manifest import Manifest, differing_files

# A build writes a whole generation beside the one that serves, and stages what is new before that.
_SPACE_OF_A_BUILD = 1.5
_FEW_FILES = 3  # named one by one in advice
_LOOKS = 3  # at a folder that builds change while it is looked at


@dataclass(frozen=True, slots=True)
class Counts:
    """How much each part of a generation holds; the parts agree, or it would not have opened."""

    documents: int
    chunks: int
    sentences: int
    vectors: int
    words: int  # chunks that the index of words knows
    bigrams: int


@dataclass(frozen=True, slots=True)
class GenerationHealth:
    """One generation, every byte of it read."""

    version: str
    size: int  # bytes on disk
    created: str | None = None  # as its manifest says, for people
    model: str | None = None  # fingerprint
    pending: int = 0  # chunks that are found by words alone until a build has made their vectors
    newer: bool = False  # in a format of a newer version, which this one leaves alone
    files: Mapping[str, str] = field(default_factory=dict)  # name -> what is wrong, Chinese
    problem: str | None = None  # other than a file, Chinese
    counts: Counts | None = None  # None unless it is whole

    @property
    def whole(self) -> bool:
        """Nothing is wrong with it."""
        return self.counts is not None

    def described(self) -> str:
        """What is wrong, in one line of Chinese."""
        files = (f"{name} {problem}" for name, problem in self.files.items())
        return "；".join([*files, *([self.problem] if self.problem else [])])


@dataclass(frozen=True, slots=True)
class Remnant:
    """Something in the index folder that serves no question."""

    path: str  # below the index folder
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Examination:
    """The state of an index folder.

    Attributes:
        index_dir: the folder.
        pointer: the name in CURRENT; None where it is missing or unreadable.
        serving: the generation that answers questions, None where none can be opened.
        generations: newest first.
        builder: who holds the write lock, in Chinese; None if nobody does.
        leftovers: what killed builds left; none are told while a build runs.
        journal: vectors that an unfinished build has made and the next one goes on with.
        set_aside: damaged generations that `repair` moved away.
        free: bytes free on the disk.
        model: fingerprint of the model that the settings name, None if it was not asked for.
        problems: Chinese, one line each; none: the index is healthy.
        advice: what to do about them, Chinese, one line each.
    """

    index_dir: str
    pointer: str | None
    serving: str | None
    generations: tuple[GenerationHealth, ...]
    builder: str | None
    leftovers: tuple[Remnant, ...]
    journal: tuple[Remnant, ...]
    set_aside: tuple[Remnant, ...]
    free: int
    model: str | None
    problems: tuple[str, ...]
    advice: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """For a program: the attributes, and whether it is healthy."""
        generations = [{**asdict(g), "whole": g.whole} for g in self.generations]
        return {"healthy": not self.problems, **asdict(self), "generations": generations}

    def text(self) -> str:
        """For a person, in Chinese."""
        return "\n".join(_lines(self))


def was_begun(index_dir: Path) -> bool:
    """Whether there is an index, some of one, or a build that is making it.

    What a first build leaves that is interrupted early is nothing of an index.
    """
    try:
        names = {path.name for path in index_dir.iterdir()}
    except FileNotFoundError:
        return False
    except OSError:
        return True  # whoever opens it says what it is
    more = names - {GENERATIONS, LOCK_FILE, HOLDER_FILE}
    return bool(more or generation_names(index_dir) or lock_holder(index_dir))


def examine(index_dir: Path, model: str | None = None) -> Examination:
    """Read everything in an index folder and change nothing.

    Args:
        index_dir: the index folder.
        model: fingerprint of the model that questions are asked with.

    Raises:
        MissingIndexError: there is nothing of an index in the folder.
        IncompatibleIndexError: the folder is not ours.
    """
    check_folder(index_dir)
    state = _state(index_dir)
    found = _examine(index_dir, model)
    for _ in range(_LOOKS - 1):
        before, state = state, _state(index_dir)
        if state == before:
            break
        # A build began or published meanwhile, so what was seen is out of step.
        found = _examine(index_dir, model)
    return found


def _state(index_dir: Path) -> tuple[str | None, list[str], str | None]:
    """What a build changes."""
    return read_pointer(index_dir), generation_names(index_dir), lock_holder(index_dir)


def _examine(index_dir: Path, model: str | None) -> Examination:
    builder = lock_holder(index_dir)
    health = _examine_generations(index_dir)
    serving = _serving(index_dir)
    paths = [] if builder else _leftovers(index_dir, health)
    leftovers = tuple(_remnants(index_dir, paths))
    kept = [g for g in health if generation_path(index_dir, g.version) not in paths]
    if not (health or leftovers or builder):
        raise MissingIndexError(index_dir)
    set_aside = _remnants(index_dir, _children(index_dir / SET_ASIDE))
    free = shutil.disk_usage(index_dir).free
    problems = [
        *_problems_of_generations(index_dir, kept, serving),
        *(
            f"版本 {name} 损坏后已移开，它新增的内容还没有补上"
            for name in _newer_set_aside(index_dir, serving)
        ),
        *_problems_of_model(health, serving, model),
        *_problems_of_space(health, serving, free),
    ]
    if leftovers:
        problems.append(f"有中断的建库留下的文件：{'、'.join(left.path for left in leftovers)}")
    return Examination(
        index_dir=str(index_dir),
        pointer=read_pointer(index_dir),
        serving=serving,
        generations=tuple(health),
        builder=builder,
        leftovers=leftovers,
        journal=tuple(_remnants(index_dir, [p for p in [index_dir / JOURNAL] if p.exists()])),
        set_aside=tuple(set_aside),
        free=free,
        model=model,
        problems=tuple(problems),
        advice=tuple(_advice(index_dir, kept, serving, model, leftovers)),
    )


def repair(index_dir: Path) -> list[str]:
    """Mend what can be mended without reading a document; returns what was done, in Chinese.

    Raises:
        MissingIndexError: there is no folder.
        LockedIndexError: a build is running.
        NewerIndexError: a newer version has written to the folder.
        IncompatibleIndexError: the folder is not ours.
        IndexStateError: the folder cannot be written.
    """
    check_folder(index_dir)
    if not index_dir.is_dir():
        raise MissingIndexError(index_dir)
    try:
        with write_lock(index_dir):
            refuse_newer(index_dir)
            done = list(_repair(index_dir))
            if hasattr(os, "sync"):
                os.sync()
            return done
    except OSError as error:
        raise IndexStateError(
            f"cannot repair {index_dir}: {error}", f"无法修复 {index_dir}：{reason(error)}。"
        ) from error


def _repair(index_dir: Path) -> Iterator[str]:
    health = _examine_generations(index_dir)
    whole = [generation.version for generation in health if generation.whole]
    # Without a whole one they stay where they are, so that nobody takes the index for a new one.
    damaged = [generation.version for generation in health if not generation.whole and whole]
    if whole and read_pointer(index_dir) not in whole:
        point_to(index_dir, whole[0])
        yield f"{CURRENT} 已指向完好的版本 {whole[0]}"
        yield from _set_aside(index_dir, damaged)
    for path in _leftovers(index_dir, health):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield f"已删除中断的建库留下的 {path.relative_to(index_dir).as_posix()}"
    yield from _set_aside(index_dir, damaged)


def _set_aside(index_dir: Path, versions: Sequence[str]) -> Iterator[str]:
    """Move away those of the generations that are there."""
    folder = index_dir / SET_ASIDE
    for version in versions:
        path = generation_path(index_dir, version)
        if path.exists():
            folder.mkdir(exist_ok=True)
            target = next(t for n in _numbered(version) if not (t := folder / n).exists())
            path.rename(target)
            yield f"已把损坏的版本 {version} 移到 {target}"


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _examine_generations(index_dir: Path) -> list[GenerationHealth]:
    return [_examine_generation(index_dir, name) for name in generation_names(index_dir)]


def _examine_generation(index_dir: Path, name: str) -> GenerationHealth:
    folder = generation_path(index_dir, name)
    size = _size(folder)
    try:
        manifest = Manifest.load(folder / MANIFEST, index_dir)
    except (DamagedIndexError, IncompatibleIndexError) as error:
        newer = isinstance(error, NewerIndexError)
        return GenerationHealth(name, size, newer=newer, problem=error.detail)
    files = differing_files(folder, manifest.files)
    problem, counts = None, None
    if not files:
        try:
            with load_generation(index_dir, folder, verify=False) as opened:
                counts = _counts(opened)
        except (DamagedIndexError, IncompatibleIndexError) as error:
            problem = error.detail
    return GenerationHealth(
        name,
        size,
        manifest.created,
        manifest.model_fingerprint,
        manifest.pending_chunks,
        files=files,
        problem=problem,
        counts=counts,
    )


def _counts(opened: Generation) -> Counts:
    documents, chunks, sentences = opened.table.counts()
    return Counts(
        documents, chunks, sentences, len(opened.vectors), len(opened.words), len(opened.bigrams)
    )


def _serving(index_dir: Path) -> str | None:
    try:
        with Generation.open(index_dir) as opened:
            return opened.version
    except IndexStateError:
        return None


def _leftovers(index_dir: Path, health: Sequence[GenerationHealth]) -> list[Path]:
    """What a build that is no longer running left, if none is running."""
    found = [index_dir / GENERATIONS / BUILDING, index_dir / f"{CURRENT}.new"]
    pointer = read_pointer(index_dir)
    whole = {generation.version for generation in health if generation.whole}
    if pointer in whole:
        # A build may have died while it removed them, so they need not be whole.
        beyond = set(superseded(index_dir, pointer))
        ours = [g.version for g in health if g.version in beyond and not g.newer]
        found += [generation_path(index_dir, name) for name in ours]
    return [path for path in found if path.exists()]


def _problems_of_generations(
    index_dir: Path, health: Sequence[GenerationHealth], serving: str | None
) -> Iterator[str]:
    pointer = read_pointer(index_dir)
    if pointer is None and health:
        state = "内容不对" if (index_dir / CURRENT).exists() else "不见了"
        yield f"指向当前版本的文件 {CURRENT} {state}"
    elif pointer and pointer not in {generation.version for generation in health}:
        yield f"{CURRENT} 指向的版本 {pointer} 不见了"
    for generation in health:
        if not generation.whole:
            role = "正在提供服务的版本" if generation.version == serving else "版本"
            damage = "来自更新的程序" if generation.newer else "已损坏"
            yield f"{role} {generation.version} {damage}：{generation.described()}"
        elif generation.version == serving and generation.pending:
            yield f"有 {generation.pending} 段还没有向量，只能按词检索"
    if health and serving is None:
        yield "没有一个版本能提供服务"


def _newer_set_aside(index_dir: Path, serving: str | None) -> list[str]:
    """What was moved away and is newer than what serves, which then lacks something."""
    names = [path.name for path in _children(index_dir / SET_ASIDE)]
    numbered = [name for name in names if name.partition("-")[0].isdecimal()]
    return [n for n in numbered if serving and generation_number(n) > generation_number(serving)]


def _problems_of_model(
    health: Sequence[GenerationHealth], serving: str | None, model: str | None
) -> Iterator[str]:
    made_with = next((g.model for g in health if g.version == serving), None)
    if model and made_with and made_with != model:
        yield f"索引由模型 {made_with} 建立，现在设置的模型是 {model}"


def _problems_of_space(
    health: Sequence[GenerationHealth], serving: str | None, free: int
) -> Iterator[str]:
    needed = _SPACE_OF_A_BUILD * next((g.size for g in health if g.version == serving), 0)
    if free < needed:
        yield f"磁盘只剩 {_megabytes(free)}，再建一次库可能要 {_megabytes(needed)}"


def _advice(
    index_dir: Path,
    health: Sequence[GenerationHealth],
    serving: str | None,
    model: str | None,
    leftovers: Sequence[Remnant],
) -> Iterator[str]:
    if any(generation.newer for generation in health):
        yield "请升级本程序，或用 --index 换一个索引文件夹"
        return
    folder = f"--index {shlex.quote(str(index_dir))}"
    whole = [generation.version for generation in health if generation.whole]
    damaged = [generation.version for generation in health if not generation.whole]
    pointer = read_pointer(index_dir)
    if leftovers or (whole and (damaged or pointer not in whole)):
        yield f"不重建就能修好的，运行：wenju doctor --repair {folder}"
    sources = _sources(index_dir, health)
    if health and not whole:
        yield f"重新建库：wenju build {sources} --rebuild {folder}"
    elif _newer_set_aside(index_dir, serving) or any(
        generation_number(name) > generation_number(whole[0]) for name in damaged if whole
    ):
        yield (
            f"补上损坏的版本里新增的内容：wenju build {sources} {folder}；"
            f"确认不缺内容后，{SET_ASIDE} 文件夹可以删除"
        )
    if any(g.version == serving and g.pending for g in health):
        yield f"把没做完的建库做完：wenju build {sources} {folder}"
    if any(_problems_of_model(health, serving, model)):
        yield f"用 --model 换回原来的模型，或重新建库：wenju build {sources} --rebuild {folder}"
    if not health:
        yield f"重新运行被中断的建库：wenju build 文档文件夹 {folder}"


def _sources(index_dir: Path, health: Sequence[GenerationHealth]) -> str:
    """Where the documents came from, as arguments of a command."""
    for generation in health:
        if generation.files.keys() & {DOCUMENTS} or generation.newer:
            continue
        try:
            table = SqliteChunkTable(generation_path(index_dir, generation.version) / DOCUMENTS)
            stored = table.stored_documents()
            table.close()
        except (sqlite3.Error, ValueError):
            continue
        docs: dict[str, list[str]] = {}
        for document in stored:
            docs.setdefault(document.root, []).append(document.doc)
        given = (path for root in sorted(docs) for path in _given(root, docs[root]))
        return " ".join(map(shlex.quote, given))
    return "文档文件夹"


def _given(root: str, docs: Sequence[str]) -> list[str]:
    """What was given to a build for the documents below a folder.

    Their files, if these are few and all there: a file may have been given alone, and what lies
    beside it is not to be taken in. Else the folder.
    """
    files: set[Path] = set()
    for doc in docs:
        path = Path(root, doc)
        file = path.parent if path.parent.is_file() else path  # it may be a line of a file
        files.add(file)
        if len(files) > _FEW_FILES or not file.is_file():
            return [root]
    return sorted(map(str, files))


def _lines(found: Examination) -> Iterator[str]:
    yield f"索引文件夹：{found.index_dir}"
    for generation in found.generations:
        yield _line(generation, found)
    if not found.generations:
        yield "还没有发布过的版本"
    if found.builder:
        yield f"正在建库：{found.builder}"
    for left in found.leftovers:
        yield f"中断的建库留下：{left.path}（{_megabytes(left.size)}）"
    for kept in found.journal:
        yield f"没做完的建库已算好的向量：{kept.path}（{_megabytes(kept.size)}），下次建库接着用"
    for aside in found.set_aside:
        yield f"已移开的损坏版本：{aside.path}（{_megabytes(aside.size)}），不再需要时可删除"
    yield f"磁盘剩余：{_megabytes(found.free)}"
    if found.model:
        yield f"设置的模型：{found.model}"
    yield from (f"问题：{problem}" for problem in found.problems)
    yield from (f"办法：{advice}" for advice in found.advice)
    if not found.problems:
        yield "索引完好"


def _line(generation: GenerationHealth, found: Examination) -> str:
    serves = "，正在提供服务" if generation.version == found.serving else ""
    head = f"版本 {generation.version}（{_megabytes(generation.size)}{serves}）"
    counts = generation.counts
    if counts is None:
        return f"{head}：{generation.described()}"
    return (
        f"{head}：完好，每个文件与 sha256 相符；文档 {counts.documents}，段 {counts.chunks}，"
        f"句 {counts.sentences}，向量 {counts.vectors}，词 {counts.words}，字对 {counts.bigrams}，"
        f"彼此一致；建于 {generation.created}，模型 {generation.model}"
    )


def _remnants(index_dir: Path, paths: Sequence[Path]) -> list[Remnant]:
    return [Remnant(path.relative_to(index_dir).as_posix(), _size(path)) for path in paths]


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; those that vanish meanwhile count nothing."""
    # os.walk passes over folders that vanish; Path.rglob would end with an error.
    below = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    total = 0
    for file in [path] if path.is_file() else below:
        with suppress(OSError):
            total += file.stat().st_size
    return total


def _megabytes(size: float) -> str:
    return f"{size / (1 << 20):,.1f} MB"
