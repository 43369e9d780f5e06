"""A small share of benchmarks.faults, which kills, damages and starves a real index."""

import json
import subprocess
import sys
from pathlib import Path


def test_kills_damages_cut_power_and_full_disks_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.faults",
        "--kills",
        "25",
        "--flips",
        "60",
        "--batches",
        "30",
        "--json",
        file,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(file.read_text())
    assert said["kills"]["survived"] == 25
    assert said["flips"]["detected"] == 60
    assert said["power_cuts"]["states_opened"] > 100
    assert said["full_disk"]["refused"] > 0
