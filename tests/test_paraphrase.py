"""Questions in other words for training: what is exchanged and what stays."""

from __future__ import annotations

import random

from tests.index_parts import BigramEmbedder
from train.paraphrase import Paraphraser, content_words, neighbours

TABLE = {"企业": ("厂商",), "投资": ("资本",), "湖南": ("湖北",)}


def test_content_words_are_exchanged_and_names_and_numbers_stay() -> None:
    reworded = Paraphraser(TABLE)("湖南2024年有多少家企业？", 1.0, random.Random(0))
    assert reworded == "湖南2024年有多少家厂商？"


def test_a_share_of_nothing_changes_nothing() -> None:
    question = "湖南有多少家企业？"
    assert Paraphraser(TABLE)(question, 0.0, random.Random(0)) == question


def test_verbs_with_an_opposite_and_asking_words_are_never_exchanged() -> None:
    words = content_words(["企业为什么取消投资？取消后产值下降多少？"], 100)
    assert "企业" in words
    assert not {"取消", "下降", "为什么", "多少"} & set(words)


def test_neighbours_are_other_words_that_are_not_mostly_the_same_characters() -> None:
    words = ["产业", "产业园", "工业", "农业", "大桥"]
    found = neighbours(words, BigramEmbedder())
    assert set(found) == set(words)
    for word, others in found.items():
        assert word not in others
        assert all(len(set(other) & set(word)) <= len(set(word)) / 2 for other in others)
    assert "产业园" not in found["产业"]
