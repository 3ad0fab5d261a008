"""Segmenter against jieba, whose segmentation it must give word for word."""

from __future__ import annotations

import random

import pytest

from index.segment import Segmenter
from index.words import WordTokenizer, normalize
from settings import SEED_ARTICLES

NEW_WORDS = ["灵犀鲲湾", "5g基站", "再制造产业园", "a股公司"]


@pytest.fixture(scope="module", params=[(), NEW_WORDS], ids=["own words", "with new words"])
def tokenizer(request: pytest.FixtureRequest) -> WordTokenizer:
    return WordTokenizer(request.param)


def assert_same_as_jieba(tokenizer: WordTokenizer, texts: list[str]) -> None:
    dictionary = tokenizer.dictionary()
    segmenter = Segmenter(dictionary.FREQ, dictionary.total)
    for text in texts:
        assert segmenter.cut_for_search(text) == list(dictionary.cut_for_search(text))


def test_articles_are_cut_as_jieba_cuts_them(tokenizer: WordTokenizer) -> None:
    texts = [path.read_text("utf-8") for path in sorted(SEED_ARTICLES.glob("*.txt"))]
    assert texts
    assert_same_as_jieba(tokenizer, [line for text in texts for line in text.splitlines()])
    assert_same_as_jieba(tokenizer, [normalize(text) for text in texts])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \r\n\t　",
        "。",
        "的",
        "中华人民共和国的再制造产业",
        "他来到了网易杭研大厦，小明硕士毕业于中国科学院计算所",
        "灵犀鲲湾的5g基站与a股公司",
        "3.5%和A-B_c#&+ v1.2.3，COVID-19",
        "𠮷野家〇㐀龥龦",
        "囧囧囧",
        "阿卜杜拉·侯赛因",
        "a\0b\ud83d",
    ],
)
def test_odd_texts_are_cut_as_jieba_cuts_them(tokenizer: WordTokenizer, text: str) -> None:
    assert_same_as_jieba(tokenizer, [text])


def test_random_characters_are_cut_as_jieba_cuts_them(tokenizer: WordTokenizer) -> None:
    generator = random.Random(5)
    common = normalize("".join(path.read_text("utf-8") for path in SEED_ARTICLES.glob("*.txt")))
    rare = "".join(chr(generator.randrange(0x4E00, 0x9FFF)) for _ in range(2000))
    odd = "aZ9.%-_+# \n，。·ⅢéΩ한カ"
    texts = [
        "".join(generator.choice(generator.choice((common, rare, odd))) for _ in range(40))
        for _ in range(1500)
    ]
    assert_same_as_jieba(tokenizer, texts)


def test_of_equally_probable_cuts_the_longer_word_wins() -> None:
    """log(1/4) is log(2/4) twice, to the last bit."""
    tokenizer = WordTokenizer(["甲乙"]).dictionary()
    tokenizer.FREQ, tokenizer.total = {"甲": 2, "乙": 2, "甲乙": 1}, 4
    assert list(tokenizer.cut_for_search("甲乙甲乙")) == ["甲乙", "甲乙"]
    assert Segmenter(tokenizer.FREQ, tokenizer.total).cut_for_search("甲乙甲乙") == ["甲乙", "甲乙"]
