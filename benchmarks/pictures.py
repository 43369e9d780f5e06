"""Draw what benchmarks.search or benchmarks.shortcuts measured: python -m benchmarks.pictures FILE.json ... --out FOLDER."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

INK, PAPER = "#1c1c1c", "#ffffff"
KINDS = ("none", "category", "category+2", "3 attributes", "not", "price", "price 0.1 %")
NAMES = {
    "ours": "Haberdash", "faiss_flat": "FAISS flat",
    "faiss_per_category": "FAISS per category",
    "faiss_ivf": "FAISS IVF (approximate)",
    "faiss_hnsw": "FAISS HNSW (approximate)", "usearch_exact": "usearch exact", "numpy": "numpy", "duckdb": "DuckDB",
}  # fmt: skip
ARMS = {"plain": "#5f6b7a", "shortcuts": "#b3261e", "widened": "#2f6f4f"}
Figures = Mapping[str, Any]  # one JSON of benchmarks.search or benchmarks.shortcuts


def latency_by_selectivity(figures: Figures, out: Path) -> None:
    """Median latency of every engine over the share of products that match."""
    axes = _axes(
        f"{figures['items']:,} products, {figures['bits']} bits, one thread, 50 nearest",
        "share of products that match",
        "ms (median)",
    )
    for engine, label in NAMES.items():
        if engine in figures:
            points = sorted(
                (figures["ours"][kind]["matching"] / figures["items"], figures[engine][kind]["p50_ms"])
                for kind in KINDS if kind in figures[engine]
            )  # fmt: skip
            shares, times = zip(*points, strict=True)
            axes.plot(shares, times, marker="o", linewidth=3 if engine == "ours" else 1.2, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(out / "latency.svg")


def growth(every: Sequence[Figures], out: Path) -> None:
    """Median latency, time to open and memory over the number of products."""
    by_size = sorted(every, key=lambda f: f["items"])
    sizes = [f["items"] for f in by_size]
    axes = _axes("growth: 512 bits, 10M products 1,024", "products", "ms (median)")
    for kind in ("none", "category", "category+2", "price"):
        axes.plot(sizes, [f["ours"][kind]["p50_ms"] for f in by_size], marker="o", label=kind)
    axes.plot(sizes, [f["read_once_ms"] for f in by_size], linestyle=":", color=INK, label="one read of all codes")
    axes.plot(
        sizes, [f["growth"]["warm"]["open_ms"] for f in by_size], linestyle="--", label="open, every byte checked"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=8)
    _save(out / "growth.svg")


def learning(figures: Figures, out: Path) -> None:
    """Validation loss over epochs of plain Inception, the same with shortcuts, and plain widened; a thin line a seed."""
    axes = _axes(
        f"Inception-v3 at {figures['width']:g} of its width, {figures['side']} pixels, {len(figures['seeds'])} seeds",
        "epoch",
        "validation loss, nats",
    )
    epochs = range(1, figures["epochs"] + 1)
    for arm, colour in ARMS.items():
        curves = figures["arms"][arm]["curves"]
        axes.plot(epochs, [sum(at) / len(at) for at in zip(*curves, strict=True)], color=colour, linewidth=2, label=arm)
        for curve in curves:
            axes.plot(epochs, curve, color=colour, linewidth=0.6, alpha=0.6)
    axes.axhline(figures["goal"], linestyle=":", color=INK, linewidth=1)
    axes.legend(frameon=False, fontsize=8)
    _save(out / "shortcuts.svg")


def _axes(title: str, x: str, y: str) -> Any:
    _, axes = plt.subplots(figsize=(8, 4.2), facecolor=PAPER)
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    return axes


def _save(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    plt.tight_layout()
    plt.savefig(file, metadata={"Date": None})
    plt.close()


def main() -> None:
    """Draw all pictures; of searches, the first file is the one whose latencies are drawn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    given = parser.parse_args()
    every = [json.loads(file.read_text()) for file in given.files]
    for study in (f for f in every if "arms" in f):
        learning(study, given.out)
    if searches := [f for f in every if "arms" not in f]:
        latency_by_selectivity(searches[0], given.out)
        growth(searches, given.out)


if __name__ == "__main__":
    main()
