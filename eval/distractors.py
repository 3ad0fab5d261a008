"""How the figures move when N further articles stand in the index beside the test documents.

The articles come from a file with one a line. They are written out as files and indexed by the
caller's builder, always into the same index: each step only adds, and no vector is made twice. An
article that happens to answer a question makes its citation count as off the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain, islice
from pathlib import Path

from corpus.collection import lines
from errors import TestSetError, UnreadableDocumentError
from eval.case import Case
from eval.paired import Progress, Trial, trial, trials_table
from eval.run import run
from qa.chatbot import Chatbot

STEPS = (0, 1_000, 17_000)  # further articles
_BODY_MARK = "正文："  # of news files: date and source stand before it
_HEAD = 300  # characters in which the mark is looked for
_FOLDER_FILES = 1_000  # larger folders are slow to list

OpenIndex = Callable[[Sequence[Path]], AbstractContextManager[Chatbot]]


def read_articles(path: Path) -> Iterator[str]:
    """The articles of a UTF-8 file, one a line, of news files the body only; empty ones left out.

    Args:
        path: plain, or compressed where its name ends in .gz.

    Raises:
        TestSetError: the file cannot be read to its end.
    """
    try:
        for line in lines(path):
            if text := _body(line.data.decode("utf-8")):
                yield text
    except (UnreadableDocumentError, UnicodeDecodeError) as error:
        raise TestSetError(
            f"{path}: {error}",
            f"无法读取干扰文章 {path}，应为 UTF-8 文本或其 .gz，一行一篇。",
        ) from error


def _body(line: str) -> str:
    head, mark, _ = line[:_HEAD].partition(_BODY_MARK)
    return (line[len(head) + len(mark) :] if mark else line).strip()


def steps(most: int | None = None) -> list[int]:
    """The numbers of further articles to try, from 0 and rising; none above `most`."""
    if most is None:
        return list(STEPS)
    return sorted({step for step in STEPS if step < most} | {most, 0})


def measure_distraction(
    cases: Sequence[Case],
    documents: Sequence[Path],
    articles: Path,
    folder: Path,
    open_index: OpenIndex,
    *,
    most: int | None = None,
    progress: Progress = lambda _, cases: cases,
) -> list[Trial]:
    """Ask every question with ever more articles in the index.

    Args:
        cases: the questions.
        documents: files and folders that hold the evidence.
        articles: the file of further articles.
        folder: empty, for the articles as files.
        open_index: brings one and the same index up to date with files and folders and opens it.
        most: further articles at most.
        progress: shows how far a step is.

    Returns:
        One for each of `steps(most)`; the last has as many as the file holds.

    Raises:
        TestSetError: the file cannot be read, or holds no article.
    """
    source = read_articles(articles)
    first = next(source, None)
    if first is None:
        raise TestSetError(f"{articles}: no article", f"{articles} 里没有文章。")
    source = chain([first], source)
    trials: list[Trial] = []
    written = 0
    for step in steps(most):
        before = written
        written += _write(islice(source, step - written), folder, written)
        if trials and written == before:
            break
        paths = [*documents, folder] if written else list(documents)
        label = f"{written:,}"
        with open_index(paths) as chatbot:
            outcomes = run(chatbot, progress(f"干扰文章 {label} 篇", cases))
        trials.append(trial(str(written), label, outcomes))
    return trials


def _write(texts: Iterable[str], folder: Path, first: int) -> int:
    """Write each as a file, numbered from `first`; returns how many there were."""
    count = 0
    for number, text in enumerate(texts, start=first):
        place = folder / f"distractors-{number // _FOLDER_FILES:03}"
        place.mkdir(exist_ok=True)
        (place / f"{number:06}.txt").write_bytes(text.encode("utf-8"))
        count += 1
    return count


def distraction_table(trials: Sequence[Trial]) -> str:
    """Chinese, for the terminal."""
    return trials_table("干扰文章", trials)
