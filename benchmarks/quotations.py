"""Are quotations what stands in the source? Ask for random sentences of a news file and look.

    python -m benchmarks.quotations NEWS.txt.gz [--articles 300] [--sentences 500] [--seed 0]

The file holds one article a line. A sample becomes the documents of a throw-away index; random
sentences of the sample, as they stand in the file, are asked as questions. For every citation and
every suggestion it is checked that the quotation equals the original at its offsets, white space
apart, where "the original" is the line of the file and nothing that the index says of itself.
Prints also how often the very sentence was found. Exits 1 if one quotation differs.
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from assemble import build_index, open_chatbot
from eval.metrics import is_verbatim
from qa.chatbot import Chatbot
from schema import Answer, Citation
from settings import Settings


@dataclass(frozen=True)
class Asked:
    """What came of one sentence."""

    sentence: str
    citations: tuple[Citation, ...]
    answered: bool


def sample_articles(path: Path, count: int, generator: random.Random) -> list[str]:
    """Random lines of a gzipped or plain UTF-8 file."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    lines = [line for line in text.split("\n") if line.strip()]
    return generator.sample(lines, min(count, len(lines)))


def sample_sentences(articles: Sequence[str], count: int, generator: random.Random) -> list[str]:
    """Random sentences of 8 to 200 characters, as they stand in the articles."""
    sentences = [
        sentence.strip()
        for article in articles
        for sentence in re.split(r"(?<=[。！？])", article)
        if 8 <= len(sentence.strip()) <= 200
    ]
    return generator.sample(sentences, min(count, len(sentences)))


def ask_all(chatbot: Chatbot, sentences: Sequence[str]) -> list[Asked]:
    """Each sentence as a question, with all that was quoted for it."""
    asked = []
    for sentence in tqdm(sentences, desc="ask", unit="sentence"):
        reply = chatbot.ask(sentence).reply
        if isinstance(reply, Answer):
            asked.append(Asked(sentence, reply.citations, answered=True))
        else:
            asked.append(Asked(sentence, reply.suggestions, answered=False))
    return asked


def main() -> int:
    """Run the check; the exit code says whether every quotation held."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("news", type=Path)
    parser.add_argument("--articles", type=int, default=300)
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    articles = sample_articles(arguments.news, arguments.articles, generator)
    originals = {f"{number:05}.txt": article for number, article in enumerate(articles)}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "news")
        source.mkdir()
        for doc, text in originals.items():
            source.joinpath(doc).write_bytes(text.encode("utf-8"))
        settings = replace(Settings(), index_dir=str(Path(folder, "index")))
        build_index(settings, [source])
        asked = ask_all(
            open_chatbot(settings), sample_sentences(articles, arguments.sentences, generator)
        )
    citations = [citation for item in asked for citation in item.citations]
    wrong = [c for c in citations if not is_verbatim(originals[c.doc], c.span, c.quote)]
    found = sum(
        any("".join(item.sentence.split()) in "".join(c.quote.split()) for c in item.citations)
        for item in asked
    )
    print(
        f"{len(asked)} sentences of {len(originals)} articles, "
        f"{sum(item.answered for item in asked)} answered; quoted verbatim "
        f"{len(citations) - len(wrong)}/{len(citations)}; the very sentence quoted {found}"
    )
    for citation in wrong[:10]:
        print(f"differs: {citation}", file=sys.stderr)
    return 1 if wrong or not citations else 0


if __name__ == "__main__":
    sys.exit(main())
