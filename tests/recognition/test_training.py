"""Training, resuming, exporting and judging a tiny model on drawn garments."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attributes.labels import read_garments
from attributes.sequence import Grammar
from attributes.vocabulary import Vocabulary
from recognition.backbones import Tiny
from recognition.cards import Card, WeightsMismatch, read_card, write_card
from recognition.checkpoints import load_weights
from recognition.choosing import better, calibrated, choose_biases, free_f1, thresholds
from recognition.dataset import Augmentation, Batches, squared_crops
from recognition.decoder import State
from recognition.decoding import Memory
from recognition.distillation import Teachers
from recognition.evaluate import figures, judge
from recognition.export import estimate_norms, export, export_in_8_bits
from recognition.failures import confident_mistakes, confusions, write_report
from recognition.images import normalize, open_photo
from recognition.learner import Learner
from recognition.model import Mix, RecognitionModel
from recognition.optimization import Diverged, make_optimizer, optimize, rate_at
from recognition.recognizer import Recognizer
from recognition.runtime import Runtime
from recognition.titles import TitleWords
from recognition.train import Recipe, train

SIDE = 64
MILD = Augmentation(turn_degrees=3, scale=(0.95, 1.1), shift=0.03, stretch=0.03, light=0.1, erase=0)
FILES = ("tiny.toml", "tiny.safetensors", "tiny.encoder.onnx", "tiny.decoder.onnx")
RECIPE = Recipe(stages=((18, SIDE),), batch=16, rate=3e-3, new_rate=3e-3, changes=MILD)


@pytest.fixture(scope="module")
def batches(drawn: Path, vocabulary: Vocabulary) -> tuple[Batches, Batches]:
    grammar = Grammar(vocabulary)
    both = []
    for split in ("train", "val"):
        garments = read_garments(drawn, vocabulary, split)
        crops, readable = squared_crops(garments, 72)
        assert len(readable) == len(garments)
        words = TitleWords([g.title for g in garments], at_least=4) if split == "train" else None
        both.append(Batches(crops, garments, grammar, words))
    return both[0], both[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, vocabulary: Vocabulary, batches: tuple[Batches, Batches]) -> Path:
    run = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    train(RecognitionModel(vocabulary, "tiny"), batches[0], batches[1], RECIPE, run)
    write_card(Card(
        run / "best.toml", {"vocabulary": vocabulary.fingerprint, "encoder": "tiny"},
        {"side": SIDE, "n_hidden": 384, "beam": 2, "heads_weight": 0.5}, {},
    ))  # fmt: skip
    return run


@pytest.fixture(scope="module")
def recognizer(trained: Path, drawn: Path, vocabulary: Vocabulary) -> Recognizer:
    card = replace(read_card(trained / "best.toml"), file=trained / "tiny.toml")
    model = RecognitionModel(vocabulary, "tiny")
    load_weights(model, trained / "best.safetensors", vocabulary)
    export(model, card)
    garments = read_garments(drawn, vocabulary, "train")[::6]
    plain = Recognizer.load("tiny", vocabulary, folder=trained)
    write_card(replace(plain.card, lists={**calibrated(plain, garments), **thresholds(plain, garments)}))
    return Recognizer.load("tiny", vocabulary, Runtime("onnxruntime", "float32"), trained)


def test_it_learns_drawn_garments(recognizer: Recognizer, drawn: Path, vocabulary: Vocabulary) -> None:
    judged = judge(recognizer, read_garments(drawn, vocabulary, "val"))
    read = figures(judged, "tiny")
    assert read["category_accuracy"] > 0.5  # one in 24 by chance
    assert read["category_top3"] >= read["category_accuracy"]
    assert read["precision"] > 0.5
    assert read["guided"]["f1"] > 0.5
    assert read["guided"]["nll"] < read["nll"]
    low, high = read["intervals"]["category_accuracy"]
    assert low <= read["category_accuracy"] <= high


def test_the_exported_model_answers_as_torch_does(
    recognizer: Recognizer, trained: Path, vocabulary: Vocabulary, batches: tuple[Batches, Batches]
) -> None:
    model = RecognitionModel(vocabulary, "tiny").eval()
    load_weights(model, trained / "best.safetensors", vocabulary)
    photos, places, _ = next(batches[1].evaluation(8, SIDE))
    with torch.no_grad():
        seen = model.see(photos, places)
    for i in range(8):
        pixels = ((photos[i].permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8)
        look = recognizer.look_at_square(pixels, places[i].numpy())
        for ours, theirs in ((look.pooled, seen.pooled), (look.middle, seen.middle), (look.heads, seen.heads)):
            np.testing.assert_allclose(ours, theirs[i].numpy(), rtol=0.02, atol=4e-2)
        zero = torch.zeros(1, 384)
        state, memory = State(zero, zero), Memory(zero.numpy(), zero.numpy())
        with torch.no_grad():
            photo = model.decoder.look(seen.read[i : i + 1])
        for token in (0, 5, 40):
            with torch.no_grad():
                true, state = model.decoder.step(torch.tensor([token]), photo, state)
            logits, memory = recognizer.speller.step(np.array([token]), look.read[None], memory)
            np.testing.assert_allclose(logits, true.numpy(), atol=4e-2)


def run_training(folder: Path, *arguments: str, until: str = "", processes: int = 1) -> str:
    """Run the command as a user does; with `until` kill it -9 once it has printed that. Returns what it printed."""
    alone = [sys.executable, "-m", "recognition.train"]
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
                "-m", "recognition.train"]  # fmt: skip
    command = [*(alone if processes == 1 else together), "--encoder", "tiny", "--stages", "3@48", "--threads", "1",
               "--runs", str(folder), "--name", "run", *arguments]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        said = ""
        for line in running.stdout:
            said += line
            if until and until in line:
                running.kill()
    assert until or running.returncode == 0, said
    return said


def curve(folder: Path) -> list[float]:
    """The validation losses of a run, in order."""
    return [json.loads(line)["val"] for line in (folder / "run" / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run_training(folder, "--data", str(drawn), "--mixup", "0.5")
    return folder


def test_a_killed_training_goes_on_with_the_same_curve(tmp_path: Path, drawn: Path, whole_run: Path) -> None:
    run_training(tmp_path, "--data", str(drawn), "--mixup", "0.5", until="epoch 2/3")
    assert "resumed after epoch" in run_training(tmp_path, "--data", str(drawn), "--mixup", "0.5")
    np.testing.assert_allclose(sorted(set(curve(tmp_path)), reverse=True), curve(whole_run), rtol=1e-6)


def test_two_processes_learn_as_one_does(tmp_path: Path, drawn: Path) -> None:
    """Without mixing, each process's half of a batch gives gradients whose mean is the whole batch's."""
    run_training(tmp_path / "one", "--data", str(drawn))
    run_training(tmp_path / "two", "--data", str(drawn), processes=2)
    assert len(curve(tmp_path / "two")) == 3
    # the dropout of the two differs, and each normalizes its half of the batch
    np.testing.assert_allclose(curve(tmp_path / "one"), curve(tmp_path / "two"), rtol=0.1)


def test_better_weights_are_not_replaced_by_worse_ones(
    recognizer: Recognizer, trained: Path, drawn: Path, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    torch.manual_seed(9)
    untrained = RecognitionModel(vocabulary, "tiny")
    card = replace(recognizer.card, file=tmp_path / "tiny.toml")
    export(untrained, card)
    garments = read_garments(drawn, vocabulary, "val")[::8]
    assert "with what serves" in better(trained / "tiny.toml", card.file, garments)
    assert better(card.file, trained / "tiny.toml", garments) == ""
    (tmp_path / "tiny.encoder.onnx").write_bytes(b"damaged")
    assert better(card.file, trained / "tiny.toml", garments) == ""


def test_biases_only_ever_raise_f1(recognizer: Recognizer, drawn: Path, vocabulary: Vocabulary) -> None:
    garments = read_garments(drawn, vocabulary, "val")[::8]
    before, chosen = replace(recognizer.card, lists={}), choose_biases(recognizer.card, garments)
    plain, tuned = (free_f1(judge(Recognizer(vocabulary, card), garments)) for card in (before, chosen))
    assert tuned >= plain - 1e-9
    biases = dict(zip(vocabulary.labels, chosen.lists["label_biases"], strict=True))
    for group in vocabulary.groups:
        assert len({biases[group, value] for value in vocabulary.values(group)}) == 1
    assert all(biases["category", value] == 0 for value in vocabulary.category_names)


def test_batch_norms_are_estimated_over_crops_as_they_are_served(drawn: Path, vocabulary: Vocabulary) -> None:
    garments = read_garments(drawn, vocabulary, "train")[:128]  # two whole batches, so that their mean is that of all
    torch.manual_seed(3)
    model = RecognitionModel(vocabulary, "tiny")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    estimate_norms(model, garments, SIDE)
    assert isinstance(model.encoder, Tiny)
    crops, _ = squared_crops(garments, SIDE)
    with torch.no_grad():
        maps = model.encoder.first[0](torch.from_numpy(normalize(crops)))
    norm = model.encoder.first[1]
    torch.testing.assert_close(norm.running_mean, maps.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    assert not model.training
    assert norm.momentum == 0.1
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) or ".running_" in name or "num_batches" in name


def test_eight_bits_read_nearly_as_thirty_two(
    recognizer: Recognizer, trained: Path, drawn: Path, vocabulary: Vocabulary
) -> None:
    model = RecognitionModel(vocabulary, "tiny")
    load_weights(model, trained / "best.safetensors", vocabulary)
    garments = read_garments(drawn, vocabulary, "train")[::8]
    export_in_8_bits(model, recognizer.card, garments)
    small = Recognizer(vocabulary, recognizer.card, Runtime("onnxruntime", "int8"))
    for garment in read_garments(drawn, vocabulary, "val")[::16]:
        photo = open_photo(garment.photo)
        ours, theirs = (r.look(photo, garment.box).heads for r in (small, recognizer))
        assert np.corrcoef(ours, theirs)[0, 1] > 0.98


def test_the_failure_report_shows_what_is_wrong(
    recognizer: Recognizer, drawn: Path, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    judged = judge(recognizer, read_garments(drawn, vocabulary, "val")[::2])
    write_report(judged, tmp_path)
    mistakes = confident_mistakes(judged)
    assert [m.confidence for m in mistakes] == sorted([m.confidence for m in mistakes], reverse=True)
    for mistake in mistakes:
        assert mistake.read not in mistake.true
        assert (mistake.group, mistake.read) not in mistake.judged.true
    assert len((tmp_path / "mistakes.csv").read_text().splitlines()) == len(mistakes) + 1
    assert sum(n for _, n in confusions(judged)) == sum(j.free.category != j.garment.labels.category for j in judged)
    with Image.open(tmp_path / "mistakes.png") as sheet:
        assert sheet.width == 1800


def test_a_student_learns_what_its_teacher_thinks(
    trained: Path, vocabulary: Vocabulary, batches: tuple[Batches, Batches]
) -> None:
    torch.manual_seed(5)
    teacher, model = RecognitionModel(vocabulary, "tiny"), RecognitionModel(vocabulary, "tiny")
    load_weights(teacher, trained / "best.safetensors", vocabulary)
    teachers = Teachers([teacher])
    student = Learner(model, n_taught=teachers.n_channels)
    batch, mix = batches[0].training(range(16), SIDE, MILD, 1), Mix(torch.arange(16).flip(0), 0.8)
    taught = teachers.teach(batch, mix)
    torch.testing.assert_close(taught.tokens.sum(2), torch.ones_like(taught.tokens.sum(2)))
    optimizer = torch.optim.Adam(student.parameters(), 3e-3)
    curve = []
    for _ in range(25):
        losses = student(batch, mix, taught)
        optimizer.zero_grad()
        (losses.sequence + losses.heads + losses.besides).mean().backward()
        optimizer.step()
        curve.append((losses.sequence.mean().item(), losses.besides.mean().item()))
    assert curve[-1][0] < curve[0][0] / 2
    assert curve[-1][1] < curve[0][1] / 2  # so do the activations
    assert all(p.grad is None for p in teachers.parameters())


def test_words_of_titles_are_learned_besides_and_leave_no_trace_in_the_weights(
    vocabulary: Vocabulary, batches: tuple[Batches, Batches]
) -> None:
    torch.manual_seed(5)
    words = batches[0].words
    assert len(words) > 3
    model = RecognitionModel(vocabulary, "tiny")
    named, unnamed = Learner(model, len(words)).eval(), Learner(model).eval()
    batch = batches[0].training(range(16), SIDE, MILD, 1)
    assert batch.targets.words.sum() > 0
    torch.testing.assert_close(named(batch).sequence, unnamed(batch).sequence)
    assert not unnamed(batch).besides.any()
    optimizer = torch.optim.Adam(named.parameters(), 3e-3)
    curve = []
    for _ in range(25):
        losses = named(batch, Mix(torch.arange(16).flip(0), 0.9))
        optimizer.zero_grad()
        losses.besides.mean().backward()
        optimizer.step()
        curve.append(float(losses.besides.mean()))
    assert curve[-1] < curve[0] / 2
    assert set(model.state_dict()) == set(RecognitionModel(vocabulary, "tiny").state_dict())


def test_a_loss_that_is_not_finite_stops_the_run(vocabulary: Vocabulary) -> None:
    model = RecognitionModel(vocabulary, "tiny")
    optimizer = make_optimizer(model, model.encoder, 1e-3, 1e-3, 0.01)
    with pytest.raises(Diverged, match="not finite"):
        optimize(model, optimizer, torch.tensor(float("nan"), requires_grad=True), 1.0, 5.0)


def test_the_batch_whose_loss_is_not_finite_is_named(
    vocabulary: Vocabulary, batches: tuple[Batches, Batches], tmp_path: Path
) -> None:
    model = RecognitionModel(vocabulary, "tiny")
    torch.nn.init.constant_(model.heads.out.bias, float("inf"))
    with pytest.raises(Diverged, match=rf"epoch 1, batch 1: .*{batches[0].ids[0][:1]}"):
        train(model, batches[0], batches[1], RECIPE, tmp_path)


def test_truncated_training_weights_are_refused(trained: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    (tmp_path / "best.toml").write_bytes((trained / "best.toml").read_bytes())
    (tmp_path / "best.safetensors").write_bytes((trained / "best.safetensors").read_bytes()[:-1000])
    with pytest.raises(WeightsMismatch, match="damaged"):
        load_weights(RecognitionModel(vocabulary, "tiny"), tmp_path / "best.safetensors", vocabulary)
    with pytest.raises(WeightsMismatch, match="does not fit"):
        load_weights(RecognitionModel(vocabulary, "mobilenet_v2"), trained / "best.safetensors", vocabulary)


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    rates = [rate_at(step, 100, 0.1) for step in range(100)]
    assert rates[9] == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


def test_weights_of_another_vocabulary_are_refused(
    trained: Path, recognizer: Recognizer, vocabulary: Vocabulary
) -> None:
    other = Vocabulary(dict(reversed(vocabulary.groups.items())), vocabulary.categories)
    with pytest.raises(WeightsMismatch, match="trained with vocabulary"):
        Recognizer.load("tiny", other, folder=trained)


def test_missing_and_damaged_weights_are_named(trained: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="no weights called 'nobody'"):
        Recognizer.load("nobody", folder=trained)
    files = {name: (trained / name).read_bytes() for name in FILES}
    for name in FILES[1:]:
        for left in (None, files[name][:5000], files[name][:-9] + b"x" + files[name][-8:]):
            for other, content in files.items():
                (tmp_path / other).write_bytes(content)
            (tmp_path / name).unlink() if left is None else (tmp_path / name).write_bytes(left)
            with pytest.raises(WeightsMismatch, match=rf"lacks {name}" if left is None else rf"{name} is damaged"):
                Recognizer.load("tiny", folder=tmp_path)


def test_models_of_other_weights_are_refused(
    trained: Path, recognizer: Recognizer, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    """As a crash between two renames would leave them."""
    export(RecognitionModel(vocabulary, "tiny"), replace(recognizer.card, file=tmp_path / "tiny.toml"))
    Recognizer.load("tiny", folder=tmp_path)
    (tmp_path / "tiny.toml").write_bytes((trained / "tiny.toml").read_bytes())
    with pytest.raises(WeightsMismatch, match="of other weights"):
        Recognizer.load("tiny", folder=tmp_path)
    (tmp_path / "tiny.safetensors").write_bytes((trained / "tiny.safetensors").read_bytes())
    with pytest.raises(WeightsMismatch, match=r"tiny.encoder.onnx is damaged or of other weights"):
        Recognizer.load("tiny", folder=tmp_path)


def test_large_numbers_are_stored_once(recognizer: Recognizer, trained: Path) -> None:
    sizes = {name: (trained / name).stat().st_size for name in FILES}
    assert sizes["tiny.encoder.onnx"] + sizes["tiny.decoder.onnx"] < 0.25 * sizes["tiny.safetensors"]


def test_a_mistake_on_the_command_line_is_one_line_and_status_2(tmp_path: Path) -> None:
    for module in ("attributes.evaluate", "recognition.evaluate", "detection.evaluate", "search.evaluate"):
        ended = subprocess.run(
            [sys.executable, "-m", module, "--data", str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2, module
        assert ended.stderr.startswith("error: ")
        assert len(ended.stderr.splitlines()) == 1
