"""Features of real garments, to measure search on: python -m benchmarks.real_features DIR --out FILE.npz.

Shapes in this module:
    N  garments      W  64-bit words of a code      F  float features
"""

import argparse
from pathlib import Path

import numpy as np

from attributes.labels import BadDataFolder, read_garments
from attributes.report import fail
from attributes.vocabulary import load_vocabulary
from recognition.images import BadImage
from recognition.recognizer import SERVED, Recognizer
from recognition.runtime import Runtime
from search.features import Extractor
from search.gallery import extract


def main() -> None:
    """Extract and save: codes (N, W), floats (N, F) about their thresholds, ids, splits, groups, categories."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data folder")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        recognizer = Recognizer.load(SERVED, load_vocabulary(), Runtime.named("auto", 1))
        garments = read_garments(arguments.data, recognizer.vocabulary)
        items = extract(garments, recognizer, Extractor(recognizer))
    except (BadDataFolder, BadImage) as wrong:
        fail(str(wrong))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        arguments.out,
        codes=np.stack([i.features.code for i in items]),
        floats=np.stack([i.activations for i in items]).astype(np.float16),
        ids=np.array([g.id for g in garments]), splits=np.array([g.split for g in garments]),
        groups=np.array([g.group for g in garments]), categories=np.array([g.labels.category for g in garments]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
