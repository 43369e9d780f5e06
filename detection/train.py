"""Train the detector: python -m detection.train --data DIR --name NAME. Resumes where a stopped run left off."""

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision.models.detection import FasterRCNN

from attributes.labels import BadDataFolder, read_boxes
from attributes.report import fail, positive
from attributes.vocabulary import load_vocabulary
from detection.dataset import Scene, SceneChanges, load_scenes, training_batches
from detection.faster_rcnn import SIDE, make_faster_rcnn
from recognition.cards import MissingWeights
from recognition.checkpoints import load_checkpoint, log_line, save_checkpoint, save_weights
from recognition.optimization import bf16, keep_freed_memory, make_optimizer, optimize, rate_at


@dataclass(frozen=True)
class DetectionRecipe:
    """What may be turned about a training run."""

    epochs: int = 12
    batch: int = 8
    rate: float = 2.5e-4  # of the encoder at its peak
    new_rate: float = 7e-4  # of pyramid and heads, which start from nothing
    weight_decay: float = 0.03
    warm_up: float = 0.06  # share of the steps
    clip: float = 5.0
    side: int = SIDE
    seed: int = 7


def train_epoch(
    detector: FasterRCNN, optimizer: torch.optim.AdamW, scenes: list[Scene], recipe: DetectionRecipe, epoch: int
) -> float:
    """One pass over the photos; returns the mean loss. Raises Diverged."""
    detector.train()
    device = next(detector.parameters()).device
    n_batches = max(1, len(scenes) // recipe.batch)
    total, started = 0.0, time.monotonic()
    batches = training_batches(scenes, recipe.batch, recipe.side, SceneChanges(), recipe.seed + epoch)
    for i, (photos, targets) in enumerate(batches):
        with bf16():
            losses = detector(
                [photo.to(device) for photo in photos], [{k: v.to(device) for k, v in t.items()} for t in targets]
            )
        loss = torch.stack([part.float() for part in losses.values()]).sum()
        share = rate_at(epoch * n_batches + i, recipe.epochs * n_batches, recipe.warm_up)
        optimize(detector, optimizer, loss, share, recipe.clip)
        total += float(loss.detach())
        if i % 20 == 0:
            ms = (time.monotonic() - started) / (i + 1) / recipe.batch * 1000
            parts = ", ".join(f"{k.removeprefix('loss_')} {float(v.detach()):.3f}" for k, v in losses.items())
            print(f"  {i}/{n_batches} loss {total / (i + 1):.3f} ({parts}), {ms:.0f} ms a photo", flush=True)
    return total / n_batches


def train(detector: FasterRCNN, scenes: list[Scene], recipe: DetectionRecipe, run: Path) -> None:
    """Train for the recipe's epochs; the weights are in run/best.safetensors, a checkpoint after every epoch."""
    encoder = detector.backbone.encoder
    optimizer = make_optimizer(detector, encoder, recipe.rate, recipe.new_rate, recipe.weight_decay)
    state = load_checkpoint(run / "checkpoint.pt")
    epoch = 0
    if state is not None:
        detector.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        epoch = int(state["epoch"])  # type: ignore[call-overload]
        print(f"resumed after epoch {epoch}", flush=True)
    while epoch < recipe.epochs:
        started = time.monotonic()
        loss = train_epoch(detector, optimizer, scenes, recipe, epoch)
        epoch += 1
        minutes = (time.monotonic() - started) / 60
        print(f"epoch {epoch}/{recipe.epochs}: loss {loss:.3f}, {minutes:.1f} min", flush=True)
        log_line(run / "log.jsonl", {"epoch": epoch, "loss": loss, "minutes": minutes})
        save_weights(detector, run / "best.safetensors")
        save_checkpoint(
            run / "checkpoint.pt",
            {"model": detector.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch},
        )


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder with boxes.csv and photos/")
    parser.add_argument("--name", required=True, help="name of the run, kept under --runs")
    parser.add_argument("--start", type=Path, help="ImageNet weights that the encoder starts from (safetensors)")
    parser.add_argument("--epochs", type=positive, default=DetectionRecipe.epochs)
    parser.add_argument("--runs", type=Path, default=Path("var/runs"), help="where checkpoints and logs go")
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="processor threads")
    parser.add_argument("--seed", type=int, default=DetectionRecipe.seed)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    vocabulary = load_vocabulary()
    try:
        photos = read_boxes(arguments.data, vocabulary, "train")
        detector = make_faster_rcnn(vocabulary, arguments.start)
    except (BadDataFolder, MissingWeights) as wrong:
        fail(str(wrong))
    recipe = DetectionRecipe(epochs=arguments.epochs, seed=arguments.seed)
    scenes = load_scenes(photos, vocabulary, int(recipe.side * 1.2))
    detector = detector.to("cuda" if torch.cuda.is_available() else "cpu", memory_format=torch.channels_last)
    train(detector, scenes, recipe, arguments.runs / arguments.name)
    print(f"export it with python -m detection.export --run {arguments.name}")


if __name__ == "__main__":
    main()
