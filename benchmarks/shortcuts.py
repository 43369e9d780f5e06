"""What ResCeption's shortcuts do (SK Planet 2017, figure 5a): python -m benchmarks.shortcuts DIR --out FOLDER.

Three networks learn to read the same garments from a random start, without a teacher: `plain` is Inception-v3 at some
width, `shortcuts` the same with a projection shortcut round every stream, `widened` plain again with as many more channels
as cost the same multiplications as the shortcuts. For every seed plain and shortcuts begin with the same common weights,
and all three see the same batches. Each has the learning rate that is best for it in a short pilot with another seed.
Stopped, the command goes on where it was. Printed are the epochs to a validation loss that is given beforehand, the area under
the validation curve and its best value, with the mean paired difference to plain and a 95 % interval over seeds (t).
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import nn

from attributes.labels import BadDataFolder
from attributes.report import Figure, fail, positive, write_figures
from attributes.vocabulary import Vocabulary, load_vocabulary
from recognition.backbones import ResCeptionEncoder
from recognition.dataset import Batches
from recognition.model import RecognitionModel
from recognition.optimization import keep_freed_memory
from recognition.resception import ResCeption
from recognition.train import Recipe, load_splits, train

ARMS = ("plain", "shortcuts", "widened")
RATES = (5e-4, 1e-3, 2e-3)
PILOT_SEED, PILOT_EPOCHS = 1000, 3
GOAL = 16.0  # nats of validation loss; set before the first run, about what a plain network reaches half way


def multiplications(network: nn.Module, side: int) -> int:
    """Multiply-adds of all convolutions on one photo of `side` pixels."""
    total = 0

    def count(module: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        nonlocal total
        total += out[0].numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return total


def equal_width(width: float, side: int) -> float:
    """The width at which a plain network costs what one with shortcuts costs at `width`."""
    wanted = multiplications(ResCeption(width=width), side)
    low, high = width, 2 * width
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if multiplications(ResCeption(width=middle, shortcuts=False), side) < wanted
            else (low, middle)
        )
    return high


def make_arm(arm: str, vocabulary: Vocabulary, width: float, wide: float, seed: int) -> RecognitionModel:
    """The model of an arm; plain and shortcuts share what they have in common."""
    torch.manual_seed(seed)
    plain = RecognitionModel(vocabulary, ResCeptionEncoder(width, shortcuts=False))
    if arm == "plain":
        return plain
    if arm == "widened":
        torch.manual_seed(seed)
        return RecognitionModel(vocabulary, ResCeptionEncoder(wide, shortcuts=False))
    model = RecognitionModel(vocabulary, ResCeptionEncoder(width))
    common = dict(zip(_common(model.encoder), _common(plain.encoder), strict=True))
    with torch.no_grad():
        for ours, theirs in common.items():
            ours.copy_(theirs)
    rest = {k: v for k, v in plain.state_dict().items() if not k.startswith("encoder.")}
    model.load_state_dict(rest, strict=False)
    return model


def _common(encoder: nn.Module) -> list[nn.Parameter]:
    """The parameters that both have, in the order of the network: all but those of shortcuts."""
    return [p for name, p in encoder.named_parameters() if ".shortcut." not in name]


def curve(run: Path) -> list[float]:
    """The validation losses of a run, in order."""
    return [float(json.loads(line)["val"]) for line in (run / "log.jsonl").read_text().splitlines()]


def summary(curves: Sequence[Sequence[float]], plain: Sequence[Sequence[float]], goal: float) -> dict[str, Figure]:
    """What an arm reached on every seed, and its paired differences to plain."""
    figures: dict[str, Figure] = {}
    for name, measure in (
        ("best", min),
        ("area", lambda c: float(np.mean(c))),
        ("epochs_to_goal", lambda c: next((i + 1 for i, loss in enumerate(c) if loss <= goal), len(c) + 1)),
    ):
        values, reference = (np.array([float(measure(c)) for c in many]) for many in (curves, plain))
        difference = values - reference
        half = (
            stats.t.ppf(0.975, len(values) - 1) * difference.std(ddof=1) / np.sqrt(len(values))
            if len(values) > 1
            else 0.0
        )
        figures[name] = {
            "mean": float(values.mean()), "difference": float(difference.mean()),
            "interval": [float(difference.mean() - half), float(difference.mean() + half)],
        }  # fmt: skip
    return figures


def study(
    batches: Sequence[Batches], recipe: Recipe, width: float, seeds: Sequence[int], out: Path
) -> dict[str, Figure]:
    """Train all arms on all seeds, and sum up."""
    vocabulary, side = load_vocabulary(), recipe.side(0)
    wide = equal_width(width, side)

    def run(arm: str, seed: int, rate: float, epochs: int) -> Path:
        folder = out / f"{arm}-{seed}-{rate:g}"
        ours = replace(recipe, stages=((epochs, side),), rate=rate, new_rate=rate, seed=seed, patience=epochs)
        model = make_arm(arm, vocabulary, width, wide, seed).to(memory_format=torch.channels_last)
        train(model, batches[0], batches[1], ours, folder)
        return folder

    rates = {
        arm: min(RATES, key=lambda rate, arm=arm: min(curve(run(arm, PILOT_SEED, rate, PILOT_EPOCHS))))  # type: ignore[misc]
        for arm in ARMS
    }
    curves = {arm: [curve(run(arm, seed, rates[arm], recipe.epochs)) for seed in seeds] for arm in ARMS}
    return {
        "side": side, "width": width, "widened_to": wide, "epochs": recipe.epochs, "seeds": list(seeds), "goal": GOAL,
        "arms": {
            arm: {"rate": rates[arm], **summary(curves[arm], curves["plain"], GOAL), "curves": curves[arm]} for arm in ARMS
        },
    }  # fmt: skip


def main() -> None:
    """Read the command line and run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("var/shortcuts"))
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--side", type=positive, default=96)
    parser.add_argument("--epochs", type=positive, default=25)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    try:
        batches = load_splits(arguments.data, load_vocabulary(), arguments.out)
    except BadDataFolder as wrong:
        fail(str(wrong))
    recipe = Recipe(((arguments.epochs, arguments.side),))
    write_figures(study(batches, recipe, arguments.width, arguments.seeds, arguments.out), arguments.json)


if __name__ == "__main__":
    main()
