"""Chinese names of what is measured, in the order that tables show it."""

from benchmarks.bench import OURS
from benchmarks.peer import SYSTEMS

LABELS = {OURS: "问据", **{name: system.label for name, system in SYSTEMS.items()}}

STAGES = {
    "embed": "问题的向量",
    "tokenise": "分词、字对",
    "vectors": "向量检索",
    "words": "词、字对的检索",
    "texts": "取原文",
    "fuse": "合并、看第二遍",
    "retrieve": "**检索，整个**",
    "answer_understand": "理解问题",
    "answer_retrieve": "其中检索",
    "answer_read": "阅读",
    "answer_rank": "排序、拒答",
    "answer_compose": "组织、核对、引用",
    "answer": "**回答，整个**",
    "answer_core": "回答的处理器时间",
}
