"""What a card tells of a model."""

import argparse
from pathlib import Path

from attributes.labels import read_garments
from attributes.vocabulary import Vocabulary
from recognition.evaluate import judge
from recognition.recognizer import Recognizer
from recognition.telling import curve, metrics, weak_spots
from recognition.train import command, parse_stages


def test_a_card_tells_figures_by_group_and_kind_with_their_intervals(drawn: Path, vocabulary: Vocabulary) -> None:
    judged = judge(Recognizer.load(), read_garments(drawn, vocabulary, "val")[:12])
    told = metrics(judged)
    assert told["items"] == 12
    right = sum(one.free.category == one.garment.labels.category for one in judged)
    assert abs(told["category_accuracy"] - right / 12) < 1e-9
    for name in ("groups.colour.f1", "guided.precision", "kinds.alone.category_accuracy", "ece"):
        assert 0 <= told[name] <= 1
    assert told["intervals.precision.low"] <= told["precision"] <= told["intervals.precision.high"]


def test_weak_spots_are_the_worst_groups_first_and_what_is_mixed_up(drawn: Path, vocabulary: Vocabulary) -> None:
    judged = judge(Recognizer.load(), read_garments(drawn, vocabulary, "val")[:12])
    said = weak_spots(judged)
    weak = [float(part.split("F1 ")[1].rstrip(")")) for part in said.split("; ")[0].split(", ") if "F1" in part]
    assert weak == sorted(weak)
    assert all(f1 <= 0.6 for f1 in weak)
    wrong = [one for one in judged if one.free.category != one.garment.labels.category]
    assert (" read as " in said) == bool(wrong)


def test_the_curve_of_a_run_is_told_where_it_kept_a_log(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"epoch": 1, "train": 3.0, "val": 4.0, "minutes": 0.5}\n')
    assert curve(tmp_path) == {"curve_train": (3.0,), "curve_val": (4.0,), "curve_minutes": (0.5,)}
    assert curve(tmp_path / "none")["curve_val"] == ()


def test_the_command_in_a_card_names_what_was_asked_for_and_no_folder_of_the_machine() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--new-rate", type=float, default=1e-3)
    parser.add_argument("--stages", type=parse_stages, default=((1, 64),))
    parser.add_argument("--teachers", nargs="*", default=[])
    given = parser.parse_args(["--data", "/somewhere/garments", "--stages", "2@96,1@128", "--teachers", "a", "b"])
    assert command(parser, given) == "python -m recognition.train --data garments --stages 2@96,1@128 --teachers a b"
