"""The eval command: a test set in, figures out, and what they are compared with.

Wires eval to assemble, as app.py does for the other commands; a table on the terminal, or one JSON
document. The feedback command makes a test set of what people said.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tqdm import tqdm

import assemble
from errors import QualityDropError, WenjuError, reason
from eval.ablation import Variant, ablation_table, compare_variants, variants
from eval.case import Case, CaseSet
from eval.distractors import distraction_table, measure_distraction
from eval.document import RunDocument
from eval.figures import figures_of, terminal_table
from eval.gate import compare, make_record, read_record, record_path, set_sha256
from eval.outcome import Outcome
from eval.paired import Trial
from eval.run import run
from eval.sets import load_set
from qa.chatbot import Chatbot
from settings import SEED_ARTICLES, Settings

Open = Callable[[Settings], Chatbot]


def evaluate(settings: Settings, arguments: argparse.Namespace, open_chatbot: Open) -> None:
    """Score a test set, or compare ways to answer it.

    Args:
        settings: whose index is asked, unless the set brings its documents.
        arguments: of the command line.
        open_chatbot: opens that index, telling the operator of a notice.

    Raises:
        TestSetError: the set cannot be read.
        QualityDropError: the gate was asked for and does not let the run pass.
    """
    if arguments.set == "new":
        draft(settings, arguments)
        return
    path = Path(arguments.set)
    cases = load_set(path)
    _tell_faults(cases)
    if arguments.compare or arguments.distractors:
        _print_trials(settings, arguments, cases)
        return
    with _chatbot(settings, cases, open_chatbot) as chatbot:
        _score(arguments, path, cases, chatbot)


def _score(arguments: argparse.Namespace, path: Path, cases: CaseSet, chatbot: Chatbot) -> None:
    """Run the set and print, report, record or gate what came of it."""
    previous = RunDocument.read(arguments.report / "report.json") if arguments.report else None
    outcomes = run(chatbot, _bar("评测", cases.cases))
    document = RunDocument(
        set=cases.name,
        index_version=chatbot.index_version,
        code_version=assemble.project_version(),
        when=datetime.now().astimezone().isoformat(timespec="seconds"),
        figures=figures_of(outcomes),
        outcomes=tuple(outcomes),
    )
    if arguments.json:
        print(document.to_json())
    else:
        print(terminal_table(document.figures))
    if arguments.report:
        _report(arguments.report, document, previous, chatbot)
    if arguments.record:
        _record(path, document)
    if arguments.gate:
        _gate(path, outcomes)


def _report(
    folder: Path, document: RunDocument, previous: RunDocument | None, chatbot: Chatbot
) -> None:
    # matplotlib takes half a second to import; only the report draws.
    from eval.report import write_report

    try:
        page = write_report(folder, document, previous, chatbot.article)
    except OSError as error:
        raise WenjuError(f"{folder}: {error}", f"无法写入 {folder}：{reason(error)}。") from error
    print(f"报告：{page}", file=sys.stderr)


def _record(path: Path, document: RunDocument) -> None:
    record = make_record(
        path,
        index_version=document.index_version,
        code_version=document.code_version,
        when=document.when,
        figures=document.figures,
        outcomes=document.outcomes,
    )
    target = record_path(path)
    try:
        target.write_text(record.to_json(), "utf-8")
    except OSError as error:
        raise WenjuError(f"{target}: {error}", f"无法写入 {target}：{reason(error)}。") from error
    print(f"记录：{target}", file=sys.stderr)


def _gate(path: Path, outcomes: Sequence[Outcome]) -> None:
    result = compare(read_record(record_path(path)), outcomes, set_sha256(path))
    if not result.passed:
        raise QualityDropError(result.text())
    print(result.text(), file=sys.stderr)


@contextmanager
def _chatbot(settings: Settings, cases: CaseSet, open_chatbot: Open) -> Iterator[Chatbot]:
    """Over the set's own documents where it brings them, else over the index of the settings."""
    if not cases.documents:
        chatbot = open_chatbot(settings)
        with chatbot.generation:
            yield chatbot
        return
    with (
        _documents(cases, None) as paths,
        tempfile.TemporaryDirectory() as folder,
        _built(assemble.settings_in(Path(folder), settings, {}), paths) as chatbot,
    ):
        yield chatbot


def _print_trials(settings: Settings, arguments: argparse.Namespace, cases: CaseSet) -> None:
    with _documents(cases, arguments.docs) as documents, tempfile.TemporaryDirectory() as folder:
        if arguments.compare:
            trials = _compared(settings, arguments.embedder, cases, documents, Path(folder))
            table = ablation_table(trials)
        else:
            trials = _distracted(settings, arguments, cases, documents, Path(folder))
            table = distraction_table(trials)
    if arguments.json:
        records = [one.record(trials[0]) for one in trials]
        print(json.dumps(records, ensure_ascii=False, indent=1))
    else:
        print(table)


def _compared(
    settings: Settings,
    embedder: str | None,
    cases: CaseSet,
    documents: Sequence[Path],
    folder: Path,
) -> list[Trial]:
    """Indexes are made in `folder`, one for all variants that share it."""

    @contextmanager
    def opened(variant: Variant) -> Iterator[Chatbot]:
        changed = assemble.settings_in(folder, settings, variant.changes)
        with _built(changed, documents) as chatbot:
            yield chatbot

    return compare_variants(variants(embedder), cases.cases, opened, _bar)


def _distracted(
    settings: Settings,
    arguments: argparse.Namespace,
    cases: CaseSet,
    documents: Sequence[Path],
    folder: Path,
) -> list[Trial]:
    own = assemble.settings_in(folder, settings, {})
    articles = folder / "articles"
    articles.mkdir()
    return measure_distraction(
        cases.cases,
        documents,
        arguments.distractors,
        articles,
        lambda paths: _built(own, paths),
        most=arguments.most,
        progress=_bar,
    )


@contextmanager
def _documents(cases: CaseSet, given: Sequence[Path] | None) -> Iterator[list[Path]]:
    """Where the documents lie that the set asks about."""
    if given or not cases.documents:
        yield list(given or [SEED_ARTICLES])
        return
    with tempfile.TemporaryDirectory() as folder:
        for doc, text in cases.documents:
            Path(folder, doc).write_text(text, "utf-8")
        yield [Path(folder)]


@contextmanager
def _built(settings: Settings, paths: Sequence[Path]) -> Iterator[Chatbot]:
    bar = tqdm(desc="建立向量", unit="段", leave=False, delay=0.5, disable=None)

    def embedded(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar, assemble.built_chatbot(settings, paths, embed_progress=embedded) as chatbot:
        bar.close()
        yield chatbot


def _bar(label: str, cases: Sequence[Case]) -> Iterable[Case]:
    """The cases one by one, with a progress bar on a terminal."""
    shown: Iterable[Case] = tqdm(cases, desc=label, unit="题", leave=False, disable=None)
    return shown


def _tell_faults(cases: CaseSet) -> None:
    for fault in cases.faults:
        print(f"跳过 {fault.place}：{fault.reason}", file=sys.stderr)
    if cases.remark:
        print(cases.remark, file=sys.stderr)


def draft(settings: Settings, arguments: argparse.Namespace) -> None:
    """Draft a test set from documents, for a person to correct.

    Raises:
        NoReadableFileError: there is no document.
        TestSetError: no question can be made, or the file cannot be written.
    """
    # These read PDF, DOCX and HTML and take half a second to import.
    from corpus.load import Skipped, article_of, discover, raw_documents
    from corpus.split import split_article
    from eval.draft import draft_cases
    from eval.write import write_set

    sources, skipped = discover(arguments.documents)
    documents = []
    raws = (raw for source in sources for raw in raw_documents(source))
    for raw in tqdm(raws, desc="读取", unit="篇", leave=False, disable=None):
        if isinstance(raw, Skipped):
            skipped.append(raw)
            continue
        try:
            article = article_of(raw, mend=settings.repair)
        except WenjuError as error:
            print(f"跳过 {raw.path}：{error.user_message}", file=sys.stderr)
            continue
        chunks = split_article(article, settings.split.max_chars)
        documents.append((article, [one for chunk in chunks for one in chunk.sentences]))
    for one in skipped:
        print(f"跳过 {one.path}：{one.reason}", file=sys.stderr)
    rows = draft_cases(documents, arguments.questions, arguments.seed)
    write_set(arguments.out, rows, "这些文档里没有能出题的句子（要有数字、日期或名称）。")
    print(f"草稿 {len(rows)} 题：{arguments.out}。请逐题核对，改好后去掉草稿标记。")


def export_feedback(settings: Settings, arguments: argparse.Namespace) -> None:
    """What people said of answers, as a test set.

    Raises:
        FeedbackError: the file of feedback cannot be read.
        TestSetError: nobody said anything, or the suffix of the file to write is unknown.
        WenjuError: the file cannot be written.
    """
    from eval.feedback import Said, feedback_cases
    from eval.write import write_set
    from web.feedback import FeedbackStore

    path = Path(arguments.feedback or settings.server.feedback)
    entries = FeedbackStore(path).entries()
    rows = feedback_cases(
        Said(one.feedback.rating, one.feedback.problem, one.feedback.comment, one.record)
        for one in entries
    )
    write_set(arguments.out, rows, f"{path} 里还没有评价，没有可以导出的题目。")
    drafts = sum("draft" in row for row in rows)
    print(f"评价 {len(entries)} 条，写出 {len(rows)} 题：{arguments.out}。")
    if drafts:
        print(f"其中 {drafts} 题是草稿，要由人补上正确答案、去掉草稿标记，才会计入评测。")
