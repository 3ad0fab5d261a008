"""python -m eval.peers SET [--docs FOLDER] [--json OUT]: our retrieval beside that of others."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from errors import TestSetError, WenjuError
from eval.case import CaseSet
from eval.peers.compare import (
    ROOT,
    askable,
    compare,
    comparison_table,
    in_process,
    record,
    text_documents,
    write_documents,
)
from eval.peers.run_one import SYSTEMS
from eval.sets import load_set


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print.

    Returns:
        0 done, 1 failed with one clear line on standard error.
    """
    arguments = _parser().parse_args(argv)
    try:
        cases = load_set(arguments.set)
        if arguments.docs is not None:
            print(_compared(cases, arguments.docs, arguments))
        elif cases.documents:
            with tempfile.TemporaryDirectory() as folder:
                write_documents(cases, Path(folder))
                print(_compared(cases, Path(folder), arguments))
        else:
            raise TestSetError("no documents", "测试集不带文档，请用 --docs 给出文档所在的文件夹。")
    except WenjuError as error:
        print(error.user_message, file=sys.stderr)
        return 1
    return 0


def _compared(cases: CaseSet, folder: Path, arguments: argparse.Namespace) -> str:
    """The table, with a line on what was compared; the record is written where it is wanted."""
    given = cases.cases[: arguments.most]
    texts = text_documents(folder)
    asked = askable(given, texts)
    names = arguments.systems or list(SYSTEMS)
    rows = compare(asked, folder, names, arguments.model, in_process(arguments.python))
    left_out = len(given) - len(asked)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    if arguments.json is not None:
        text = record(rows, name=cases.name, when=when, asked=len(asked), left_out=left_out)
        arguments.json.write_text(text, "utf-8")
    about = f"{cases.name}：{len(asked)} 题，{len(texts)} 篇文档，{when}"
    if left_out:
        about += f"；另有 {left_out} 题不可回答或证据不在文档里，没有比较"
    return f"{about}\n\n{comparison_table(rows)}"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("应为正整数")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval.peers", description="与别的检索系统并列比较；见 eval/peers/README.md。"
    )
    parser.add_argument("set", metavar="SET", type=Path, help="测试集")
    parser.add_argument("--docs", metavar="FOLDER", type=Path, help="文档（UTF-8 的 TXT）")
    parser.add_argument("--json", metavar="OUT", type=Path, help="另存全部数字")
    parser.add_argument("--most", metavar="N", type=_count, help="只用前 N 题")
    parser.add_argument(
        "--systems", metavar="NAME", nargs="+", choices=SYSTEMS, help="、".join(SYSTEMS)
    )
    parser.add_argument(
        "--python", metavar="PATH", default=sys.executable, help="运行别的系统的 Python"
    )
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        type=Path,
        default=ROOT / "models" / "e5-small-zh",
        help="各家共用的向量模型（默认自带的）",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
