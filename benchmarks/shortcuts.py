"""What ResCeption's shortcuts do (SK Planet 2017, figure 5a): python -m benchmarks.shortcuts DIR --out FOLDER.

Three networks learn to read the same garments from a random start, without a teacher: `plain` is Inception-v3 at some
width, `shortcuts` the same with a projection shortcut round every stream, `widened` plain again with as many more channels
as cost the same multiplications as the shortcuts. For every seed plain and shortcuts begin with the same common weights,
and all three see the same batches. Each has the learning rate that is best for it in a short pilot with another seed.
Trainings run side by side and share nothing but the garments. Stopped, the command goes on where it was. Printed are the
epochs to a validation loss that is given beforehand, the area under the validation curve and its best value, with the mean
paired difference to plain and a 95 % interval over seeds (t).
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import nn

from attributes.labels import BadDataFolder
from attributes.report import Figure, fail, positive, progress, write_figures
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
GOAL = 14.5  # nats of validation loss; set after the first pilots (16.4 in 3 epochs), before any training of 15


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


def epochs_to(goal: float, losses: Sequence[float]) -> float:
    """After how many epochs a curve falls to `goal`, straight between two epochs; one more than it has where it does not."""
    for i, loss in enumerate(losses):
        if loss <= goal:
            return i + (losses[i - 1] - goal) / (losses[i - 1] - loss) if i else 1.0
    return len(losses) + 1.0


def summary(curves: Sequence[Sequence[float]], plain: Sequence[Sequence[float]], goal: float) -> dict[str, Figure]:
    """What an arm reached on every seed, and its paired differences to plain."""
    figures: dict[str, Figure] = {}
    for name, measure in (
        ("best", min),
        ("area", lambda c: float(np.mean(c))),
        ("epochs_to_goal", partial(epochs_to, goal)),
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


class Trial(NamedTuple):
    """One training of the study."""

    arm: str
    seed: int
    rate: float
    epochs: int


class Bench:
    """Trains trials, each in its folder below `out`: one that is done is not trained again, one that was stopped goes on."""

    def __init__(self, batches: Sequence[Batches], recipe: Recipe, width: float, out: Path) -> None:
        self._training, self._validation = batches
        self._recipe, self._width, self._out = recipe, width, out
        self.wide = equal_width(width, recipe.side(0))

    def train(self, trial: Trial) -> list[float]:
        """The validation losses of a trial, epoch by epoch; what the training prints stands in its folder."""
        folder = self._out / f"{trial.arm}-{trial.seed}-{trial.rate:g}-of-{trial.epochs}"
        folder.mkdir(parents=True, exist_ok=True)
        ours = replace(
            self._recipe, stages=((trial.epochs, self._recipe.side(0)),), rate=trial.rate, new_rate=trial.rate,
            seed=trial.seed, patience=trial.epochs,
        )  # fmt: skip
        model = make_arm(trial.arm, load_vocabulary(), self._width, self.wide, trial.seed)
        with (folder / "printed.log").open("a") as log, redirect_stdout(log):
            train(model.to(memory_format=torch.channels_last), self._training, self._validation, ours, folder)
        return curve(folder)


Trials = Sequence[Trial]
Trainer = Callable[[Trials], list[list[float]]]  # the curve of every trial, in order


@contextmanager
def side_by_side(jobs: int, threads: int, prepare: Callable[[], Bench]) -> Iterator[Trainer]:
    """Trains `jobs` trials at a time, each in a process of its own with its own bench and `threads` threads."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (threads, prepare)) as pool:
        yield lambda trials: list(progress(pool.map(_train, trials), len(trials), "trainings"))


_bench: list[Bench] = []  # of this process


def _begin(threads: int, prepare: Callable[[], Bench]) -> None:
    torch.set_num_threads(threads)
    _bench.append(prepare())


def _train(trial: Trial) -> list[float]:
    return _bench[0].train(trial)


def prepared(data: Path, out: Path, recipe: Recipe, width: float) -> Bench:
    """A bench for the garments of a data folder. Raises BadDataFolder."""
    return Bench(load_splits(data, load_vocabulary(), out), recipe, width, out)


def study(trained: Trainer, epochs: int, seeds: Sequence[int]) -> dict[str, Figure]:
    """Find every arm's rate, train all arms on all seeds, and sum up."""
    pilots = [Trial(arm, PILOT_SEED, rate, PILOT_EPOCHS) for arm in ARMS for rate in RATES]
    reached = dict(zip(pilots, map(min, trained(pilots)), strict=True))
    rates = {arm: min((p for p in pilots if p.arm == arm), key=reached.__getitem__).rate for arm in ARMS}
    trials = [Trial(arm, seed, rates[arm], epochs) for seed in seeds for arm in ARMS]  # stopped, whole seeds are done
    of_trial = dict(zip(trials, trained(trials), strict=True))
    curves = {arm: [c for trial, c in of_trial.items() if trial.arm == arm] for arm in ARMS}
    return {
        "epochs": epochs, "seeds": list(seeds), "goal": GOAL,
        "pilots": {f"{p.arm} at {p.rate:g}": loss for p, loss in reached.items()},
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
    parser.add_argument("--jobs", type=positive, default=2, help="trainings side by side")
    parser.add_argument("--threads", type=positive, default=1, help="of each training")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    keep_freed_memory()
    recipe = Recipe(((arguments.epochs, arguments.side),))
    prepare = partial(prepared, arguments.data, arguments.out, recipe, arguments.width)
    try:
        widened_to = prepare().wide  # and the crops are there before several want them
    except BadDataFolder as wrong:
        fail(str(wrong))
    with side_by_side(arguments.jobs, arguments.threads, prepare) as trained:
        figures = study(trained, arguments.epochs, arguments.seeds)
    write_figures(
        {"side": arguments.side, "width": arguments.width, "widened_to": widened_to, **figures}, arguments.json
    )


if __name__ == "__main__":
    main()
