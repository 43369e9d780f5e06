"""Train the recognizer: python -m recognition.train --data DIR --name NAME. Resumes where a stopped run left off."""

import argparse
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from attributes.labels import BadDataFolder, read_garments
from attributes.report import fail, positive
from attributes.sequence import Grammar
from attributes.vocabulary import load_vocabulary
from recognition.backbones import ENCODERS, MissingWeights
from recognition.cards import WeightsMismatch
from recognition.checkpoints import load_checkpoint, load_weights, log_line, save_checkpoint, save_weights
from recognition.dataset import Augmentation, Batches, held_out, squared_crops
from recognition.model import RecognitionModel
from recognition.optimization import bf16, keep_freed_memory, make_optimizer, optimize, rate_at

KEPT_SIDE = 288  # pixels of the squares that crops are drawn from


@dataclass(frozen=True)
class Recipe:
    """What may be turned about a training run."""

    stages: tuple[tuple[int, int], ...] = ((10, 160), (3, 192))  # (epochs, side): small first, which is faster
    batch: int = 64
    rate: float = 5e-4  # of the encoder at its peak
    new_rate: float = 1.5e-3  # of decoder and heads, which start from nothing
    weight_decay: float = 0.03
    warm_up: float = 0.06  # share of the steps
    heads_share: float = 0.5  # weight of the heads' loss beside the sequence's
    clip: float = 5.0  # norm of the gradient
    patience: int = 6  # epochs without a better validation loss until the run stops
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


@torch.no_grad()
def validation_loss(model: RecognitionModel, batches: Batches, side: int) -> float:
    """Mean nats of the label sequence over a split."""
    model.eval()
    total = 0.0
    for photos, targets in batches.evaluation(64, side):
        with bf16():
            total += float(model.losses(photos, targets).sequence) * len(photos)
    return total / len(batches)


def train_epoch(
    model: RecognitionModel, optimizer: torch.optim.AdamW, batches: Batches, recipe: Recipe, epoch: int
) -> float:
    """One pass over the training garments; returns the mean sequence loss. Raises Diverged."""
    model.train()
    side, total, n_done = recipe.side(epoch), 0.0, 0
    n_batches = max(1, len(batches) // recipe.batch)
    started = time.monotonic()
    for i, (photos, targets) in enumerate(batches.training(recipe.batch, side, recipe.changes, recipe.seed + epoch)):
        with bf16():
            losses = model.losses(photos, targets)
            loss = losses.sequence + recipe.heads_share * losses.heads
        share = rate_at(epoch * n_batches + i, recipe.epochs * n_batches, recipe.warm_up)
        optimize(model, optimizer, loss, share, recipe.clip)
        total, n_done = total + float(losses.sequence.detach()) * len(photos), n_done + len(photos)
        if i % 20 == 0:
            ms = (time.monotonic() - started) / n_done * 1000
            print(f"  {i}/{n_batches} nll {total / n_done:.3f}, {ms:.0f} ms a photo", flush=True)
    return total / n_done


def train(model: RecognitionModel, training: Batches, validation: Batches, recipe: Recipe, run: Path) -> float:
    """Train until the recipe ends or validation stops improving; the best weights are in run/best.safetensors.

    A checkpoint after every epoch lets the same call go on after a crash. Returns the best validation loss, in nats.
    """
    optimizer = make_optimizer(model, model.encoder, recipe.rate, recipe.new_rate, recipe.weight_decay)
    epoch, best, stale = 0, math.inf, 0
    state = load_checkpoint(run / "checkpoint.pt")
    if state is not None:
        model.load_state_dict(state["model"])  # type: ignore[arg-type]
        optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        epoch, best, stale = state["progress"]  # type: ignore[misc]
        print(f"resumed after epoch {epoch}, best validation loss {best:.3f}", flush=True)
    while epoch < recipe.epochs and stale < recipe.patience:
        started = time.monotonic()
        trained = train_epoch(model, optimizer, training, recipe, epoch)
        judged = validation_loss(model, validation, recipe.side(epoch))
        stale = 0 if judged < best else stale + 1
        if judged < best:
            best = judged
            save_weights(model, run / "best.safetensors")
        epoch += 1
        minutes = (time.monotonic() - started) / 60
        print(f"epoch {epoch}/{recipe.epochs}: train {trained:.3f}, val {judged:.3f}, {minutes:.1f} min", flush=True)
        log_line(run / "log.jsonl", {"epoch": epoch, "train": trained, "val": judged, "minutes": minutes})
        save_checkpoint(
            run / "checkpoint.pt",
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "progress": (epoch, best, stale)},
        )
    return best


def parse_stages(text: str) -> tuple[tuple[int, int], ...]:
    """Read "10@160,3@192": epochs and side of each stage. Raises ArgumentTypeError."""
    try:
        return tuple((int(n), int(side)) for n, side in (stage.split("@") for stage in text.split(",")))
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(f"expected EPOCHS@SIDE,..., not {text!r}") from wrong


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder with items.csv and photos/")
    parser.add_argument("--name", required=True, help="name of the run, kept under --runs")
    parser.add_argument("--encoder", choices=ENCODERS, default="mobilenet_v2")
    parser.add_argument("--start", type=Path, help="ImageNet weights that the encoder starts from (safetensors)")
    parser.add_argument("--init", help="name of a run whose best weights are trained further")
    parser.add_argument("--rate", type=float, default=Recipe.rate, help="peak learning rate of the encoder")
    parser.add_argument("--new-rate", type=float, default=Recipe.new_rate, help="of decoder and heads")
    parser.add_argument("--stages", type=parse_stages, default=Recipe.stages, help="EPOCHS@SIDE,... (10@160,3@192)")
    parser.add_argument("--runs", type=Path, default=Path("var/runs"), help="where checkpoints and logs go")
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="processor threads")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    vocabulary = load_vocabulary()
    grammar = Grammar(vocabulary)
    try:
        garments = [g for g in read_garments(arguments.data, vocabulary, "train") if not held_out(g)]
        validation = read_garments(arguments.data, vocabulary, "val")
        model = RecognitionModel(vocabulary, arguments.encoder, arguments.start)
        if arguments.init:
            load_weights(model, arguments.runs / arguments.init / "best.safetensors", vocabulary)
    except (BadDataFolder, MissingWeights, WeightsMismatch) as wrong:
        fail(str(wrong))
    batches = []
    for split in (garments, validation):
        crops, readable = squared_crops(split, KEPT_SIDE, arguments.runs / "crops")
        batches.append(Batches(crops, [split[i] for i in readable], grammar))
    model = model.to(memory_format=torch.channels_last)
    recipe = Recipe(arguments.stages, rate=arguments.rate, new_rate=arguments.new_rate, seed=arguments.seed)
    best = train(model, batches[0], batches[1], recipe, arguments.runs / arguments.name)
    print(f"best validation loss {best:.3f}; export it with python -m recognition.export --run {arguments.name}")


if __name__ == "__main__":
    main()
