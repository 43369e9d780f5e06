"""Train the recognizer: python -m recognition.train --data DIR --name NAME. Resumes where a stopped run left off.

On several processors or GPUs: torchrun --nproc-per-node N -m recognition.train ...
"""

import argparse
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter

from attributes.labels import BadDataFolder, read_garments
from attributes.report import fail, positive
from attributes.sequence import Grammar
from attributes.vocabulary import Vocabulary, load_vocabulary
from recognition.backbones import ENCODERS, ResCeptionEncoder
from recognition.cards import Card, MissingWeights, WeightsMismatch, read_card, write_card
from recognition.checkpoints import NotSaved, load_checkpoint, load_weights, log_line, save_checkpoint, save_weights
from recognition.dataset import Augmentation, Batches, held_out, squared_crops
from recognition.distillation import Teachers
from recognition.learner import Learner
from recognition.model import Mix, RecognitionModel
from recognition.optimization import (
    Diverged,
    bf16,
    keep_freed_memory,
    make_optimizer,
    moving_average,
    optimize,
    rate_at,
)
from recognition.recognizer import SERVED, WEIGHTS
from recognition.resception import torchvision_weights
from recognition.shards import unpacked
from recognition.titles import TitleWords
from recognition.workers import Workers

KEPT_SIDE = 288  # pixels of the squares that crops are drawn from


@dataclass(frozen=True)
class Recipe:
    """What may be turned about a training run."""

    stages: tuple[tuple[int, int], ...] = ((10, 160), (3, 192))  # (epochs, side): small first, which is faster
    batch: int = 64  # over all processes
    rate: float = 5e-4  # of the encoder at its peak
    new_rate: float = 1.5e-3  # of decoder, neck and heads, which start from nothing
    weight_decay: float = 0.03
    warm_up: float = 0.06  # share of the steps
    heads_share: float = 0.5  # weight of the heads' loss beside the sequence's
    clip: float = 5.0  # norm of the gradient
    patience: int = 6  # epochs without a better validation loss until the run stops
    average: float = 0.998  # of the old in the moving average of the weights, a step
    mixup: float = 0.0  # share of the batches that are mixed
    mixed_share: float = 0.4  # both parameters of the Beta distribution of a mixed photo's own share
    seed: int = 7
    changes: Augmentation = field(default_factory=Augmentation)

    @property
    def epochs(self) -> int:
        """Of all stages."""
        return sum(n for n, _ in self.stages)

    def side(self, epoch: int) -> int:
        """Side of the crops in this epoch, from 0."""
        for n, side in self.stages:
            if epoch < n:
                return side
            epoch -= n
        return self.stages[-1][1]

    def mix(self, epoch: int, step: int, size: int) -> Mix | None:
        """How this step's photos are mixed, if they are; the same for every process."""
        random = np.random.default_rng((self.seed, epoch, step))
        if random.random() >= self.mixup:
            return None
        return Mix(torch.arange(size).flip(0), float(random.beta(self.mixed_share, self.mixed_share)))


@torch.no_grad()
def validation_loss(model: nn.Module, batches: Batches, side: int, workers: Workers) -> float:
    """Mean nats of the label sequence over a split."""
    model.eval()
    total = 0.0
    for batch in batches.evaluation(64, side):
        with bf16():
            total += float(model(workers.moved(batch)).sequence.sum())
    return total / len(batches)


class Training:
    """A model in training: its weights, their moving average, the optimizer and how far it is."""

    def __init__(
        self, model: RecognitionModel, recipe: Recipe, run: Path, workers: Workers | None = None,
        teachers: Teachers | None = None, n_words: int = 0,
    ) -> None:  # fmt: skip
        self.recipe, self.run, self.workers = recipe, run, workers or Workers()
        self.model = model.to(self.workers.device)
        self.teachers = teachers.to(self.workers.device) if teachers else None
        learner = Learner(self.model, n_words, teachers.n_channels if teachers else 0)
        self.learner = learner.to(self.workers.device)
        self.average = AveragedModel(self.model, multi_avg_fn=moving_average(recipe.average), use_buffers=True)
        self.optimizer = make_optimizer(
            self.learner, self.model.encoder, recipe.rate, recipe.new_rate, recipe.weight_decay
        )
        self.board = SummaryWriter(run / "tensorboard") if self.workers.first else None
        self.epoch, self.best, self.stale = 0, math.inf, 0

    def resume(self) -> None:
        """Go on from run/checkpoint.pt, if it is there."""
        state = load_checkpoint(self.run / "checkpoint.pt")
        if state is None:
            return
        for part, name in ((self.learner, "model"), (self.average, "average"), (self.optimizer, "optimizer")):
            part.load_state_dict(state[name])  # type: ignore[arg-type]
        self.epoch, self.best, self.stale = state["progress"]  # type: ignore[misc]
        print(f"resumed after epoch {self.epoch}, best validation loss {self.best:.3f}", flush=True)

    def epoch_over(self, batches: Batches) -> float:
        """One pass over the training garments; returns the mean sequence loss. Raises Diverged, naming the batch."""
        self.learner.train()
        recipe, epoch = self.recipe, self.epoch
        side, seed = recipe.side(epoch), recipe.seed + epoch
        torch.manual_seed(seed * 1000 + self.workers.rank)  # of the dropout, so that a resumed run draws the same
        together: nn.Module = DistributedDataParallel(self.learner) if self.workers.n > 1 else self.learner
        order = batches.order(recipe.batch, seed)
        total, n_done, started = 0.0, 0, time.monotonic()
        shares = [self.workers.share(everyone) for everyone in order]
        drawn = self.workers.learned_from(shares, lambda at: batches.training(at, side, recipe.changes, seed))
        for i, (at, batch) in enumerate(zip(shares, drawn, strict=True)):
            mix = recipe.mix(epoch, i, len(at))
            with bf16():
                taught = self.teachers.teach(batch, mix) if self.teachers else None
                losses = together(batch, mix, taught)
                loss = (losses.sequence + recipe.heads_share * losses.heads + losses.besides).mean()
            try:
                share = rate_at(epoch * len(order) + i, recipe.epochs * len(order), recipe.warm_up)
                optimize(self.learner, self.optimizer, loss, share, recipe.clip)
            except Diverged as wrong:
                ids = ", ".join(batches.ids[j] for j in at)
                raise Diverged(f"{wrong} (epoch {epoch + 1}, batch {i + 1}: {ids})") from wrong
            self.average.update_parameters(self.model)
            total, n_done = total + float(losses.sequence.detach().sum()), n_done + len(at)
            if i % 20 == 0 and self.workers.first:
                ms = (time.monotonic() - started) / n_done / self.workers.n * 1000
                print(f"  {i}/{len(order)} nll {total / n_done:.3f}, {ms:.0f} ms a photo", flush=True)
        return self.workers.mean(total / n_done)

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(
            self.run / "checkpoint.pt",
            {"model": self.learner.state_dict(), "average": self.average.state_dict(),
             "optimizer": self.optimizer.state_dict(), "progress": (self.epoch, self.best, self.stale)},
        )  # fmt: skip


def train(
    model: RecognitionModel, training: Batches, validation: Batches, recipe: Recipe, run: Path,
    workers: Workers | None = None, teachers: Teachers | None = None,
) -> float:  # fmt: skip
    """Train until the recipe ends or validation stops improving; the best averaged weights are in run/best.safetensors.

    A checkpoint after every epoch lets the same call go on after a crash. Returns the best validation loss, in nats.
    """
    state = Training(model, recipe, run, workers, teachers, len(training.words))
    state.resume()
    while state.epoch < recipe.epochs and state.stale < recipe.patience:
        started = time.monotonic()
        trained = state.epoch_over(training)
        judged = validation_loss(state.average.module, validation, recipe.side(state.epoch), state.workers)
        better = judged < state.best
        state.best, state.stale = min(judged, state.best), 0 if better else state.stale + 1
        state.epoch += 1
        if state.board is not None:
            if better:
                save_weights(state.average.module, run / "best.safetensors")
            minutes = (time.monotonic() - started) / 60
            done = f"epoch {state.epoch}/{recipe.epochs}"
            print(f"{done}: train {trained:.3f}, val {judged:.3f}, {minutes:.1f} min", flush=True)
            log_line(run / "log.jsonl", {"epoch": state.epoch, "train": trained, "val": judged, "minutes": minutes})
            state.board.add_scalars("nll", {"train": trained, "val": judged}, state.epoch)
            state.board.add_scalar("side", recipe.side(state.epoch - 1), state.epoch)
            state.board.flush()
            state.save()
        state.workers.wait()
    return state.best


def load_splits(data: Path, vocabulary: Vocabulary, runs: Path) -> list[Batches]:
    """The training garments (without those kept for calibration) and the validation garments. Raises BadDataFolder."""
    folder = unpacked(data, runs / "shards")
    training = [g for g in read_garments(folder, vocabulary, "train") if not held_out(g)]
    batches = []
    titles = TitleWords([g.title for g in training])
    for split, words in ((training, titles), (read_garments(folder, vocabulary, "val"), None)):
        crops, readable = squared_crops(split, KEPT_SIDE, runs / "crops")
        if not readable:
            raise BadDataFolder(f"no photo of {folder} could be read")
        if len(readable) < len(split):
            print(f"{len(split) - len(readable)} of {len(split)} garments are left out: their photos cannot be read")
        batches.append(Batches(crops, [split[i] for i in readable], Grammar(vocabulary), words))
    return batches


def load_teachers(names: Sequence[str], vocabulary: Vocabulary, runs: Path) -> Teachers | None:
    """The models to learn from; None without names. Raises WeightsMismatch."""
    models = []
    for name in names:
        file = WEIGHTS / f"{SERVED}.safetensors" if name == "shipped" else runs / name / "best.safetensors"
        model = RecognitionModel(vocabulary, read_card(file.with_suffix(".toml")).text.get("encoder", "mobilenet_v2"))
        load_weights(model, file, vocabulary)
        models.append(model.to(memory_format=torch.channels_last))
    return Teachers(models) if models else None


def begin(model: RecognitionModel, encoder: str, init: str | None, runs: Path) -> None:
    """Give a model the weights that it is trained on from. Raises MissingWeights, WeightsMismatch."""
    vocabulary = load_vocabulary()
    if init == "shipped":
        load_weights(model, WEIGHTS / f"{SERVED}.safetensors", vocabulary)
    elif init == "torchvision":
        if not isinstance(model.encoder, ResCeptionEncoder):
            raise MissingWeights(f"torchvision's weights are taken for resception, not for {encoder}")
        model.encoder.network.start_from(torchvision_weights())
    elif init:
        load_weights(model, runs / init / "best.safetensors", vocabulary, grow=True)


def parse_stages(text: str) -> tuple[tuple[int, int], ...]:
    """Read "10@160,3@192": epochs and side of each stage. Raises ArgumentTypeError."""
    try:
        return tuple((int(n), int(side)) for n, side in (stage.split("@") for stage in text.split(",")))
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(f"expected EPOCHS@SIDE,..., not {text!r}") from wrong


def command(parser: argparse.ArgumentParser, given: argparse.Namespace) -> str:
    """The command as it stands in a card: what differs from the defaults, files by their names."""
    words = ["python -m recognition.train"]
    for name, value in vars(given).items():
        if value != parser.get_default(name) and name != "runs":
            if name == "stages":
                value = ",".join(f"{n}@{side}" for n, side in value)
            values = value if isinstance(value, list) else [value.name if isinstance(value, Path) else value]
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return " ".join(words)


def machine(n_threads: int) -> str:
    """What trains, in words."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{n_threads} threads of a processor with {torch.backends.cpu.get_cpu_capability()}"


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="data folder with items.csv and photos/, or shards of one"
    )
    parser.add_argument("--name", required=True, help="name of the run, kept under --runs")
    parser.add_argument("--encoder", choices=ENCODERS, default="mobilenet_v2")
    parser.add_argument("--start", type=Path, help="ImageNet weights that the encoder starts from (safetensors)")
    parser.add_argument(
        "--init", help="what is trained further: the name of a run, shipped (what serves), torchvision (for resception)"
    )
    parser.add_argument("--rate", type=float, default=Recipe.rate, help="peak learning rate of the encoder")
    parser.add_argument("--new-rate", type=float, default=Recipe.new_rate, help="of decoder, neck and heads")
    parser.add_argument("--stages", type=parse_stages, default=Recipe.stages, help="EPOCHS@SIDE,... (10@160,3@192)")
    parser.add_argument("--teachers", nargs="*", default=[], metavar="NAME", help="runs, or shipped, to learn from")
    parser.add_argument("--mixup", type=float, default=Recipe.mixup, help="share of the batches that are mixed")
    parser.add_argument(
        "--light", type=float, default=Augmentation.light, help="how far brightness and contrast are turned"
    )
    parser.add_argument("--runs", type=Path, default=Path("var/runs"), help="where checkpoints and logs go")
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="processor threads")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    vocabulary = load_vocabulary()
    workers = Workers.join()
    try:
        model = RecognitionModel(vocabulary, arguments.encoder, arguments.start)
        begin(model, arguments.encoder, arguments.init, arguments.runs)
        teachers = load_teachers(arguments.teachers, vocabulary, arguments.runs)
        with workers.in_turn():
            batches = load_splits(arguments.data, vocabulary, arguments.runs)
    except (BadDataFolder, MissingWeights, WeightsMismatch) as wrong:
        fail(str(wrong))
    model = model.to(memory_format=torch.channels_last)
    run = arguments.runs / arguments.name
    if workers.first:
        run.mkdir(parents=True, exist_ok=True)
        said = {
            "vocabulary": vocabulary.fingerprint,
            "encoder": arguments.encoder,
            "command": command(parser, arguments),
        }
        said |= {"seed": str(arguments.seed), "machine": machine(workers.n * arguments.threads)}
        write_card(Card(run / "best.toml", said, {}, {}))
    recipe = Recipe(
        arguments.stages, rate=arguments.rate, new_rate=arguments.new_rate, seed=arguments.seed, mixup=arguments.mixup,
        changes=Augmentation(light=arguments.light),
    )  # fmt: skip
    try:
        best = train(model, batches[0], batches[1], recipe, run, workers, teachers)
    except (Diverged, NotSaved) as wrong:
        fail(str(wrong))
    if workers.first:
        print(f"best validation loss {best:.3f}; export it with python -m recognition.export --run {arguments.name}")
    workers.leave()


if __name__ == "__main__":
    main()
