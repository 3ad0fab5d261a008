"""Train the span reader on the encoder of the shipped embedder: questions in, models/reader-zh out.

    python -m train.train_reader MRC.json.gz […] --news NEWS.txt.gz --work DIR [--steps 4000]
                                 [--seed 0] [--device cpu] [--out models/reader-zh]

The second stage, `--after DIR --work DIR2 --steps 500`, goes on with half of the questions in other
words (train/paraphrase.py): people ask in words of their own. With `--asked 0.4` that share of its
questions is train/news_questions.py's, which people might ask a portal.

Starts wide, on questions made from news by rule (train/made_questions.py), and finishes on
questions that people wrote. Half of the windows do not answer their question: other sentences of
the same paragraph, paragraphs that share words with the question, questions about another year or
another subject. Stops and resumes at any time: DIR holds the last checkpoint (safetensors), and
what a step is trained on depends on its number and the seed alone.

On a processor the matrices are bfloat16 with float32 masters, attention is written out and there
is no dropout inside the encoder: dropout's random numbers and the fused attention's backward pass
each cost as much there as the matrices. Averaged weights are what is exported.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch.nn import functional
from tqdm import tqdm
from transformers import BertModel

from index.embedder import load_embedder
from index.words import simplified
from qa.reader import Encoded, PassageText, encode, token_id
from settings import SHIPPED_MODEL
from train.build_embedder import make_encoder, make_tokenizers, read_packed
from train.made_questions import QuestionMaker, read_articles
from train.news_questions import load_news_questions
from train.paraphrase import Paraphraser, content_words, neighbours
from train.reading_data import LONGEST, Window, WrittenQuestion, WrittenWindows, load_written
from train.vocabulary import END, PAD, UNKNOWN

BATCH = 32  # windows of a step
MICRO_BATCH = 16  # windows at once: larger ones leave the processor's cache and are slower
PAD_TO = 16  # tokens: each new shape makes the processor's library compile and keep kernels
PEAK_RATE = 1.5e-4
RATE_DECAY = 0.95  # per layer downwards: lower layers know the language already
HEAD_RATE = 1e-3
WARM_UP = 0.05
WEIGHT_DECAY = 0.01
AVERAGE = 0.998  # of the weights, per step
DROPOUT = 0.1  # before the head, where it costs nothing
HIDDEN = 0.08  # share of a question's tokens hidden in training, against learning by heart
REWORDED, UNTOLD = 0.5, 0.25  # shares of the windows, in the second stage
MADE_FIRST, MADE_LAST, MADE_UNTIL = 0.75, 0.12, 0.4  # share of made questions over the run
TYPES = 3
MADE_PER_ARTICLE = 4
SECOND_PACE = 0.4  # of the rates, in the second stage
CHECKPOINT_SECONDS = 300


class SpanReader(torch.nn.Module):
    """Encoder with a score for start and end at every token."""

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = DROPOUT
        self.head = torch.nn.Linear(encoder.config.hidden_size, 2)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        """Logits (batch, tokens, 2); padding gets a very low one.

        `attention_mask` is (batch, tokens), 1 for a token and 0 for padding.
        """
        hidden = (1.0 - attention_mask[:, None, None, :].float()) * -1e4
        states = self.encoder(
            input_ids=input_ids,
            attention_mask=hidden.to(self.head.weight.dtype),
            token_type_ids=token_type_ids,
        ).last_hidden_state
        states = functional.dropout(states, self.dropout, self.training)
        logits = self.head(states).float()
        return logits + (attention_mask.float() - 1.0)[:, :, None] * 1e4  # type: ignore[no-any-return]


def make_reader() -> tuple[SpanReader, Tokenizer]:
    """An untrained reader on the weights of multilingual-e5-small, and its tokenizer."""
    packed, kept = read_packed()
    encoder = make_encoder(packed, kept)
    _, tokenizer = make_tokenizers(packed, kept)
    encoder.set_attn_implementation("eager")
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    known = encoder.embeddings.token_type_embeddings.weight.data
    types = torch.nn.Embedding(TYPES, known.shape[1])
    types.weight.data = known[:1].repeat(TYPES, 1)  # the weights were trained with type 0 alone
    encoder.embeddings.token_type_embeddings = types
    encoder.config.type_vocab_size = TYPES
    return SpanReader(encoder), tokenizer


@dataclass(frozen=True)
class Sample:
    """A window encoded, with the tokens where its answer starts and ends; 0, 0 for none."""

    encoded: Encoded
    start: int
    end: int


def make_sample(tokenizer: Tokenizer, window: Window) -> Sample:
    """An answer cut off by the encoder's length counts as none."""
    encoded = encode(tokenizer, window.question, PassageText(window.text, window.heading))
    if window.answer is None:
        return Sample(encoded, 0, 0)
    inside = [
        i
        for i, place in enumerate(encoded.places)
        if place and place.end > window.answer.start and place.start < window.answer.end
    ]
    return Sample(encoded, inside[0], inside[-1]) if inside else Sample(encoded, 0, 0)


class Stream:
    """What each step is trained on; depends on the step and the seed alone."""

    def __init__(
        self,
        written: Sequence[WrittenQuestion],
        made: Sequence[Window],
        tokenizer: Tokenizer,
        steps: int,
        seed: int,
        paraphraser: Paraphraser | None = None,
        asked: Sequence[WrittenQuestion] = (),
        share_asked: float = 0.0,
    ) -> None:
        """`share_asked` of what is not made comes from `asked`, the rest from `written`."""
        self.paraphraser = paraphraser
        self.asked = asked
        self.share_asked = share_asked
        self.written = [item for item in written if item.answers]
        self.made = made
        self.tokenizer = tokenizer
        self.steps = steps
        self.seed = seed
        self.windows = WrittenWindows([*self.written, *asked], random.Random(seed))

    def batch(self, step: int) -> list[Sample]:
        """BATCH samples, shortest first."""
        generator = random.Random(f"{self.seed} {step}")
        self.windows.generator = generator
        progress = 1.0 if self.share_asked else step / (MADE_UNTIL * self.steps)
        share = max(MADE_LAST, MADE_FIRST - (MADE_FIRST - MADE_LAST) * progress)
        chosen: list[Window] = []
        while len(chosen) < BATCH:
            if generator.random() < share:
                chosen.append(generator.choice(self.made))
                continue
            if generator.random() < self.share_asked:
                item = generator.choice(self.asked)
            else:
                item = self._next(generator, step, len(chosen))
            if not item.answers:
                chosen.append(self.windows.unanswered(item))
                continue
            chosen.append(self.windows.positive(item))
            if negative := self.windows.negative(item):
                chosen.append(negative)
        chosen = [self._reworded(window, generator) for window in chosen[:BATCH]]
        samples = [self._hide(make_sample(self.tokenizer, w), generator) for w in chosen]
        return sorted(samples, key=lambda sample: len(sample.encoded.ids))

    def _next(self, generator: random.Random, step: int, place: int) -> WrittenQuestion:
        """Every question comes once in an epoch of its own order."""
        number = step * BATCH // 2 + place
        epoch, row = divmod(number, len(self.written))
        order = self._order(epoch)
        return self.written[order[row]]

    def _order(self, epoch: int) -> list[int]:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._shuffled = list(range(len(self.written)))
            random.Random(f"{self.seed} epoch {epoch}").shuffle(self._shuffled)
        return self._shuffled

    def _reworded(self, window: Window, generator: random.Random) -> Window:
        """Half of the windows with their question in other words, whether it is answered or not."""
        if self.paraphraser is None or generator.random() > REWORDED:
            return window
        share = generator.uniform(0.3, 1.0)
        return replace(window, question=self.paraphraser(window.question, share, generator))

    def _hide(self, sample: Sample, generator: random.Random) -> Sample:
        """The sample with some tokens of its question unknown.

        When rewording is learned, a part of the samples is not told what the question shares.
        """
        unknown, end = token_id(self.tokenizer, UNKNOWN), token_id(self.tokenizer, END)
        ids = list(sample.encoded.ids)
        for i in range(1, ids.index(end)):
            if generator.random() < HIDDEN:
                ids[i] = unknown
        types = sample.encoded.types
        if self.paraphraser is not None and generator.random() < UNTOLD:
            types = [min(kind, 1) for kind in types]
        return replace(sample, encoded=replace(sample.encoded, ids=ids, types=types))


def tensors(samples: Sequence[Sample], pad: int, device: str) -> dict[str, torch.Tensor]:
    """ids, mask and types, each (samples, length), padded on the right; targets (samples, 2)."""
    longest = max(len(sample.encoded.ids) for sample in samples)
    longest += -longest % PAD_TO

    def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
        return torch.tensor([row + [fill] * (longest - len(row)) for row in rows], device=device)

    return {
        "input_ids": padded([sample.encoded.ids for sample in samples], pad),
        "attention_mask": padded([[1] * len(sample.encoded.ids) for sample in samples], 0),
        "token_type_ids": padded([sample.encoded.types for sample in samples], 0),
        "targets": torch.tensor([(sample.start, sample.end) for sample in samples], device=device),
    }


def loss_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Summed cross-entropy of start and end over all tokens, no-answer token included."""
    return functional.cross_entropy(
        logits[:, :, 0], targets[:, 0], reduction="sum"
    ) + functional.cross_entropy(logits[:, :, 1], targets[:, 1], reduction="sum")


class Trainer:
    """Masters in float32, the model that computes, and the average of the masters."""

    def __init__(
        self,
        model: SpanReader,
        steps: int,
        device: str,
        dropout: float = DROPOUT,
        pace: float = 1.0,
    ) -> None:
        """Prepare to train `model` for `steps` steps at `pace` times the usual rates."""
        model.dropout = dropout
        self.steps = steps
        self.device = device
        self.masters = {name: p.detach().clone() for name, p in model.named_parameters()}
        self.model = model.to(device=device, dtype=torch.bfloat16).train()
        self.trained = [name for name in self.masters if not _is_frozen(name)]
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad = name in set(self.trained)
        self.masters = {name: value.to(device) for name, value in self.masters.items()}
        self.average = {name: self.masters[name].clone() for name in self.trained}
        self.rates = [pace * _rate(name) for name in self.trained]
        groups = [
            {
                "params": [self.masters[name]],
                "lr": rate,
                "weight_decay": WEIGHT_DECAY if self.masters[name].ndim > 1 else 0.0,
            }
            for name, rate in zip(self.trained, self.rates, strict=True)
        ]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
        self.step = 0

    def train(self, samples: Sequence[Sample], pad: int) -> float:
        """One step; the mean loss of a window."""
        total = 0.0
        for start in range(0, len(samples), MICRO_BATCH):
            batch = tensors(samples[start : start + MICRO_BATCH], pad, self.device)
            targets = batch.pop("targets")
            loss = loss_of(self.model(**batch), targets) / len(samples)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        self._update()
        return total

    def _update(self) -> None:
        parameters = dict(self.model.named_parameters())
        for name in self.trained:
            gradient = parameters[name].grad
            self.masters[name].grad = None if gradient is None else gradient.float()
            parameters[name].grad = None
        torch.nn.utils.clip_grad_norm_([self.masters[name] for name in self.trained], 1.0)
        factor = schedule(self.step, self.steps)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        self.step += 1
        kept = min(AVERAGE, self.step / (self.step + 10))
        with torch.no_grad():
            for name in self.trained:
                parameters[name].copy_(self.masters[name])
                self.average[name].lerp_(self.masters[name], 1 - kept)

    def save(self, folder: Path) -> None:
        """Replace the checkpoint in one step."""
        values: dict[str, torch.Tensor] = {}
        for number, name in enumerate(self.trained):
            state = self.optimizer.state_dict()["state"].get(number, {})
            values[f"master {name}"] = self.masters[name].detach()
            values[f"average {name}"] = self.average[name]
            values |= {f"{key} {name}": state[key] for key in ("exp_avg", "exp_avg_sq", "step")}
        values = {name: value.detach().cpu().contiguous() for name, value in values.items()}
        temporary = folder / "checkpoint.tmp"
        save_file(values, temporary, metadata={"step": str(self.step)})
        temporary.replace(folder / "checkpoint.safetensors")

    def load(self, folder: Path) -> None:
        """Go on from the checkpoint."""
        values = load_file(folder / "checkpoint.safetensors", device=self.device)
        state = self.optimizer.state_dict()
        for number, name in enumerate(self.trained):
            self.masters[name].data.copy_(values[f"master {name}"])
            self.average[name].copy_(values[f"average {name}"])
            state["state"][number] = {
                key: values[f"{key} {name}"] for key in ("exp_avg", "exp_avg_sq", "step")
            }
            self.step = int(values[f"step {name}"].item())
        self.optimizer.load_state_dict(state)
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name in self.trained:
                parameters[name].copy_(self.masters[name])


def averaged(folder: Path) -> tuple[SpanReader, Tokenizer]:
    """The reader of a checkpoint with its averaged weights, float32, ready to be exported."""
    model, tokenizer = make_reader()
    model.load_state_dict({**model.state_dict(), **averaged_weights(folder)})
    return model.eval(), tokenizer


def averaged_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of a checkpoint, by parameter; frozen ones are not among them."""
    values = load_file(folder / "checkpoint.safetensors")
    prefix = "average "
    return {name.removeprefix(prefix): v for name, v in values.items() if name.startswith(prefix)}


def _is_frozen(name: str) -> bool:
    """Word and position vectors stay: most words of a user's documents are rare here."""
    return name.startswith(
        ("encoder.embeddings.word", "encoder.embeddings.position", "encoder.pooler")
    )


def _rate(name: str) -> float:
    if name.startswith("head."):
        return HEAD_RATE
    layer = int(name.split(".")[3]) if name.startswith("encoder.encoder.layer.") else -1
    return PEAK_RATE * RATE_DECAY ** (11 - layer)


def schedule(step: int, steps: int) -> float:
    """Share of the peak rate: rises over WARM_UP, then falls in a line to nothing."""
    if step < WARM_UP * steps:
        return (step + 1) / (WARM_UP * steps)
    return max(0.0, (steps - step) / (steps * (1 - WARM_UP)))


def made_windows(news: Path, articles: int, seed: int) -> list[Window]:
    """Windows of made questions from the first `articles` articles, no longer than written ones."""
    maker = QuestionMaker(seed)
    windows = []
    for number, article in enumerate(read_articles(news)):
        if number == articles:
            break
        for made in maker.make(article, MADE_PER_ARTICLE):
            if len(made.context) > LONGEST:
                continue
            context = simplified(made.context)
            windows.append(Window(simplified(made.question), "", context, made.answer))
    return windows


def run(trainer: Trainer, stream: Stream, pad: int, work: Path) -> None:
    """Train to the last step, with a progress line and a checkpoint every few minutes."""
    saved = time.monotonic()
    loss = 0.0
    progress = tqdm(range(trainer.step, trainer.steps), unit="step", mininterval=20)
    for step in progress:
        value = trainer.train(stream.batch(step), pad)
        loss = value if step == 0 else 0.98 * loss + 0.02 * value
        progress.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            trainer.save(work)
            saved = time.monotonic()
    trainer.save(work)


def word_table(news: Path, written: Sequence[WrittenQuestion]) -> dict[str, tuple[str, ...]]:
    """Neighbours of the words of some news articles and of the questions."""
    articles = [article for _, article in zip(range(1500), read_articles(news), strict=False)]
    texts = [*articles, *(item.question for item in written)]
    return neighbours(content_words(texts, 20_000), load_embedder(str(SHIPPED_MODEL)))


def main() -> None:
    """Train, or go on training; the export is train/export_reader.py's."""
    parser = argparse.ArgumentParser(prog="python -m train.train_reader")
    parser.add_argument("data", nargs="+", type=Path, help="SQuAD-style .json.gz files")
    parser.add_argument("--news", type=Path, required=True, help="one article a line")
    parser.add_argument("--articles", type=int, default=12_000, help="of the news file")
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--after", type=Path, help="folder of the first stage: go on from there")
    parser.add_argument("--asked", type=float, default=0.0, help="share of news_questions.py")
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    options.work.mkdir(parents=True, exist_ok=True)
    written = [item for path in options.data for item in load_written(path) if item.fold == "train"]
    made = made_windows(options.news, options.articles, options.seed)
    print(f"{len(written)} written questions, {len(made)} made ones", flush=True)
    model, tokenizer = averaged(options.after) if options.after else make_reader()
    paraphraser = Paraphraser(word_table(options.news, written)) if options.after else None
    pace = SECOND_PACE if options.after else 1.0
    trainer = Trainer(model, options.steps, options.device, pace=pace)
    if (options.work / "checkpoint.safetensors").exists():
        trainer.load(options.work)
        print(f"resumed at step {trainer.step}", flush=True)
    asked = load_news_questions(options.news) if options.asked else []
    stream = Stream(
        written,
        made,
        tokenizer,
        options.steps,
        options.seed,
        paraphraser,
        [item for item in asked if item.fold == "train"],
        options.asked,
    )
    run(trainer, stream, token_id(tokenizer, PAD), options.work)


if __name__ == "__main__":
    main()
