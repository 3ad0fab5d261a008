"""Every tunable, with its default and the reason for it; read once, by app.py and assemble.py.

A TOML file given with --settings overrides defaults; an unknown key fails instead of being ignored.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from errors import SettingsError

ROOT = Path(__file__).resolve().parent
SHIPPED_MODEL = ROOT / "models" / "e5-small-zh"
SHIPPED_READER = ROOT / "models" / "reader-zh"
SEED_ARTICLES = ROOT / "corpus" / "articles"


@dataclass(frozen=True)
class SplitSettings:
    """How articles become chunks."""

    max_chars: int = 180  # three or four newspaper sentences; other lengths were not compared


@dataclass(frozen=True)
class RetrievalSettings:
    """How many candidates each retriever returns and how their scores are added."""

    candidates: int = 50  # per retriever; recall@10 is .97 on CMRC, so 50 leaves ample room
    passages: int = 10  # whose sentences are ranked for an answer
    read: int = 6  # of these, how many the reader reads: some 7 ms each on two cores
    dense_weight: float = 1.0  # weights of the z-scores: DESIGN.md section 4
    word_weight: float = 0.5
    bigram_weight: float = 0.5
    second_look: bool = True  # candidates by what tells them apart; False is for comparison
    fusion: str = "z-score"  # or "reciprocal-rank"; eval --compare shows what each is worth


@dataclass(frozen=True)
class ServerSettings:
    """The web process."""

    host: str = "127.0.0.1"
    port: int = 7860
    concurrent_questions: int = 8  # Gradio's default of 1 makes 50 people wait 26 s
    queue_size: int = 64  # beyond it, an honest "busy" instead of an endless wait
    root_path: str = ""  # prefix that a reverse proxy takes away, such as "/kb"
    uploads: str = "data/uploads"  # files that the operator's page takes in
    feedback: str = "data/feedback.sqlite"  # what people say of answers; "": is not taken
    log_questions: bool = False  # what people ask is theirs; on, the log holds the text of it


@dataclass(frozen=True)
class AccessSettings:
    """Who may ask, and how often; a number of 0 is no limit.

    The secret of the tokens is no setting: the environment variable WENJU_TOKEN_SECRET holds it.
    Where it is set, every question needs a token that the portal's server has signed with it.
    """

    origins: tuple[str, ...] = ()  # portals that embed the widget; empty: own pages only
    trusted_proxies: tuple[str, ...] = ()  # whose X-Forwarded-* headers are believed
    allowed_hosts: tuple[str, ...] = ()  # names this server answers to; empty: any
    address_per_minute: int = 30  # a person reads longer than two seconds; an office may share one
    address_per_day: int = 3000
    site_per_minute: int = 1200  # a little more than two free cores answer in a minute
    site_per_day: int = 100_000


@dataclass(frozen=True)
class Settings:
    """All of them."""

    model: str = str(SHIPPED_MODEL)  # folder or name of a sentence-transformers model
    reader: str = str(SHIPPED_READER)  # folder that train/export_reader.py writes; "" reads nothing
    repair: bool = True  # lines as authors wrote them; False, as extracted, is for comparison only
    index_dir: str = "data/index"
    # Where the index lies instead of in index_dir: a Milvus address, http://host:19530 or
    # http://host:19530/database, or a local file ending in .db. docs/milvus.md says when. The token
    # is no setting: the environment variable WENJU_MILVUS_TOKEN holds it.
    store: str = ""
    # Share of everyday answerable questions that may be refused for want of confidence: 0.001,
    # 0.002, 0.005, 0.01, 0.02, 0.05 or 0.1. A larger one refuses more of what the documents do not
    # answer, and of what is asked in other words than theirs. Demands that nothing meets (a year, a
    # place) are refused besides: some 3 % of the answerable on kept-apart articles.
    refused_answerable: float = 0.02
    max_question_chars: int = 1000  # ten times a long question; longer text is pasted by mistake
    split: SplitSettings = field(default_factory=SplitSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    access: AccessSettings = field(default_factory=AccessSettings)

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Defaults overridden by a TOML file.

        Raises:
            SettingsError: the file is missing, is not TOML, or has an unknown key or a wrong type.
        """
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(
                f"{path}: {error}", f"设置文件 {path} 无法读取，请检查路径和 TOML 格式。"
            ) from error
        return _override(cls(), values, f"设置文件 {path}")

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """These settings with some changed, nested tables as in a settings file.

        Raises:
            SettingsError: an unknown key or a wrong type.
        """
        return _override(self, changes, "改动的设置")


_Record = TypeVar("_Record")

_TYPES_ZH = {
    bool: "true 或 false",
    int: "整数",
    float: "数字",
    str: "文字",
    tuple: "文字的列表",
}


def _override(record: _Record, values: Mapping[str, Any], source: str) -> _Record:
    """A copy of the dataclass `record` with `values` put in, nested tables included.

    `source` says in Chinese where the values come from.
    """
    known = {item.name: getattr(record, item.name) for item in fields(cast(Any, record))}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise SettingsError(f"{source}: unknown key {key}", f"{source} 中有未知的项：{key}")
        current = known[key]
        if is_dataclass(current) and isinstance(value, Mapping):
            changes[key] = _override(current, value, source)
        elif isinstance(current, float) and type(value) is int:
            changes[key] = float(value)
        elif isinstance(current, tuple) and _is_list_of_text(value):
            changes[key] = tuple(value)
        elif type(value) is type(current) and not isinstance(current, tuple):
            changes[key] = value
        else:
            raise SettingsError(
                f"{source}: {key} must be {type(current).__name__}",
                f"{source} 中 {key} 的类型不对，应为 {_TYPES_ZH.get(type(current), '一个表')}。",
            )
    return cast(_Record, replace(cast(Any, record), **changes))


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
