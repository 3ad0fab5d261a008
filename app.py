"""The commands, from serve to token. Parses, assembles, calls and prints; nothing else."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

import assemble
from errors import BadQuestionError, UnhealthyIndexError, WenjuError, reason
from qa.chatbot import Chatbot
from qa.explain import explain
from qa.question import clean, has_words
from qa.record import answer_record, passage_records
from schema import UNSURE, Answer, AskResult, Refusal, Turn
from settings import SEED_ARTICLES, Settings

_MOST_SKIPPED = 20  # lines on the terminal; a file of the wrong kind has thousands
_PACE_SECONDS = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 failed with one clear line on standard error. Wrong usage exits with 2.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal in the C locale must show Chinese too
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    parser = _parser()
    arguments = parser.parse_args(_with_default_command(sys.argv[1:] if argv is None else argv))
    if problem := arguments.check(arguments):
        parser.error(problem)
    try:
        settings = Settings.load(arguments.settings) if arguments.settings else Settings()
        arguments.run(_override(settings, arguments), arguments)
        sys.stdout.flush()
    except WenjuError as error:
        print(error.user_message, file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of a pipe has left: head, less
        _silence_output()
        return 1
    except OSError as error:
        _silence_output()
        print(f"无法写出结果：{reason(error)}。", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("已中断。原有的索引照常可用；中断的建库再运行一次会接着做。", file=sys.stderr)
        return 1
    return 0


def _silence_output() -> None:
    """Nothing more can be written; the interpreter must not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def serve(settings: Settings, arguments: argparse.Namespace) -> None:
    """Chat page and API; builds an index of the shipped articles when there is none."""
    # Gradio takes three seconds to import; no other command should pay for it.
    import serving

    serving.require_free_port(settings.server.host, settings.server.port)
    if not assemble.index_was_begun(settings):
        print(f"首次运行，正在为 {SEED_ARTICLES} 中的文章建立索引……", file=sys.stderr)
        summary = _build_with_bars(settings, [SEED_ARTICLES])
        _print_summary(settings, summary, as_json=False)
    serving.serve(settings, arguments.settings, os.environ, demo=arguments.demo)


def build(settings: Settings, arguments: argparse.Namespace) -> None:
    """Files and folders into the index."""
    choices = {name: bool(getattr(arguments, name)) for name in ("rebuild", "known", "prune")}
    run = _build_for_a_program if arguments.progress == "json" else _build_with_bars
    summary = run(settings, arguments.paths, **choices, ray=arguments.ray)
    _print_summary(settings, summary, as_json=arguments.json)


def _build_for_a_program(
    settings: Settings,
    paths: Sequence[Path],
    *,
    rebuild: bool,
    known: bool,
    prune: bool,
    ray: str | None,
) -> assemble.BuildSummary:
    summary = assemble.build_index(
        settings,
        paths,
        rebuild=rebuild,
        known=known,
        prune=prune,
        read_progress=_json_progress("read"),
        embed_progress=_json_progress("embed"),
        on_skipped=lambda file: _tell(skipped=str(file.path), reason=file.reason),
        on_resumed=lambda chunks: _tell(resumed_chunks=chunks),
        on_words_first=lambda chunks: _tell(pending_chunks=chunks),
        ray=ray,
    )
    if summary.notice:
        _tell(notice=summary.notice)
    return summary


def _build_with_bars(
    settings: Settings,
    paths: Sequence[Path],
    *,
    rebuild: bool = False,
    known: bool = False,
    prune: bool = False,
    ray: str | None = None,
) -> assemble.BuildSummary:
    if settings.store:
        told = f"索引写入 {settings.store}：新文章要等向量全部算好、发布以后才能搜到。"
        print(told, file=sys.stderr)
    with _bar("读取", "篇") as read, _bar("建立向量", "段") as embed:
        summary = assemble.build_index(
            settings,
            paths,
            rebuild=rebuild,
            known=known,
            prune=prune,
            read_progress=read,
            embed_progress=embed,
            on_resumed=lambda chunks: tqdm.write(
                f"接着上次中断的建库做：{chunks} 段的向量已经算好，不再重算。", file=sys.stderr
            ),
            on_words_first=lambda chunks: tqdm.write(
                f"新文章已经可以按词检索；还有 {chunks} 段的向量在计算，算好后自动换上。",
                file=sys.stderr,
            ),
            ray=ray,
        )
    if summary.notice:
        print(summary.notice, file=sys.stderr)
    for skipped in summary.skipped[:_MOST_SKIPPED]:
        print(f"跳过 {skipped.path}：{skipped.reason}", file=sys.stderr)
    if (more := len(summary.skipped) - _MOST_SKIPPED) > 0:
        print(f"另有 {more} 个也跳过了，用 --json 看全部。", file=sys.stderr)
    return summary


def _print_summary(settings: Settings, summary: assemble.BuildSummary, *, as_json: bool) -> None:
    report = summary.report
    if as_json:
        skipped = [{"path": str(file.path), "reason": file.reason} for file in summary.skipped]
        counts = asdict(report)
        print(_json({"index_version": counts.pop("version"), **counts, "skipped": skipped}))
        return
    resumed = f"接着做的 {report.resumed_chunks} 段；" if report.resumed_chunks else ""
    print(
        f"索引 {settings.store or settings.index_dir} 版本 {report.version}："
        f"新增 {report.added} 篇，更新 {report.updated} 篇，删除 {report.removed} 篇，"
        f"未变 {report.unchanged} 篇，跳过 {len(summary.skipped)} 个；"
        f"{resumed}共 {report.documents} 篇 {report.chunks} 段，用时 {report.seconds:.1f} 秒。"
    )


def _json_progress(stage: str) -> Callable[[int, int], None]:
    """Progress for a program: a JSON object a line on standard error, at most ten a second."""
    told = 0.0
    pace = _Pace()

    def update(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        pace.step(done, now)
        if done == total or now - told >= 0.1:
            told = now
            _tell(stage=stage, done=done, total=total, **pace.figures(total))

    return update


class _Pace:
    """How fast a stage goes, over the last half minute: batches differ, and so does the load."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque()  # time in seconds, done by then

    def step(self, done: int, now: float) -> None:
        """So much is done by now."""
        self._steps.append((now, done))
        while len(self._steps) > 2 and now - self._steps[1][0] >= _PACE_SECONDS:
            self._steps.popleft()

    def figures(self, total: int) -> dict[str, float | None]:
        """Steps a second and seconds to the end; None while nothing is known of them."""
        (began, before), (now, done) = self._steps[0], self._steps[-1]
        rate = (done - before) / (now - began) if now > began else 0.0
        left = (total - done) / rate if rate else None
        return {
            "per_second": round(rate, 1) if rate else None,
            "seconds_left": None if left is None else round(left, 1),
        }


def _tell(**event: object) -> None:
    print(json.dumps(event, ensure_ascii=False), file=sys.stderr, flush=True)


@contextmanager
def _bar(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that appears with the first step; arguments are (done, total)."""
    shown = f"{{desc}}：{{percentage:3.0f}}%|{{bar}}| {{n_fmt}}/{{total_fmt}} {unit}{{postfix}}"
    with tqdm(desc=label, leave=False, delay=0.5, disable=None, bar_format=shown) as bar:
        pace = _Pace()

        def update(done: int, total: int) -> None:
            pace.step(done, time.monotonic())
            bar.total = total
            bar.set_postfix_str(_paced(pace.figures(total), unit), refresh=False)
            bar.update(done - bar.n)

        yield update


def _paced(figures: Mapping[str, float | None], unit: str) -> str:
    """Such as 32.5 段/秒，还要 4:10."""
    rate, left = figures["per_second"], figures["seconds_left"]
    if rate is None or left is None:
        return ""
    return f"{rate:,.1f} {unit}/秒，还要 {tqdm.format_interval(left)}"


def _open(settings: Settings, *, with_examples: bool = False) -> Chatbot:
    """The chatbot; tells the operator when an older index serves in place of a damaged one."""
    chatbot = assemble.open_chatbot(settings, with_examples=with_examples)
    if chatbot.generation.notice:
        print(chatbot.generation.notice, file=sys.stderr)
    return chatbot


def ask(settings: Settings, arguments: argparse.Namespace) -> None:
    """One question on the terminal, or a file of them."""
    if arguments.batch:
        questions = _read_batch(arguments.batch)
        _write_lines(_answers(_open(settings), questions), arguments.out)
        return
    chatbot = _open(settings)
    trace = chatbot.trace(_printable(arguments.question))
    explanation = explain(chatbot, trace) if arguments.explain else None
    if arguments.json:
        record = answer_record(trace.result, "1")
        print(_json(record if explanation is None else record | {"explanation": explanation}))
        return
    print(_readable(trace.result))
    if explanation is not None:
        print(f"\n{explanation}")


def _read_batch(path: Path) -> list[dict[str, Any]]:
    """The lines of a batch file, all checked before the first is answered."""
    try:
        # Not splitlines(): JSON text may hold U+2028, which that takes for the end of a line.
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise WenjuError(
            f"{path}: {error}", f"无法读取 {path}，请检查路径和编码（UTF-8）。"
        ) from None
    questions = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            questions.append(_checked(json.loads(line)))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise WenjuError(
                f"{path}:{number}: {error}",
                f"{path} 第 {number} 行不合要求，应为 JSON 对象，含 id、question，"
                "可选 history（role 与 content 的列表）。",
            ) from None
    return questions


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """One line of a batch file in its final types; raises where it is not as the contract says."""
    question = row["question"]
    if not isinstance(question, str):
        raise TypeError("question must be text")
    history = [Turn(turn["role"], str(turn["content"])) for turn in row.get("history") or []]
    if any(turn.role not in {"user", "assistant"} for turn in history):
        raise ValueError("role must be user or assistant")
    row_id = row["id"]
    if not isinstance(row_id, str | int | float) or row_id != row_id:
        raise TypeError("id must be text or a number")
    return {
        "id": _printable(row_id) if isinstance(row_id, str) else row_id,
        "question": _printable(question),
        "history": history,
    }


def _answers(chatbot: Chatbot, questions: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The answer record of each question, in order."""
    for row in tqdm(questions, desc="回答", unit="题", leave=False, disable=None):
        try:
            result = chatbot.ask(row["question"], row["history"])
        except BadQuestionError as error:
            refusal = Refusal(error.user_message, "bad_question")
            result = AskResult(row["question"], refusal, {"total": 0.0}, chatbot.index_version)
        yield answer_record(result, row["id"])


def _write_lines(records: Iterable[dict[str, Any]], out: Path) -> None:
    """One record a line, in order; the file appears only when it is whole."""
    partial = out.with_name(out.name + ".part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            for record in records:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        partial.replace(out)
    except OSError as error:
        raise WenjuError(f"{out}: {error}", f"无法写入 {out}：{reason(error)}。") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _readable(result: AskResult) -> str:
    reply = result.reply
    lines = [reply.text]
    sources = reply.citations if isinstance(reply, Answer) else reply.suggestions
    if isinstance(reply, Answer) and reply.confidence < UNSURE:
        lines.append("（这个回答把握不大，请核对来源。）")
    if isinstance(reply, Refusal) and sources:
        lines.append("相关段落：")
    for source in sources:
        label = f"[{source.n}]" if source.n else "·"
        where = "，".join(part for part in (source.title, source.date) if part)
        place = f"{source.doc} 第 {source.span.start}–{source.span.end} 字"
        lines.append(f"{label} {source.quote}\n    ——{f'{where}（{place}）' if where else place}")
    return "\n".join(lines)


def search(settings: Settings, arguments: argparse.Namespace) -> None:
    """Retrieved passages only, for one query or a file of questions."""
    if arguments.batch:
        questions = _read_batch(arguments.batch)
        _write_lines(_searches(_open(settings), questions, arguments.top_k), arguments.out)
        return
    query = clean(_printable(arguments.query))
    if not has_words(query):
        raise BadQuestionError("empty query", "请输入要检索的词。")
    chatbot = _open(settings)
    records = _passages(chatbot, query[: settings.max_question_chars], arguments.top_k)
    if arguments.json:
        print(_json({"query": arguments.query, "passages": records}))
        return
    for rank, record in enumerate(records, start=1):
        text = " ".join(record["text"].split())
        print(f"{rank}. {text}\n    ——{record['title'] or record['doc']}（{record['score']:.2f}）")


def _passages(chatbot: Chatbot, query: str, top_k: int) -> list[dict[str, Any]]:
    """The records of what is found for a query with words."""
    return passage_records(chatbot.search(query, top_k), chatbot.article)


def _searches(
    chatbot: Chatbot, questions: Sequence[dict[str, Any]], top_k: int
) -> Iterator[dict[str, Any]]:
    """Id, passages and time of each question, in order; what went before it is not looked at."""
    chatbot.search("预热", 1)  # what is set up once belongs to no question
    for row in tqdm(questions, desc="检索", unit="题", leave=False, disable=None):
        query = clean(row["question"])[: chatbot.max_question_chars]
        started = time.perf_counter()
        records = _passages(chatbot, query, top_k) if has_words(query) else []
        total = round(1000 * (time.perf_counter() - started), 2)
        yield {"id": row["id"], "passages": records, "timings_ms": {"total": total}}


def doctor(settings: Settings, arguments: argparse.Namespace) -> None:
    """What state the index is in, mended first if asked for; fails where something is wrong."""
    found, mended = assemble.examine_index(settings, mend=arguments.repair)
    if arguments.json:
        print(_json({**found.record(), "repaired": mended}))
    else:
        for line in mended:
            print(f"已修复：{line}")
        print(found.text())
    if found.problems:
        raise UnhealthyIndexError(Path(settings.index_dir), len(found.problems))


def run_eval(settings: Settings, arguments: argparse.Namespace) -> None:
    """Score a test set."""
    # Not needed to answer; keeps `ask` quick.
    from evaluate import evaluate

    evaluate(settings, arguments, _open)


def token(settings: Settings, arguments: argparse.Namespace) -> None:
    """A token as a portal's server mints it, to try one by hand."""
    from web.access import origin_of
    from web.tokens import mint

    secret = os.environ.get("WENJU_TOKEN_SECRET", "")
    print(mint(secret, origin_of(arguments.site), now=time.time()))


def export_feedback(settings: Settings, arguments: argparse.Namespace) -> None:
    """What people said of answers, as a test set."""
    from evaluate import export_feedback

    export_feedback(settings, arguments)


def _printable(text: str) -> str:
    """Text with undecodable bytes of the command line replaced, so that it can be written again."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _override(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """Settings with what the command line gives on top."""
    server = replace(
        settings.server,
        host=getattr(arguments, "host", None) or settings.server.host,
        port=settings.server.port if getattr(arguments, "port", None) is None else arguments.port,
        root_path=getattr(arguments, "root_path", None) or settings.server.root_path,
    )
    return replace(
        settings,
        server=server,
        index_dir=arguments.index or settings.index_dir,
        store="" if arguments.index else settings.store,
        model=arguments.model or settings.model,
    )


class _Parser(argparse.ArgumentParser):
    """An argument parser whose error line is Chinese."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, f"命令有误：{message}（加 --help 看用法）\n")


def _with_default_command(argv: Sequence[str]) -> list[str]:
    """A bare `app.py`, or one with options only, serves."""
    if not argv or (argv[0].startswith("-") and argv[0] not in {"-h", "--help"}):
        return ["serve", *argv]
    return list(argv)


def _check_ask(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the arguments of `ask`, if anything."""
    if arguments.explain and arguments.batch is not None:
        return "--explain 只能解释一个问题，不能与 --batch 同用"
    return _check_batch(arguments.question, arguments)


def _check_search(arguments: argparse.Namespace) -> str | None:
    return _check_batch(arguments.query, arguments)


def _check_batch(question: str | None, arguments: argparse.Namespace) -> str | None:
    if (question is None) == (arguments.batch is None):
        return "请给出一个问题，或用 --batch 给出一个文件"
    if (arguments.batch is None) != (arguments.out is None):
        return "--batch 与 --out 必须同时给出"
    return None


def _check_eval(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the arguments of `eval`, if anything."""
    drafting = arguments.set == "new"
    if drafting and not (arguments.documents and arguments.out):
        return "eval new 需要 --from 文档 和 --out 文件"
    if not drafting and (arguments.documents or arguments.out):
        return "--from 和 --out 只用于 eval new"
    tried = [arguments.compare, arguments.distractors is not None]
    scored = [arguments.gate, arguments.record, arguments.report is not None]
    if sum(tried) > 1 or (any(tried) and any(scored)) or (drafting and any([*tried, *scored])):
        return "--compare、--distractors 与 --report、--gate、--record 不能同用"
    if arguments.embedder and not arguments.compare:
        return "--embedder 与 --compare 同用"
    if arguments.docs and not any(tried):
        return "--docs 与 --compare 或 --distractors 同用"
    return None


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("端口应为 0 到 65535 的整数")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("应为正整数")
    return int(text)


def _add_eval_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "set", metavar="SET", help="测试集：JSONL、SQuAD 的 JSON、CSV 或 XLSX；new：从文档起草一份"
    )
    command.add_argument("--json", action="store_true", help="输出 JSON")
    command.add_argument("--report", metavar="DIR", type=Path, help="写一份网页报告")
    command.add_argument("--gate", action="store_true", help="比记录显著变差时失败")
    command.add_argument("--record", action="store_true", help="把这次结果存为比较用的记录")
    command.add_argument("--compare", action="store_true", help="逐项拿掉或更换部件，看各值多少")
    command.add_argument("--embedder", metavar="NAME", help="--compare 时再试一个向量模型")
    command.add_argument(
        "--distractors", metavar="FILE", type=Path, help="一行一篇的文章，放进索引作干扰"
    )
    command.add_argument("--most", type=_count, help="干扰文章最多几篇")
    command.add_argument(
        "--docs",
        metavar="PATH",
        nargs="+",
        type=Path,
        help="--compare、--distractors 用的文档（默认自带文章）",
    )
    command.add_argument(
        "--from",
        dest="documents",
        metavar="DOCS",
        nargs="+",
        type=Path,
        help="eval new：从这些文档起草",
    )
    command.add_argument("--out", metavar="FILE", type=Path, help="eval new：写到 JSONL/CSV/XLSX")
    command.add_argument("--questions", type=_count, default=60, help="eval new：几题（默认 60）")
    command.add_argument("--seed", type=int, default=0, help="eval new：随机种子")


def _parser() -> _Parser:
    common = _Parser(add_help=False)
    common.add_argument(
        "--index", metavar="DIR", help="索引文件夹（默认 data/index）；给出时不用设置里的 store"
    )
    common.add_argument("--model", metavar="NAME_OR_PATH", help="sentence-transformers 向量模型")
    common.add_argument("--settings", metavar="FILE", type=Path, help="TOML 设置文件")

    parser = _Parser(prog="wenju", description="问据：根据文章回答问题，每句话都有出处。")
    commands = parser.add_subparsers(title="命令", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[..., None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=[common])
        command.set_defaults(run=run, check=lambda _: None)
        return command

    command = add("serve", serve, "启动问答网页；没有索引时先用自带文章建库")
    command.add_argument("--host", help="监听地址（默认 127.0.0.1）")
    command.add_argument("--port", type=_port, help="端口（默认 7860）")
    command.add_argument("--root-path", metavar="PREFIX", help="反向代理去掉的路径前缀，如 /kb")
    command.add_argument("--demo", action="store_true", help="另开 /demo：嵌有问答挂件的门户示例页")

    command = add("build", build, "把文件和文件夹编入索引；未变的文件不重做")
    command.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        type=Path,
        help="文件或文件夹；.jsonl、.lines、.txt.gz（及前两者的 .gz）是一行一篇",
    )
    command.add_argument(
        "--rebuild",
        action="store_true",
        help="不用旧索引，文档全部重读、向量全部重算；只沿用上次中断的建库已算好并逐条校验过的向量",
    )
    command.add_argument(
        "--known", action="store_true", help="连同索引里已有的文档，从各自原来的文件夹重新读取"
    )
    command.add_argument(
        "--prune", action="store_true", help="给出的文件夹已空时，把来自它的文档移出索引"
    )
    command.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="向量交给 Ray 集群计算：主机:端口、auto 或 ray://主机:端口（需要 wenju[ray]）",
    )
    command.add_argument("--json", action="store_true", help="结果输出为 JSON")
    command.add_argument(
        "--progress", choices=("bar", "json"), default="bar", help="进度：进度条，或每行一个 JSON"
    )

    command = add("ask", ask, "在终端提问，或成批回答一个 JSONL 文件")
    command.add_argument("question", metavar="QUESTION", nargs="?", help="问题")
    command.add_argument("--json", action="store_true", help="输出 JSON 记录")
    command.add_argument("--explain", action="store_true", help="再说明为什么这样回答")
    command.add_argument("--batch", metavar="IN.jsonl", type=Path, help="每行一个问题")
    command.add_argument("--out", metavar="OUT.jsonl", type=Path, help="每行一个答案")
    command.set_defaults(check=_check_ask)

    command = add("search", search, "只检索段落")
    command.add_argument("query", metavar="QUERY", nargs="?", help="检索词")
    command.add_argument("--top-k", type=_count, default=10, help="最多几段（默认 10）")
    command.add_argument("--json", action="store_true", help="输出 JSON")
    command.add_argument("--batch", metavar="IN.jsonl", type=Path, help="每行一个问题")
    command.add_argument("--out", metavar="OUT.jsonl", type=Path, help="每行一题的段落和用时")
    command.set_defaults(check=_check_search)

    command = add("doctor", doctor, "检查索引：版本、文件、锁、磁盘、模型；完好时退出码为 0")
    command.add_argument(
        "--repair", action="store_true", help="修好不必重建就能修的；建库正在进行时不动"
    )
    command.add_argument("--json", action="store_true", help="输出 JSON")

    command = add("eval", run_eval, "用测试集评测，或用 eval new 起草一份")
    _add_eval_arguments(command)
    command.set_defaults(check=_check_eval)

    command = add(
        "token", token, "签发一个 30 分钟的访问凭证，供试用（密钥取自 WENJU_TOKEN_SECRET）"
    )
    command.add_argument("site", metavar="ORIGIN", help="门户的来源，如 https://portal.example.cn")

    command = add("feedback", export_feedback, "把收到的评价导出为测试集，供 eval 使用")
    command.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help="写到 JSONL/CSV/XLSX"
    )
    command.add_argument("--feedback", metavar="DB", help="评价文件（默认按设置）")
    return parser


if __name__ == "__main__":
    sys.exit(main())
