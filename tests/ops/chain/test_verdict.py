"""The verdict on planted sides: no evidence if both arms are trained on the same kind of images, and a decision if the
real images have wrong labels. No generator is trained: held-out real images stand in for generated ones.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ops.chain.baseline_classifiers import build_baseline_classifiers
from ops.chain.expanded_classifiers import build_expanded_classifiers
from ops.chain.parts import answers as chain_answers
from ops.chain.parts import classifiers as chain_classifiers
from ops.chain.parts.reference import evaluate_reference, read_reference, train_reference
from ops.chain.teachers import build_teachers
from ops.chain.verdict import build_verdict
from ops.classifiers import racing, runs
from ops.classifiers.networks.classifier import Classifier, normalise
from ops.classifiers.racing import LeftOut
from ops.classifiers.reference.features import FEATURES
from ops.classifiers.reference.model import load_reference
from ops.classifiers.stored import load_classifier
from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.index import locate_rows, write_index
from ops.datasets.pixels import PixelDataset, build_rows, read_split, write_shards
from ops.datasets.shards import find_shards
from ops.datasets.units import link_groups, list_keys, write_groups
from ops.files.manifests import MANIFEST, describe_output
from ops.files.storage import read_json, write_json
from ops.recipe.loading import parse_recipe
from ops.recipe.pretrained import ReferenceSettings
from ops.stages.materialization import Runtime, StageRun, _narrow
from ops.workspaces.workspace import Workspace
from tests.networks import small_resnet
from tests.workspaces import NAMES, digit_splits, write_params

SECTIONS = ("data", "plan", "tuning", "scorer", "generator", "sampler", "filter", "mix", "report", "publish")
BUILDERS = {
    "baseline_classifiers": build_baseline_classifiers,
    "teachers": build_teachers,
    "expanded_classifiers": build_expanded_classifiers,
}
NETWORK = {"kind": "small_resnet", "standardise": "none", "width": 8, "stem": None, "stride": 2}
CLASSIFIER = {"steps": 30, "batch_size": 8, "network": NETWORK, "seeds": 5, "precision": "fp32"}
FLIP = {"augmentation": "flip_crop"}


class Bench:
    """A workspace with the inputs of the classifiers' stages, and the stages run on them."""

    def __init__(
        self, root: Path, *, some_labels_wrong: bool = False, train: int = 24, small_class: int | None = None
    ) -> None:
        self.root, self.workspace, self.lines = root, Workspace(root), []  # type: Path, Workspace, list[str]
        self.data = root / "data" / "tiny"
        self.data.mkdir(parents=True)
        write_params(root)
        splits = digit_splits()
        chosen = np.arange(train)
        if small_class is not None:  # keep few images of class 1
            ones = chosen[splits["train"].labels[chosen] == 1]
            chosen = np.setdiff1d(chosen, ones[small_class:])
        images, labels = splits["train"].images[chosen], splits["train"].labels[chosen]
        is_wrong = some_labels_wrong & (np.arange(len(labels)) % 3 == 0)
        self._write("real_images", "train", images, np.where(is_wrong, 1 - labels, labels))
        for split in ("validation", "test"):
            self._write("real_images", split, splits[split].images, splits[split].labels)
        drawn = splits["train"].images[train:], splits["train"].labels[train:]
        self._write("generated_images", "generated", *drawn)
        write_json(self.data / "generated_images" / "rounds.json", {"rounds": []})
        columns = ["image_id", "shard", "row", "label"]
        parts = [
            ("real_images", "train", False, 0.1 if some_labels_wrong else 1.0),
            ("generated_images", "generated", True, 1.0),
        ]
        write_index(
            self.data / "mixed_dataset" / "index.parquet",
            pl.concat(
                locate_rows(find_shards(self.data / stage, split))
                .select(columns)
                .with_columns(is_generated=pl.lit(is_generated), weight=pl.lit(weight))
                for stage, split, is_generated, weight in parts
            ),
        )
        metrics = {"classes": len(NAMES), **{split: len(splits[split]) for split in ("validation", "test")}}
        identity = {"version": 1, "fingerprint": "f" * 64, "settings": {}, "inputs": {}}
        for stage in ("real_images", "generated_images", "mixed_dataset"):
            write_json(
                self.data / stage / MANIFEST, describe_output(self.data / stage, identity | {"stage": stage}, metrics)
            )

    def _write(self, stage: str, split: str, images: np.ndarray, labels: np.ndarray) -> None:
        ids = number_repeats(content_ids(images))
        rows = build_rows(
            labels, ids, split="train" if split == "generated" else split, is_generated=split == "generated"
        )
        folder = self.data / stage
        folder.mkdir(parents=True, exist_ok=True)
        write_shards(folder, PixelDataset(images, rows, NAMES), prefix=split)

    def run(
        self, stage: str, builder: Callable[[StageRun], dict[str, Any]], device: str = "cpu", **changes: Any
    ) -> dict[str, Any]:
        recipe = parse_recipe(
            {"source": "digits", "seed": 3, "on_new_images": "retrain", **{section: {} for section in SECTIONS}}
            | {"prior": None, "baselines": {"real": {}, "flipped": FLIP}, "expanded": {"grown": FLIP}, "verdict": {}}
            | {"classifier": CLASSIFIER}
            | changes,
            Path("tiny.yaml"),
        )
        inputs = {folder.name: folder for folder in self.data.iterdir() if folder.name != stage}
        scratch = self.root / "scratch" / stage
        out = self.data / stage
        out.mkdir(exist_ok=True)
        scratch.mkdir(parents=True, exist_ok=True)
        runtime = Runtime(workers=1, sink=self.lines.append, report_every=0, device=device)
        return builder(
            StageRun(self.workspace, "tiny", stage, _narrow(recipe, stage), inputs, out, scratch, "f" * 64, runtime)
        )

    def train(self, **changes: Any) -> Bench:
        for stage, builder in BUILDERS.items():
            self.run(stage, builder, **changes)
        return self

    def judge(self, **changes: Any) -> dict[str, Any]:
        self.run("verdict", build_verdict, **changes)
        return read_json(self.data / "verdict" / "verdict.json")

    @property
    def looks(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.workspace.evaluations.read_text().splitlines()]


@pytest.fixture(scope="module")
def _alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Bench(tmp_path_factory.mktemp("alike") / "root").train().root


def reopen(root: Path, target: Path) -> Bench:
    bench = Bench.__new__(Bench)
    bench.root = Path(shutil.copytree(root, target))
    bench.workspace, bench.data, bench.lines = Workspace(bench.root), bench.root / "data" / "tiny", []
    return bench


@pytest.fixture(scope="module")
def looked_twice(_alike: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, dict[str, Any]]:
    """The same after an undecided first look and a second one, and the verdict; to be read only."""
    bench = reopen(_alike, tmp_path_factory.mktemp("twice") / "root")
    return bench, bench.judge(**TWO_LOOKS)


@pytest.fixture
def alike(_alike: Path, tmp_path: Path) -> Bench:
    """Trained sides whose arms are about equally good."""
    return reopen(_alike, tmp_path / "root")


TWO_LOOKS = {"verdict": {"looks": 2}}


def test_teachers_and_placebos_are_trained_in_order_judged_by_their_kind_and_paired(tmp_path: Path) -> None:
    teacher = {"kind": "teacher", "of": "oversampled"}  # an alias of `real`, since both classes are equally large
    arms = {
        "baselines": {
            "real": {}, "oversampled": {"sampler": "class_balanced"},
            "a-taught-real": {"targets": {**teacher, "images": "real"}},
        },
        "expanded": {"taught": {"targets": teacher}, "sham": {"targets": teacher, "placebo": "mixed"}},
    }  # fmt: skip
    bench = Bench(tmp_path / "root").train(classifier=CLASSIFIER | {"steps": 4}, **arms)
    assert read_json(bench.data / "teachers" / "teachers.json") == {"arms": ["oversampled"]}
    networks = (bench.data / "teachers" / "oversampled.safetensors").read_bytes()
    assert networks == (bench.data / "baseline_classifiers" / "real.safetensors").read_bytes()
    found = bench.judge(classifier=CLASSIFIER | {"steps": 4}, **arms, **TWO_LOOKS)
    assert {row["arm"]: row["kind"] for row in found["arms"]} == {
        "real": "baseline", "a-taught-real": "baseline", "oversampled": "baseline", "taught": "expanded",
        "sham": "placebo",
    }  # fmt: skip
    assert found["challenger"] == "taught" and {c["against"] for c in found["contrasts"]} == {
        "real", "a-taught-real", "sham",
    }  # fmt: skip
    assert [(c["arm"], c["against"], c["role"]) for c in found["shares"]] == [
        ("taught", "a-taught-real", "share"), ("taught", "sham", "share"),
    ]  # fmt: skip
    assert all(gap["difference"]["low"] <= gap["difference"]["high"] for gap in found["shares"])


def test_a_race_leaves_in_an_arm_that_teaches_one_that_is_trained_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teacher and student are trained in two rounds, and here every arm is far behind that may be left out."""

    def leave_out(correct: Any, *given: Any, kept: Any, **named: Any) -> Any:
        return {arm: LeftOut(0.1, "real", 0.5, 0.1) for arm in correct if arm not in kept}

    monkeypatch.setattr(racing, "find_hopeless", leave_out)
    teacher = {"kind": "teacher", "of": "oversampled-flipped", "images": "real"}
    flipped = {"sampler": "class_balanced", **FLIP}  # an alias of `flipped`: both classes are equally large
    arms = {"real": {}, "flipped": FLIP, "oversampled-flipped": flipped, "weak": {"pairing": "mixup"}}
    bench = Bench(tmp_path / "root")
    bench.run(
        "baseline_classifiers", BUILDERS["baseline_classifiers"], baselines=arms | {"taught": {"targets": teacher}},
        classifier=CLASSIFIER | {"steps": 1, "seeds": 1, "race": 4.0},
    )  # fmt: skip
    found = read_json(bench.data / "baseline_classifiers" / "results.json")
    assert set(found["arms"]) == {"real", "flipped"} and set(found["left_out"]) == {"weak", "taught"}


def test_no_teacher_is_kept_where_no_arm_asks_for_one(alike: Bench) -> None:
    assert [path.name for path in (alike.data / "teachers").iterdir()] == ["teachers.json"]
    assert read_json(alike.data / "teachers" / "teachers.json") == {"arms": []}


def test_an_undecided_first_look_trains_as_many_seeds_again_by_the_same_rules(
    looked_twice: tuple[Bench, dict[str, Any]], tmp_path: Path
) -> None:
    alike, found = looked_twice
    assert (found["look"], found["looks"], found["seeds"]) == (2, 2, 10)
    assert [(entry["look"], entry["seeds"], entry["decision"]) for entry in found["earlier_looks"]] == [
        (1, 5, "no evidence")
    ]
    runs = pl.read_parquet(alike.data / "verdict" / "runs.parquet")
    seeds = runs.filter(pl.col("seed").is_not_null()).group_by("arm").agg(pl.col("seed").unique().sort())
    assert {arm: list(found) for arm, found in seeds.iter_rows()} == {
        arm: list(range(3000, 3010)) for arm in ("real", "flipped", "grown")
    }
    assert [(sorted(look["arms"]), look["seeds"]) for look in alike.looks] == [
        (["flipped", "grown", "real", "reference model"], list(range(3000, 3005))),
        (["flipped", "grown", "real"], list(range(3005, 3010))),
    ]
    assert any("second look: 15/15 trainings" in line for line in alike.lines)
    whole = reopen(alike.root, tmp_path / "whole")
    shutil.rmtree(whole.root / "scratch")
    twice = {"classifier": CLASSIFIER | {"seeds": 10}}
    whole.train(**twice)
    for stage, arms in (("baseline_classifiers", ("real", "flipped")), ("expanded_classifiers", ("grown",))):
        for arm in arms:
            later = load_file(alike.data / "verdict" / "later_seeds" / f"{arm}.safetensors")
            expected = load_file(whole.data / stage / f"{arm}.safetensors")
            assert later and all(torch.equal(value, expected[key]) for key, value in later.items())
    at_once = whole.judge(**twice)
    rows = {row["arm"]: row["score"]["estimate"] for row in at_once["arms"]}
    assert {row["arm"]: row["score"]["estimate"] for row in found["arms"]} == rows


def test_one_look_trains_nothing_more_and_opens_no_other_input(alike: Bench) -> None:
    for stage in ("generated_images", "mixed_dataset"):
        shutil.rmtree(alike.data / stage)
    found = alike.judge()
    assert (found["decision"], found["seeds"], found["earlier_looks"]) == ("no evidence", 5, [])
    assert not (alike.data / "verdict" / "later_seeds").exists()
    assert len(alike.looks) == 1


def test_a_learning_curve_trains_the_compared_arms_for_parts_of_their_steps_on_validation_alone(
    alike: Bench, tmp_path: Path
) -> None:
    asked = {"verdict": {"curve_seeds": 2}}
    found = alike.judge(**asked)
    curve, pair = found["curve"], (found["baseline"], found["challenger"])
    assert [(p["arm"], p["steps"]) for p in curve["points"]] == [(arm, n) for arm in pair for n in (7, 15, 30)]
    assert any("learning curve: 8/8 trainings" in line for line in alike.lines)
    assert f"learning curve: {curve['sentence']}" in alike.lines
    sides = {side: read_json(alike.data / side / "results.json")["arms"] for side in BUILDERS if side != "teachers"}
    trained = {arm: entry for arms in sides.values() for arm, entry in arms.items()}
    for point in curve["points"]:
        assert set(point["per_seed"]) == {"3000", "3001"}
        assert point["validation"] == pytest.approx(np.mean(list(point["per_seed"].values())))
        if point["steps"] == 30:
            stored = {seed: trained[point["arm"]]["per_seed"][seed] for seed in point["per_seed"]}
            assert point["per_seed"] == pytest.approx(stored)
    halved = {"classifier": CLASSIFIER | {"steps": 15, "seeds": 2}}
    other = reopen(alike.root, tmp_path / "halved")
    shutil.rmtree(other.root / "scratch")
    other.train(**halved)
    results = read_json(other.data / "expanded_classifiers" / "results.json")["arms"]["grown"]
    half = next(p for p in curve["points"] if (p["arm"], p["steps"]) == ("grown", 15))
    assert half["per_seed"] == pytest.approx(results["per_seed"])
    # Neither the curve's trainings nor its absence change anything else.
    before = {path.name: path.stat().st_mtime_ns for path in (alike.root / "scratch" / "verdict" / "runs").iterdir()}
    assert len(before) == 8
    assert alike.judge(**asked) == found and len(alike.looks) == 1
    assert before == {
        path.name: path.stat().st_mtime_ns for path in (alike.root / "scratch" / "verdict" / "runs").iterdir()
    }
    assert alike.judge() == {key: value for key, value in found.items() if key != "curve"}


def test_a_decided_first_look_trains_nothing_more(tmp_path: Path) -> None:
    longer = {"classifier": CLASSIFIER | {"steps": 40}}
    bench = Bench(tmp_path / "root", some_labels_wrong=True).train(**longer)
    found = bench.judge(**longer, **TWO_LOOKS)
    assert (found["decision"], found["look"], found["looks"]) == ("helps", 1, 2)
    assert not (bench.data / "verdict" / "later_seeds").exists()
    assert len(bench.looks) == 1


def test_a_kill_between_the_looks_resumes_and_looks_at_nothing_twice(
    alike: Bench, looked_twice: tuple[Bench, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_two(work: Callable[[Any], Any], tasks: list[Any], **options: Any) -> Any:
        for done, result in enumerate(map_processes(work, tasks, **options)):
            if done == 2:
                raise KeyboardInterrupt
            yield result

    _, whole = looked_twice
    map_processes = runs.map_processes
    monkeypatch.setattr(runs, "map_processes", train_two)
    with pytest.raises(KeyboardInterrupt):
        alike.judge(**TWO_LOOKS)
    scratch = alike.root / "scratch" / "verdict" / "runs"
    before = {path.name: path.stat().st_mtime_ns for path in scratch.iterdir()}
    assert len(before) == 3 and len(alike.looks) == 1
    monkeypatch.setattr(runs, "map_processes", map_processes)
    assert alike.judge(**TWO_LOOKS) == whole
    assert len(alike.looks) == 2
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in scratch.iterdir()}.items()


def test_a_kill_while_looking_evaluates_only_missing_networks_and_counts_the_look_again(
    alike: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(path: Path, seed: int) -> Any:
        if seed == 3003:
            raise KeyboardInterrupt
        return load(path, seed)

    load = chain_answers.load_classifier
    monkeypatch.setattr(chain_answers, "load_classifier", stop)
    with pytest.raises(KeyboardInterrupt):
        alike.judge()
    monkeypatch.setattr(chain_answers, "load_classifier", load)
    alike.judge()
    first, second = alike.looks
    assert (len(first["arms"]), first["seeds"][0]) == (4, 3000)
    assert "real" in second["arms"] and second["seeds"][0] == 3003
    assert "reference model" in first["arms"] and "reference model" not in second["arms"]


def test_networks_below_the_reference_model_decide_nothing_and_get_no_second_look(tmp_path: Path) -> None:
    barely = {"classifier": CLASSIFIER | {"steps": 1}}
    bench = Bench(tmp_path / "root").train(**barely)
    found = bench.judge(**barely, **TWO_LOOKS)
    row = found["reference"]
    assert (found["decision"], found["look"], row["shortfall"]) == ("no evidence", 1, "below_reference")
    assert found["sentence"].startswith(
        f"The classifiers have not learnt enough to judge by: {found['baseline']} reaches "
        f"{100 * row['baseline']['estimate']:.0f} %, {row['name']} {100 * row['score']['estimate']:.0f} %. "
        "So there is no evidence either way: grown is "
    )
    assert not (bench.data / "verdict" / "later_seeds").exists()
    entry = read_json(bench.data / "baseline_classifiers" / "results.json")["reference"]
    assert entry["name"] == row["name"] and entry["validation"] == row["validation"]
    runs = pl.read_parquet(bench.data / "verdict" / "runs.parquet").filter(pl.col("arm") == "reference model")
    assert runs["correct"].mean() == row["score"]["estimate"] == row["accuracy"]["estimate"]
    assert runs["seed"].null_count() == len(runs)
    stored = load_reference(bench.data / "baseline_classifiers" / "reference" / "model.safetensors")
    assert [str(line) for line in bench.lines if entry["name"] in line]
    test = digit_splits()["test"]
    assert (stored.answer(test.images) == test.labels).tolist() == runs["correct"].to_list()


def test_a_pretrained_network_may_give_the_reference_model(alike: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network knows the labels of all images, as if it were perfect; gradient histograms are not."""
    known = {image.tobytes(): label for part in digit_splits().values()
             for image, label in zip(part.images, part.labels, strict=True)}  # fmt: skip
    asked: list[str | None] = []

    def open_network(settings: ReferenceSettings | None, root: Path) -> Any:
        asked.append(None if settings is None else settings.model)
        return {"features of vit": lambda images: np.array([[known[i.tobytes()]] for i in images], np.float32)}

    monkeypatch.setattr("ops.chain.parts.reference.open_reference_network", open_network)
    entries: dict[str, Any] = {}

    def build(run: StageRun) -> dict[str, Any]:
        entries.update(train_reference(run, "accuracy"))
        return entries

    alike.run("baseline_classifiers", build, verdict={"reference": {"model": "vit"}})
    assert asked == ["vit"]
    assert entries["name"] == "logistic regression on features of vit" and entries["validation"] == 1
    assert set(entries["scores"]) == {"features of vit", *FEATURES}
    assert any("100.0% with features of vit" in line for line in alike.lines)
    test = digit_splits()["test"]
    evaluate_reference(alike.data / "baseline_classifiers", test, alike.root, open_network(None, alike.root))
    assert read_reference(entries, alike.root).correct.all()


def softmax_of(bench: Bench, arm: str, images: np.ndarray) -> np.ndarray:
    """Probabilities [S, n, K] of an arm's stored networks, computed apart from the chain."""
    stage = "expanded_classifiers" if arm == "grown" else "baseline_classifiers"
    tensors = load_file(bench.data / stage / f"{arm}.safetensors")
    each = []
    for seed in range(3000, 3005):
        state = {key.split("/", 1)[1]: value for key, value in tensors.items() if key.startswith(f"{seed}/")}
        network = small_resnet(1, 2, 8)
        network.load_state_dict(state)
        with torch.inference_mode():
            logits = network.eval()(normalise(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))).double().numpy()
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        each.append(powers / powers.sum(axis=1, keepdims=True))
    return np.stack(each)


def test_the_ensemble_averages_probabilities_and_mirror_images_are_averaged_with_the_image(alike: Bench) -> None:
    found = alike.judge()
    test = digit_splits()["test"]
    rows = {(row["way"], row["arm"]): row for row in found["same_compute"]}
    baseline = found["baseline"]
    assert next(iter(rows)) == ("ensemble", baseline)
    right = softmax_of(alike, baseline, test.images).mean(axis=0).argmax(axis=1) == test.labels
    row = rows["ensemble", baseline]
    assert row["score"]["estimate"] == pytest.approx(right.mean(), abs=1e-12)
    least = 1 / len(right)  # of one image, where all are right
    error = max(least, right.std(ddof=1) / np.sqrt(len(right)))
    assert row["score"]["standard_error"] == pytest.approx(error, rel=1e-9)
    assert row["passes"] == 5
    by_arm = {arm["arm"]: arm["score"]["estimate"] for arm in found["arms"]}
    assert row["over_baseline"]["estimate"] == pytest.approx(right.mean() - by_arm[baseline], abs=1e-12)
    mirrored = [arm for arm in (baseline, "grown") if arm != "real"]
    assert [key for key in rows if key[0] == "mirrored"] == [("mirrored", arm) for arm in mirrored]
    for arm in mirrored:
        both = softmax_of(alike, arm, test.images) + softmax_of(alike, arm, test.images[:, :, ::-1])
        expected = (both.argmax(axis=2) == test.labels).mean()
        assert rows["mirrored", arm]["score"]["estimate"] == pytest.approx(expected, abs=1e-12)
        assert rows["mirrored", arm]["passes"] == 2


def test_a_verdict_counts_the_groups_of_a_source(alike: Bench) -> None:
    """Test images of a group are one draw, in the difference, in the scores and in what the same compute buys."""
    plain, real = alike.judge(), alike.data / "real_images"
    keys = list_keys(read_split(real, "test").rows)
    write_groups(real, link_groups(keys, [str(place // 4) for place in range(len(keys))]))
    grouped = alike.judge()
    assert (grouped["test_groups"], "test_groups" in plain) == (-(-len(keys) // 4), False)
    assert f"test images of {grouped['test_groups']} groups" in grouped["sentence"]
    for where in (lambda found: found["contrasts"], lambda found: found["arms"], lambda found: found["same_compute"]):
        key = "difference" if "difference" in where(plain)[0] else "score"
        pairs = [(one[key], other[key]) for one, other in zip(where(grouped), where(plain), strict=True)]
        assert all(one["estimate"] == other["estimate"] for one, other in pairs)
        assert any(one["standard_error"] != other["standard_error"] for one, other in pairs)
    assert grouped["reference"]["gap"]["standard_error"] != plain["reference"]["gap"]["standard_error"]


def test_an_arm_that_never_saw_mirrored_images_is_not_evaluated_on_them(alike: Bench) -> None:
    changes = {"baselines": {"real": {}, "flipped": {}}, "expanded": {"grown": {}}}
    found = alike.judge(**changes)
    assert [row["way"] for row in found["same_compute"]] == ["ensemble"]


def test_networks_are_rebuilt_from_their_description_and_evaluated_in_their_training_format(
    alike: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def record(model: Classifier, images: Tensor, *, precision: str) -> Tensor:
        asked.append(precision)
        return predict(model, images, precision=precision)

    predict = chain_answers.predict
    monkeypatch.setattr(chain_answers, "predict", record)
    stored = load_classifier(alike.data / "baseline_classifiers" / "real.safetensors", 3000)
    assert stored.description == {"network": NETWORK, "shape": [1, 16, 16], "classes": 2, "head": "linear"}
    alike.judge()
    assert set(asked) == {"fp32"} and len(asked) >= 15


def test_uneven_classes_are_judged_by_balanced_accuracy_by_default(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "root", small_class=3)
    small = {"classifier": CLASSIFIER | {"steps": 4, "seeds": 1}}
    bench.train(**small)
    found = bench.judge(**small)
    assert found["metric"] == "balanced_accuracy"
    assert read_json(bench.data / "baseline_classifiers" / "results.json")["metric"] == "balanced_accuracy"
    for row in found["arms"]:
        assert row["score"] == row["balanced_accuracy"]
    shutil.rmtree(bench.root / "scratch")
    told = small | {"verdict": {"metric": "worst_class"}}
    found = bench.train(**told).judge(**told)
    assert found["metric"] == "worst_class"
    assert all(row["score"]["estimate"] <= row["balanced_accuracy"]["estimate"] for row in found["arms"])
    assert "accuracy of the worst class" in found["sentence"]


def test_even_classes_are_judged_by_accuracy_and_few_seeds_decide_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "root", some_labels_wrong=True)
    small = {"classifier": CLASSIFIER | {"seeds": 2}}
    found = bench.train(**small).judge(**small)
    assert (found["metric"], found["decision"], found["seeds"]) == ("accuracy", "no evidence", 2)
    assert "2 seeds cannot decide, at least 5 do" in found["sentence"]


def test_another_network_is_stored_with_its_description_and_evaluated(alike: Bench) -> None:
    shutil.rmtree(alike.root / "scratch")
    other = {"classifier": CLASSIFIER | {"network": {"kind": "mlp", "widths": [12]}, "seeds": 1, "steps": 2}}
    alike.train(**other).judge(**other)
    stored = load_classifier(alike.data / "expanded_classifiers" / "grown.safetensors", 3000)
    assert stored.description["network"] == {"kind": "mlp", "standardise": "none", "widths": [12]}


def test_an_arms_own_real_weight_and_chosen_steps_reach_its_training_and_the_sentence(
    alike: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`heavy` is trained with another N than `grown`, from the same index; each arm may choose other steps."""
    weights = {}

    def record(data: Any, arm: Any, settings: Any, **named: Any) -> Any:
        weights[arm.real_weight] = sorted(set(data.weights))
        return train(data, arm, settings, **named)

    train = runs.train
    monkeypatch.setattr(runs, "train", record)
    shutil.rmtree(alike.root / "scratch")
    changes = {
        "classifier": CLASSIFIER | {"seeds": 1, "steps": 1, "grid": {"steps": [1, 40]}},
        "expanded": {"grown": FLIP, "heavy": FLIP | {"real_weight": 6.5}},
    }
    alike.train(**changes)
    assert weights == {None: [1.0], 6.5: [1.0, 6.5]}
    for stage in ("baseline_classifiers", "expanded_classifiers"):
        path = alike.data / stage / "results.json"
        results = read_json(path)
        for name, entry in results["arms"].items():
            assert [tried["setting"]["steps"] for tried in entry["tried"]] == [1, 40]
            entry["setting"]["steps"] = 1 if name == "real" else 40
        write_json(path, results)
    found = alike.judge(**changes)
    assert found["budget"] == {"steps": 40, "batch_size": 8, "fewest_steps": 1}
    assert "after 1 to 40 steps, chosen for each arm on validation, of batch 8" in found["sentence"]


def test_both_sides_are_trained_on_the_device_of_the_run(alike: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Reached(Exception):
        pass

    def stop(contest: Any, **named: Any) -> None:
        raise Reached(contest.device)

    monkeypatch.setattr(chain_classifiers, "hold_tournament", stop)
    for stage, builder in BUILDERS.items():
        if stage == "teachers":
            continue
        with pytest.raises(Reached, match="cuda:7"):
            alike.run(stage, builder, device="cuda:7")


def test_a_generator_that_is_not_used_leaves_the_baselines_judged_once(alike: Bench) -> None:
    write_json(alike.data / "generated_images" / "rounds.json", {"rounds": [], "unused": "its images lie far off"})
    path = alike.data / "mixed_dataset" / "index.parquet"
    write_index(path, pl.read_parquet(path).filter(~pl.col("is_generated")))
    for shard in find_shards(alike.data / "generated_images", "generated"):
        shard.unlink()
    shutil.rmtree(alike.data / "expanded_classifiers")
    assert alike.run("expanded_classifiers", build_expanded_classifiers)["trainings"] == 0
    assert [path.name for path in (alike.data / "expanded_classifiers").iterdir()] == ["results.json"]
    found = alike.judge(verdict={"looks": 2, "curve_seeds": 1})
    assert {point["arm"] for point in found["curve"]["points"]} == {found["baseline"]}
    assert found["curve"]["equal_compute"] is None
    assert (found["decision"], found["generator_used"], found["challenger"]) == ("no evidence", False, None)
    assert found["sentence"].startswith("The generator was not used: its images lie far off. So there is no evidence")
    assert {row["arm"] for row in found["arms"]} == {"real", "flipped"} and found["earlier_looks"] == []
    assert {row["over_challenger"] for row in found["same_compute"]} == {None}
    assert [sorted(look["arms"]) for look in alike.looks] == [["flipped", "real", "reference model"]]
    write_json(alike.data / "generated_images" / "rounds.json", {"rounds": []})  # a rehearsal that accepted none
    found = alike.judge()
    assert found["sentence"].startswith("The generator was not used: not one of the drawn images was accepted. So")
