"""Training the reader: what a step sees, and that stopping and going on changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tokenizers import Tokenizer

from schema import Span
from settings import SHIPPED_READER
from tests.lazily import Lazily
from train.reading_data import Window

if TYPE_CHECKING:
    import torch
    import transformers

    from train import train_reader
else:
    torch, transformers = Lazily("torch"), Lazily("transformers")
    train_reader = Lazily("train.train_reader")

PAD = 1
WINDOWS = [
    Window("大桥有多长？", "", "大桥长1670米。市民很高兴。", Span(3, 8)),
    Window("大桥何时通车？", "大桥", "市民很高兴。", None),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(SHIPPED_READER / "tokenizer.json"))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_reader(vocabulary: int) -> train_reader.SpanReader:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        type_vocab_size=train_reader.TYPES,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return train_reader.SpanReader(transformers.BertModel(config))


def samples(tokenizer: Tokenizer) -> list[train_reader.Sample]:
    return [train_reader.make_sample(tokenizer, window) for window in WINDOWS]


def test_a_sample_points_at_the_tokens_of_its_answer(tokenizer: Tokenizer) -> None:
    answered, unanswered = samples(tokenizer)
    first, last = (answered.encoded.places[i] for i in (answered.start, answered.end))
    assert first is not None
    assert last is not None
    assert "1670" in WINDOWS[0].text[first.start : last.end]
    assert (unanswered.start, unanswered.end) == (0, 0)


def test_padding_is_masked_and_never_an_answer(tokenizer: Tokenizer) -> None:
    batch = train_reader.tensors(samples(tokenizer), PAD, "cpu")
    lengths = [len(sample.encoded.ids) for sample in samples(tokenizer)]
    assert batch["attention_mask"].sum(dim=1).tolist() == lengths
    targets = batch.pop("targets")
    logits = small_reader(tokenizer.get_vocab_size()).eval()(**batch)
    assert (logits[1, lengths[1] :] < -1000).all()
    assert torch.isfinite(train_reader.loss_of(logits, targets))


def test_going_on_from_a_checkpoint_equals_never_having_stopped(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    size = tokenizer.get_vocab_size()

    def trainer() -> train_reader.Trainer:
        return train_reader.Trainer(small_reader(size), steps=40, device="cpu", dropout=0.0)

    straight = trainer()
    for _ in range(4):
        straight.train(samples(tokenizer), PAD)
    first = trainer()
    for _ in range(2):
        first.train(samples(tokenizer), PAD)
    first.save(tmp_path)
    second = trainer()
    second.load(tmp_path)
    assert second.step == 2
    for _ in range(2):
        second.train(samples(tokenizer), PAD)
    assert straight.masters.keys() == second.masters.keys()
    for name, value in straight.masters.items():
        assert torch.allclose(value, second.masters[name], atol=1e-7), name
    second.save(tmp_path)
    for name, value in train_reader.averaged_weights(tmp_path).items():
        assert torch.allclose(value, straight.average[name], atol=1e-7), name


def test_training_lowers_the_loss_and_leaves_the_word_vectors_alone(tokenizer: Tokenizer) -> None:
    trainer = train_reader.Trainer(
        small_reader(tokenizer.get_vocab_size()), steps=200, device="cpu"
    )
    words = "encoder.embeddings.word_embeddings.weight"
    before = trainer.masters[words].clone()
    first = trainer.train(samples(tokenizer), PAD)
    for _ in range(60):
        last = trainer.train(samples(tokenizer), PAD)
    assert last < 0.8 * first
    assert torch.equal(trainer.masters[words], before)


def test_the_rate_rises_and_then_falls_to_nothing() -> None:
    rates = [train_reader.schedule(step, 100) for step in range(101)]
    assert rates.index(max(rates)) == 4  # after 5 % of the steps
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[100] == 0
