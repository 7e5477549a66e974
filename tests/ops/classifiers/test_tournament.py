"""The tournament: aliases by hand, the chosen setting against a grid with an absurd one, resume file by file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_torch

from ops.classifiers import runs
from ops.classifiers.answering import predict
from ops.classifiers.data import TrainingSet
from ops.classifiers.examples import Examples
from ops.classifiers.ingredients import Loss, Sampler
from ops.classifiers.losses import LOSSES
from ops.classifiers.losses.plain import CrossEntropy
from ops.classifiers.networks.classifier import Classifier, build_classifier
from ops.classifiers.runs import TRYING_OFFSET, Contest, Result, Run
from ops.classifiers.samplers import SAMPLERS
from ops.classifiers.samplers.uniform import Uniform
from ops.classifiers.tournament import (
    Tournament,
    choose_setting,
    count_runs,
    find_aliases,
    find_common_aliases,
    hold_tournament,
    train_seeds,
)
from ops.classifiers.training import train
from ops.machine.progress import Progress
from ops.recipe import arms
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.grid import GridSettings, Setting
from ops.settings.kinds import Kind

ARMS = {"real": Arm(), "mixed": Arm(pairing="mixup")}
SETTINGS = ClassifierSettings(
    steps=25, batch_size=16, network=SmallResNet(width=8), precision="fp32", seeds=3,
    grid=GridSettings(learning_rate=(1e-9, 0.05), weight_decay=(5e-4,)),
)  # fmt: skip
ONE_RATE = GridSettings(learning_rate=(0.05,), weight_decay=(5e-4,))
BRIEF = SETTINGS.model_copy(update={"steps": 5, "grid": ONE_RATE})  # where it does not matter what is learnt


def make_toys(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 60, (count, 1, 12, 12))
    for image, label in zip(images, labels, strict=True):
        image[0, 4 * label : 4 * label + 4] += 150
    return images.astype(np.uint8), labels


def enter(scratch: Path, **changes: Any) -> Contest:
    images, labels = make_toys(45, 0)
    training = (Examples(images, labels, np.ones(len(labels))),)
    contest = Contest(ARMS, training, 7, make_toys(30, 1), SETTINGS, "accuracy", 3, scratch)
    return replace(contest, **changes)


def hold(scratch: Path, *, settings: ClassifierSettings = SETTINGS, workers: int = 1,
         lines: list[str] | None = None) -> Tournament:  # fmt: skip
    sink = (lambda line: None) if lines is None else lines.append
    contest = enter(scratch, settings=settings)
    progress = Progress(sink, "toys", count_runs(contest), "trainings", interval=0)
    return hold_tournament(contest, workers=workers, progress=progress)


def weigh(labels: np.ndarray, weights: np.ndarray) -> Examples:
    return Examples(np.zeros((len(labels), 1, 2, 2), np.uint8), labels, weights)


def aliases_of(given: dict[str, Arm], examples: Examples, **tried: Any) -> dict[str, str]:
    return find_aliases(given, examples, GridSettings.model_validate(tried))


def at(learning_rate: float, weight_decay: float) -> Setting:
    return Setting((("learning_rate", learning_rate), ("weight_decay", weight_decay)))


def read_all(scratch: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in scratch.iterdir()}


OVERSAMPLED, WEIGHTED = Arm(sampler="class_balanced"), Arm(loss="class_weighted")


def test_arms_that_differ_only_in_balancing_are_aliases_when_the_classes_are_even() -> None:
    given = {
        "real": Arm(), "oversampled": OVERSAMPLED, "weighted": WEIGHTED, "augmented": Arm(augmentation="flip_crop"),
        "augmented_oversampled": Arm(augmentation="flip_crop", sampler="class_balanced"),
        "mixup": Arm(pairing="mixup"), "mixup_02": Arm(pairing={"kind": "mixup", "alpha": 0.2}),
    }  # fmt: skip
    labels = np.array([0, 1, 2] * 4)
    assert aliases_of(given, weigh(labels, np.ones(12))) == {
        "oversampled": "real", "weighted": "real", "augmented_oversampled": "augmented",
    }  # fmt: skip
    assert aliases_of(given, weigh(labels, np.full(12, 10.0))) != {}


@pytest.mark.parametrize("balancing", [{"sampler": "class_balanced"}, {"loss": "class_weighted"}])
def test_what_pseudo_labels_add_may_be_uneven_so_balancing_is_no_alias(balancing: dict[str, Any]) -> None:
    given = {kind: Arm.model_validate({"unlabelled": kind}) for kind in ("fixmatch", "pseudo_labels")}
    given |= {f"{kind} balanced": Arm.model_validate({"unlabelled": kind, **balancing}) for kind in tuple(given)}
    even = weigh(np.array([0, 1, 2] * 4), np.ones(12))
    assert aliases_of(given, even) == {"fixmatch balanced": "fixmatch"}


def test_arms_that_say_the_same_in_other_keys_are_aliases() -> None:
    views = {"kind": "views", "preset": "adainf"}
    given = {
        "gentle": {"strength": 0.5},
        "spelt out": {
            "augmentation": {"kind": "randaugment", "strength": 5.0, "shift": 1 / 16},
            "pairing": {"kind": "mixup", "alpha": 0.5},
        },
        "simclr": {"trainer": "simclr", "strength": 0.5},
        "adainf": {"trainer": "simclr", "augmentation": views},
        "gentler": {"strength": 0.4},
        "unmixed": {"strength": 0.5, "pairing": "none"},
    }
    arms = {name: Arm.model_validate(keys) for name, keys in given.items()}
    uneven = weigh(np.array([0, 0, 1]), np.ones(3))
    assert aliases_of(arms, uneven) == {"spelt out": "gentle", "adainf": "simclr"}
    assert aliases_of(arms, uneven, **{"pairing.alpha": [0.5, 0.4]}) == {"spelt out": "gentle", "adainf": "simclr"}


def test_uneven_classes_have_no_aliases() -> None:
    given = {"real": Arm(), "oversampled": OVERSAMPLED, "weighted": WEIGHTED}
    assert aliases_of(given, weigh(np.array([0, 0, 1]), np.ones(3))) == {}
    assert aliases_of(given, weigh(np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 1.0, 5.0]))) == {}


def test_weights_that_even_the_classes_out_make_oversampling_an_alias() -> None:
    labels, weights = np.array([0, 0, 1]), np.array([1.0, 1.0, 2.0])
    assert aliases_of({"real": Arm(), "oversampled": OVERSAMPLED}, weigh(labels, weights)) == {"oversampled": "real"}


BALANCING = {
    "weighted": WEIGHTED, "oversampled": OVERSAMPLED, "root": Arm(sampler="square_root"),
    "effective": Arm(loss="effective_number"), "effective_drawn": Arm(sampler="effective_number"),
    "adjusted": Arm(loss="logit_adjusted"), "late": Arm(sampler={"kind": "class_balanced", "start": 0.8}),
    "root_adjusted": Arm(sampler="square_root", loss={"kind": "logit_adjusted", "tau": 0.5}),
}  # fmt: skip
OTHERS = {"ldam": Arm(loss="ldam"), "focal": Arm(loss="focal")}


def test_all_that_balances_is_idle_where_classes_are_even_and_nothing_where_they_are_not() -> None:
    given = {"real": Arm(), **BALANCING, **OTHERS}
    assert aliases_of(given, weigh(np.array([0, 1, 2] * 4), np.ones(12))) == dict.fromkeys(BALANCING, "real")
    assert aliases_of(given, weigh(np.array([0, 0, 1]), np.ones(3))) == {}


def test_a_number_of_a_kind_that_is_idle_is_not_tried() -> None:
    given = {"real": Arm(), "adjusted": BALANCING["adjusted"], "late": BALANCING["late"]}
    tried = {"loss.tau": [0.5, 1.0], "sampler.start": [0.6, 0.8]}
    even, uneven = (weigh(np.array(labels), np.ones(4)) for labels in ([0, 0, 1, 1], [0, 0, 0, 1]))
    assert aliases_of(given, even, **tried) == {"adjusted": "real", "late": "real"}
    assert aliases_of(given, uneven, **tried) == {}
    without = {"real": Arm(), "adjusted": Arm(loss={"kind": "logit_adjusted", "tau": 0.0})}
    assert aliases_of(without, uneven) == {"adjusted": "real"}
    assert aliases_of(without, uneven, **{"loss.tau": [0.0, 1.0]}) == {}


def test_adjusting_classes_that_the_sampler_has_balanced_is_an_alias() -> None:
    """Unless it balances them late: before that the adjustment has an effect."""
    late = {"kind": "class_balanced", "start": 0.5}
    given = {
        "oversampled": OVERSAMPLED, "late": Arm(sampler=late), "adjusted": Arm(loss="logit_adjusted"),
        "both": Arm(sampler="class_balanced", loss="logit_adjusted"),
        "late_both": Arm(sampler=late, loss="logit_adjusted"),
        "twice": Arm(sampler="class_balanced", loss="class_weighted"),
    }  # fmt: skip
    assert aliases_of(given, weigh(np.array([0, 0, 1]), np.ones(3))) == {"both": "oversampled"}


def test_a_loss_or_sampler_that_does_not_declare_it_is_never_an_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    """As LDAM, which changes margins and not only weights: even classes do not make it plain."""

    class Silent(Kind):
        kind: Literal["silent"] = "silent"

    class SilentLoss(CrossEntropy):
        equals_plain = Loss.equals_plain

    class SilentSampler(Uniform):
        equals_uniform = Sampler.equals_uniform

    monkeypatch.setitem(arms.LOSSES, "silent", Silent)
    monkeypatch.setitem(arms.SAMPLERS, "silent", Silent)
    monkeypatch.setitem(LOSSES, "silent", SilentLoss)
    monkeypatch.setitem(SAMPLERS, "silent", SilentSampler)
    given = {"real": Arm(), "ldam": Arm(loss="silent"), "late": Arm(sampler="silent"), "weighted": WEIGHTED}
    assert aliases_of(given, weigh(np.array([0, 1, 2] * 4), np.ones(12))) == {"weighted": "real"}


def test_an_arms_own_real_weight_decides_whether_its_classes_are_even() -> None:
    """Class 0 has two real images, class 1 one and two generated: even where a real one weighs 2."""
    examples = replace(
        weigh(np.array([0, 0, 1, 1, 1]), np.array([9.0, 9, 9, 1, 1])),
        is_generated=np.array([False, False, False, True, True]),
    )
    own = {"expanded": Arm(real_weight=2.0), "oversampled": Arm(real_weight=2.0, sampler="class_balanced")}
    assert aliases_of(own, examples) == {"oversampled": "expanded"}
    assert aliases_of({"expanded": Arm(), "oversampled": OVERSAMPLED}, examples) == {}
    assert aliases_of(own, examples, real_weight=[2, 5]) == {}, "at 5 oversampling does something"
    assert examples.weigh(own["expanded"]).tolist() == [2, 2, 2, 1, 1]
    assert examples.weigh(Arm()) is examples.weights


@pytest.mark.parametrize("special", [{"finish": 0.2}, {"consistency": "ema"}])
def test_balancing_is_not_idle_where_only_real_and_generated_images_together_are_even(special: dict[str, Any]) -> None:
    """The last steps, or all labels, are those of two real images of class 0 and one of class 1."""
    examples = replace(
        weigh(np.array([0, 0, 0, 1, 1, 1]), np.ones(6)),
        is_generated=np.array([False, False, True, False, True, True]),
    )
    ways: dict[str, dict[str, Any]] = {
        "oversampled": {"sampler": "class_balanced"}, "adjusted": {"loss": "logit_adjusted"},
    }  # fmt: skip
    given = {"expanded": Arm(), **{name: Arm.model_validate(keys) for name, keys in ways.items()}}
    assert aliases_of(given, examples) == dict.fromkeys(ways, "expanded")
    own = {"expanded": Arm.model_validate(special)}
    own |= {name: Arm.model_validate({**special, **keys}) for name, keys in ways.items()}
    assert aliases_of(own, examples) == {}


@pytest.mark.parametrize("images", ["real", "generated"])
def test_a_loss_of_some_images_is_not_idle_where_all_together_are_even(images: str) -> None:
    """Teachers label the others, and the loss sees two images of one class and one of the other."""
    examples = replace(
        weigh(np.array([0, 0, 0, 1, 1, 1]), np.ones(6)),
        is_generated=np.array([False, False, True, False, True, True]),
    )
    taught = {"targets": {"kind": "teacher", "of": "x", "images": images}}
    losses = ("plain", "class_weighted", "logit_adjusted", "ldam")
    given = {loss: Arm.model_validate({**taught, "loss": loss}) for loss in losses}
    assert aliases_of(given, examples) == {}


def test_the_earlier_of_two_equally_good_settings_wins() -> None:
    runs = [Run("real", at(rate, 0.0), 0) for rate in (0.1, 0.2, 0.3)]
    results = [
        Result(run, accuracy, (), "", (), {}, Path(run.file_name))
        for run, accuracy in zip(runs, (0.5, 0.9, 0.9), strict=True)
    ]
    assert choose_setting(results) == runs[1].setting


def test_the_setting_that_is_best_on_validation_is_chosen_and_gets_all_seeds(tmp_path: Path) -> None:
    lines: list[str] = []
    held = hold(tmp_path, lines=lines)
    assert list(held.chosen) == list(held.tried) == list(held.final) == list(ARMS)
    for name in ARMS:
        assert held.chosen[name] == at(0.05, 5e-4)
        assert [(result.run.setting, result.run.seed) for result in held.tried[name]] == [
            (at(1e-9, 5e-4), 7), (at(0.05, 5e-4), 7),
        ]  # fmt: skip
        assert [(result.run.setting, result.run.seed) for result in held.final[name]] == [
            (at(0.05, 5e-4), seed) for seed in (7, 8, 9)
        ]
        absurd, good = held.tried[name]
        assert held.final[name][0] == good
        assert {result.run.arm for result in (absurd, *held.final[name])} == {name}
        assert good.validation > 0.9 > absurd.validation
        assert all(0 < len(result.losses) <= 20 for result in held.final[name])
        assert good.losses[-1] < good.losses[0]
    assert len(list(tmp_path.iterdir())) == count_runs(enter(tmp_path)) == 8
    assert "8/8 trainings" in lines[-1]


def test_an_arm_tries_the_numbers_that_it_has_and_is_trained_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """steps for every arm, alpha for a pairing that has one, real_weight for arms with generated images."""
    seen = []

    def record(data: TrainingSet, arm: Arm, settings: ClassifierSettings, **named: Any) -> Classifier:
        seen.append((settings.steps, getattr(arm.pairing, "alpha", None), data.weights.tolist()))
        return train(data, arm, settings, **named)

    images, labels = make_toys(45, 0)
    examples = Examples(images, labels, np.full(45, 1.0), is_generated=np.arange(45) >= 15)
    grid = GridSettings.model_validate({"steps": [2, 3], "pairing.alpha": [0.5], "real_weight": [4]})
    settings = SETTINGS.model_copy(update={"grid": grid, "seeds": 1, "steps": 2})
    contest = enter(tmp_path, training=(examples,), settings=settings)
    monkeypatch.setattr(runs, "train", record)
    held = hold_tournament(contest, workers=1, progress=Progress(lambda line: None, "toys", 4, "trainings"))
    weights = [4.0] * 15 + [1.0] * 30
    assert seen == [(2, None, weights), (3, None, weights), (2, 0.5, weights), (3, 0.5, weights)]
    assert {name: [tuple(dict(r.run.setting.values)) for r in results] for name, results in held.tried.items()} == {
        "real": [("learning_rate", "weight_decay", "steps", "real_weight")] * 2,
        "mixed": [("learning_rate", "weight_decay", "steps", "real_weight", "pairing.alpha")] * 2,
    }
    assert contest.is_expanded and not enter(tmp_path).is_expanded


def test_every_run_is_trained_and_evaluated_on_the_device_of_the_contest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = []
    for name, function in (("train", train), ("predict", predict)):

        def record(*given: Any, function: Any = function, **named: Any) -> Any:
            devices.append(named["device"])
            return function(*given, **{**named, "device": "cpu"})

        monkeypatch.setattr(runs, name, record)
    settings = SETTINGS.model_copy(update={"seeds": 2, "steps": 1})
    contest = enter(tmp_path, settings=settings, device="cuda:1")
    hold_tournament(contest, workers=2, progress=Progress(lambda line: None, "toys", 6, "trainings"))
    assert devices == ["cuda:1"] * 12


def test_a_learning_rate_that_diverges_is_not_chosen_and_does_not_stop_the_tournament(tmp_path: Path) -> None:
    grid = GridSettings(learning_rate=(1e12, 0.05), weight_decay=(0.0,))
    results = hold(tmp_path, settings=SETTINGS.model_copy(update={"grid": grid, "seeds": 1}))
    assert {setting["learning_rate"] for setting in results.chosen.values()} == {0.05}


def test_balanced_accuracy_picks_another_setting_than_accuracy(tmp_path: Path) -> None:
    """The rate that learns nothing is planted to be right on the one large class of validation and wrong on the two
    small ones; the rate that learns is the other way round."""
    rates = GridSettings(learning_rate=(1e-9, 0.05), weight_decay=(0.0,))
    settings = SETTINGS.model_copy(update={"grid": rates, "seeds": 1})
    images, _ = make_toys(45, 0)
    answers = {}
    for result in hold(tmp_path / "first", settings=settings).tried["real"]:
        network = build_classifier(result.description)
        network.load_state_dict(load_torch(result.path))
        logits = predict(network.eval(), torch.from_numpy(images), precision="fp32")
        answers[result.run.setting["learning_rate"]] = logits.argmax(1).numpy()
    idle, able = answers.values() if list(answers) == [1e-9, 0.05] else reversed(answers.values())
    large = int(np.bincount(idle[idle != able], minlength=3).argmax())
    many = np.flatnonzero((idle == large) & (able != large))
    few = [np.flatnonzero((able == label) & (idle != label))[:1] for label in range(3) if label != large]
    chosen = np.concatenate([many, *few])
    truth = np.concatenate([np.full(len(many), large), *(able[rows] for rows in few)])
    assert len(many) > 2 and len(chosen) == len(many) + 2
    for metric, rate in (("accuracy", 1e-9), ("balanced_accuracy", 0.05)):
        contest = enter(tmp_path / metric, arms={"real": Arm()}, settings=settings, metric=metric,
                        validation=(images[chosen], truth))  # fmt: skip
        progress = Progress(lambda line: None, "toys", 2, "trainings")
        results = hold_tournament(contest, workers=1, progress=progress)
        assert results.chosen["real"]["learning_rate"] == rate


def test_more_seeds_are_those_that_a_longer_tournament_trains(tmp_path: Path) -> None:
    first = hold(tmp_path / "short", settings=BRIEF.model_copy(update={"seeds": 1}))
    lines: list[str] = []
    later = train_seeds(
        enter(tmp_path / "short", settings=BRIEF), first.chosen, range(8, 10), workers=1,
        progress=Progress(lines.append, "toys", 4, "trainings", interval=0),
    )  # fmt: skip
    whole = hold(tmp_path / "long", settings=BRIEF)
    for name in ARMS:
        assert [replace(result, path=Path()) for result in later[name]] == [
            replace(result, path=Path()) for result in whole.final[name][1:]
        ]
    assert "4/4 trainings" in lines[-1]


def test_an_arm_that_is_far_behind_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that learns nothing; the other one, and plain training, see all seeds."""
    blind = Arm(pairing="mixup")

    def stand_still(data: Any, arm: Arm, budget: Any, **named: Any) -> Any:
        return train(data, arm, budget, **named | ({"learning_rate": 0.0} if arm == blind else {}))

    monkeypatch.setattr(runs, "train", stand_still)
    arms = {"real": Arm(), "blind": blind, "flipped": Arm(augmentation="flip_crop")}
    contest = replace(enter(tmp_path), arms=arms, settings=SETTINGS.model_copy(update={"race": 4.0, "grid": ONE_RATE}))
    lines: list[str] = []
    progress = Progress(lines.append, "toys", count_runs(contest), "trainings", interval=0)
    held = hold_tournament(contest, workers=1, progress=progress)
    assert set(held.final) == {"real", "flipped"} and set(held.left_out) == {"blind"} <= set(held.tried)
    assert held.left_out["blind"].behind > 0.3
    assert held.trainings == count_runs(contest) - (SETTINGS.seeds - 1)
    total = count_runs(contest)
    assert f"{total}/{total} trainings" in lines[-1]


def test_each_seed_learns_from_the_set_of_its_number(tmp_path: Path) -> None:
    """Three seeds, two sets: the runs of the second seed are those of a tournament on the second set alone."""
    training = tuple(Examples(*make_toys(45, number), np.ones(45)) for number in (0, 2))
    results: dict[str, dict[str, list[Result]]] = {}
    for name, sets in (("both", training), ("first", training[:1]), ("second", training[1:])):
        progress = Progress(lambda line: None, "toys", 6, "trainings")
        contest = enter(tmp_path / name, training=sets, settings=BRIEF)
        held = hold_tournament(contest, workers=1, progress=progress)
        results[name] = {arm: [held.tried[arm][0], *held.final[arm]] for arm in ARMS}
    for arm in ARMS:
        both, first, second = ([load_file(r.path) for r in results[name][arm]] for name in results)
        assert [result.run for result in results["both"][arm]] == [result.run for result in results["first"][arm]]
        for place, other in enumerate((first, first, second, first)):  # a run of the grid, then seeds 7 to 9
            assert all(np.array_equal(both[place][key], other[place][key]) for key in both[place])
        assert any(not np.array_equal(second[2][key], first[2][key]) for key in first[2])


def test_an_alias_must_hold_on_every_set() -> None:
    given = {"real": Arm(), "oversampled": OVERSAMPLED}
    images = np.zeros((4, 1, 2, 2), np.uint8)
    even, uneven = (Examples(images, np.array(labels), np.ones(4)) for labels in ([0, 0, 1, 1], [0, 1, 1, 1]))
    assert find_common_aliases(given, (even, even), GridSettings()) == {"oversampled": "real"}
    for training in ((even, uneven), (uneven, even)):
        assert find_common_aliases(given, training, GridSettings()) == {}


def test_only_a_run_whose_file_is_missing_is_trained_again(tmp_path: Path) -> None:
    first = hold(tmp_path, settings=BRIEF)
    before = read_all(tmp_path)
    lost = first.final["mixed"][1].path.name  # a later seed
    (tmp_path / lost).unlink()
    second = hold(tmp_path, settings=BRIEF)
    after = read_all(tmp_path)
    assert second == first
    assert after.keys() == before.keys()
    for name in after:
        assert after[name][0] == before[name][0], name
        assert (after[name][1] == before[name][1]) == (name != lost), name


def test_results_do_not_depend_on_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SETTINGS.model_copy(update={"seeds": 1, "steps": 10})
    one = hold(tmp_path / "one", settings=settings)
    monkeypatch.setattr(runs, "WORKER_SHARE", 1)  # otherwise so little is not worth a second process
    two = hold(tmp_path / "two", settings=settings, workers=2)
    for name in ARMS:
        for a, b in zip(one.tried[name], two.tried[name], strict=True):
            assert (a.run, a.validation, a.losses) == (b.run, b.validation, b.losses)
            first, second = load_file(a.path), load_file(b.path)
            assert first.keys() == second.keys()
            assert all(np.array_equal(first[key], second[key]) for key in first)


def test_settings_are_tried_at_an_extra_seed_where_some_arms_have_more(tmp_path: Path) -> None:
    grid = GridSettings.model_validate({"learning_rate": [0.05], "weight_decay": [0.0], "pairing.alpha": [0.5, 1.0]})
    assert not grid.is_equal and SETTINGS.grid.is_equal
    assert enter(tmp_path).trying_seed == 7 and enter(tmp_path, is_fair=False).trying_seed == 7 + TRYING_OFFSET
    contest = enter(tmp_path, settings=SETTINGS.model_copy(update={"grid": grid, "seeds": 2, "steps": 2}))
    held = hold_tournament(contest, workers=1, progress=Progress(lambda line: None, "toys", 7, "trainings"))
    assert {name: [r.run.seed for r in results] for name, results in held.tried.items()} == {
        "real": [7 + TRYING_OFFSET], "mixed": [7 + TRYING_OFFSET] * 2,
    }  # fmt: skip
    assert all([r.run.seed for r in results] == [7, 8] for results in held.final.values())
    assert count_runs(contest) == len(list(tmp_path.iterdir())) == 3 + 4


def test_the_order_of_a_grids_keys_changes_nothing() -> None:
    tried = {"pairing.alpha": [0.2, 0.4], "augmentation.strength": [0.1, 0.2]}
    one, other = (GridSettings.model_validate(dict(keys)) for keys in (tried.items(), reversed(tried.items())))
    arm = Arm.model_validate({"pairing": {"kind": "mixup", "alpha": 0.2}, "augmentation": "flip_crop"})
    assert one.list_settings(arm, is_expanded=False) == other.list_settings(arm, is_expanded=False)


def test_arms_that_differ_only_in_numbers_that_the_grid_tries_are_aliases() -> None:
    given = {name: Arm(pairing={"kind": "mixup", "alpha": alpha}) for name, alpha in (("weak", 0.2), ("strong", 1.0))}
    examples = weigh(np.array([0, 1]), np.ones(2))
    assert aliases_of(given, examples, **{"pairing.alpha": [0.2, 1.0]}) == {"strong": "weak"}
    assert aliases_of(given, examples) == {}
