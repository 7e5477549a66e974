"""Kept trainings: an equal training is found under any name, another one never, and damage is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from ops.classifiers import runs
from ops.classifiers.examples import Examples
from ops.classifiers.kept_trainings import KeptTrainings, hash_examples, is_determined
from ops.classifiers.runs import Contest, Run, train_runs
from ops.classifiers.stored import save_classifiers
from ops.machine.progress import Progress
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.automatic import leave_out_generated
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.grid import GridSettings, Setting

SETTINGS = ClassifierSettings(
    steps=2, batch_size=4, network=SmallResNet(width=8), precision="fp32", seeds=1,
    grid=GridSettings(learning_rate=(0.05,), weight_decay=(5e-4,)),
)  # fmt: skip
SETTING = Setting((("learning_rate", 0.05), ("weight_decay", 5e-4)))
MIXED = Arm.model_validate({"augmentation": "flip_crop", "pairing": "mixup"})


def make_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8), np.arange(count) % 2


def enter(folder: Path, scratch: str, **changes: Any) -> Contest:
    images, labels = make_images(6, 0)
    examples = Examples(images, labels, np.ones(6), ids=[f"{row}" for row in range(6)])
    contest = Contest(
        {"mixed": MIXED}, (examples,), 7, make_images(4, 1), SETTINGS, "accuracy", 2, folder / scratch,
        kept=KeptTrainings(folder / "kept", "1"),
    )  # fmt: skip
    return replace(contest, **changes)


def hold(contest: Contest, *wanted: Run, lines: list[str] | None = None) -> list[runs.Result]:
    wanted = wanted or (Run(next(iter(contest.arms)), SETTING, 7),)
    progress = Progress((lambda line: None) if lines is None else lines.append, "toys", len(wanted), "trainings")
    done = train_runs(contest, wanted, 1, progress)
    return [done[run] for run in wanted]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arm of each training that was made."""
    made, train = list[str](), runs._train_run

    def note(run: Run) -> Run:
        made.append(run.arm)
        return train(run)

    monkeypatch.setattr(runs, "_train_run", note)
    return made


def test_an_equal_training_is_found_under_another_name_and_equals_one_made_anew(
    tmp_path: Path, trained: list[str]
) -> None:
    (first,) = hold(enter(tmp_path, "first"))
    both = enter(tmp_path, "second", arms={"blended": MIXED, "plain": Arm()})
    lines: list[str] = []
    blended, plain = hold(both, Run("blended", SETTING, 7), Run("plain", SETTING, 7), lines=lines)
    assert trained == ["mixed", "plain"]
    assert lines[0] == "toys: 1 of the next 2 trainings are kept from earlier ones"
    (anew,) = hold(enter(tmp_path, "third", kept=None))
    assert trained == ["mixed", "plain", "mixed"]
    for result in (first, blended):
        assert replace(result, run=anew.run, path=anew.path) == anew
        assert result.path.read_bytes() == anew.path.read_bytes()
    assert plain.path.read_bytes() != anew.path.read_bytes()


def change_examples(**changes: Callable[[np.ndarray], Any]) -> Callable[[Contest], dict[str, Any]]:
    def change(contest: Contest) -> dict[str, Any]:
        (examples,) = contest.training
        found = {name: getattr(examples, name) for name in changes}
        return {"training": (replace(examples, **{name: changes[name](value) for name, value in found.items()}),)}

    return change


def set_one(value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed.flat[0] = value
        return changed

    return change


def change_settings(**changes: Any) -> Callable[[Contest], dict[str, Any]]:
    return lambda contest: {"settings": contest.settings.model_copy(update=changes)}


OTHERS: dict[str, Callable[[Contest], dict[str, Any]]] = {
    "a pixel": change_examples(images=set_one(1)),
    "a label": change_examples(labels=set_one(1)),
    "a weight": change_examples(weights=set_one(3)),
    "a mark": change_examples(is_generated=lambda none: np.arange(6) >= 3),
    "a pixel of validation": lambda contest: {"validation": (set_one(1)(contest.validation[0]), contest.validation[1])},
    "the arm": lambda contest: {"arms": {"mixed": Arm(pairing="mixup")}},
    "the steps": change_settings(steps=3),
    "the batch": change_settings(batch_size=3),
    "the network": change_settings(network=SmallResNet(width=16)),
    "label smoothing": change_settings(label_smoothing=0.1),
    "clean statistics": change_settings(clean_statistics=True),
    "the metric": lambda contest: {"metric": "balanced_accuracy"},
    "the classes": lambda contest: {"classes": 3},
    "the version": lambda contest: {"kept": KeptTrainings(contest.kept.folder, "2") if contest.kept else None},
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_training_is_never_taken_for_it(tmp_path: Path, trained: list[str], what: str) -> None:
    contest = enter(tmp_path, "first")
    hold(contest)
    hold(replace(contest, scratch=tmp_path / "second", **OTHERS[what](contest)))
    assert len(trained) == 2


@pytest.mark.parametrize(
    ("setting", "seed"),
    [((0.06, 5e-4), 7), ((0.05, 1e-4), 7), ((0.05, 5e-4), 8)],
    ids=["learning rate", "decay", "seed"],
)
def test_nor_one_of_another_setting_or_seed(
    tmp_path: Path, trained: list[str], setting: tuple[float, float], seed: int
) -> None:
    hold(enter(tmp_path, "first"))
    other = Setting(tuple(zip(("learning_rate", "weight_decay"), setting, strict=True)))
    hold(enter(tmp_path, "second"), Run("mixed", other, seed))
    assert len(trained) == 2


def test_a_taught_arm_is_trained_again_by_other_teachers(tmp_path: Path, trained: list[str]) -> None:
    (teacher,) = hold(enter(tmp_path, "teachers"))
    student = Arm.model_validate({"targets": {"kind": "teacher", "of": "mixed"}})
    for name, seeds in {"one": (7,), "two": (7, 8)}.items():
        save_classifiers(tmp_path / name, {seed: load_file(teacher.path) for seed in seeds}, teacher.description)
    for scratch, name in (("first", "one"), ("second", "one"), ("third", "two")):
        hold(enter(tmp_path, scratch, arms={"student": student}, teachers={"mixed": tmp_path / name}))
    assert trained == ["mixed", "student", "student"]


def test_a_damaged_file_is_deleted_and_the_training_made_again(tmp_path: Path, trained: list[str]) -> None:
    (first,) = hold(enter(tmp_path, "first"))
    whole = first.path.read_bytes()
    (path,) = (tmp_path / "kept").iterdir()
    path.unlink()  # scratch and cache share the bytes
    path.write_bytes(whole[:-4] + b"\0\0\0\0")
    (again,) = hold(enter(tmp_path, "second"))
    assert len(trained) == 2 and again.path.read_bytes() == whole == path.read_bytes()


def test_files_that_were_not_used_for_longest_are_deleted_beyond_the_limit(tmp_path: Path) -> None:
    kept = KeptTrainings(tmp_path / "kept", "1", limit=250)
    for number, key in enumerate(("a", "b", "c")):
        (tmp_path / key).write_bytes(bytes([number]) * 100)
        kept.keep(key, tmp_path / key)
        (path,) = kept.folder.glob(f"{key}-*")
        os.utime(path, ns=(number, number))
    assert kept.take("a", tmp_path / "taken")  # used last, though it is the oldest
    kept.prune()
    assert [kept.take(key, tmp_path / "taken") for key in ("a", "b", "c")] == [True, False, True]
    assert (tmp_path / "a").exists() and (tmp_path / "b").exists()


def test_variants_that_a_network_or_an_oracle_draws_are_not_kept(tmp_path: Path) -> None:
    images, labels = make_images(4, 0)
    varied = Arm.model_validate({"variants": {"kind": "git", "source": "drawn"}})
    plain = Examples(images, labels, np.ones(4))
    drawn: Any = replace(plain, live=object())
    assert is_determined(varied, plain) and is_determined(Arm(), drawn) and not is_determined(varied, drawn)
    assert not is_determined(varied, replace(plain, oracle=drawn.live))


def test_a_hash_differs_for_equal_bytes_of_another_type_or_shape() -> None:
    images, labels = make_images(4, 0)
    examples = Examples(images, labels, np.ones(4))
    others = [replace(examples, images=images.reshape(4, 1, 4, 16)), replace(examples, labels=labels.view(np.float64))]
    assert len({hash_examples(each, Arm()) for each in (examples, *others)}) == 3


def test_an_arm_is_kept_where_rows_and_facts_are_added_that_only_other_arms_see() -> None:
    """Images that a teacher relabels weigh nothing for other arms; keys and parents are for variants."""
    images, labels = make_images(6, 0)
    marks = np.arange(6) >= 3
    less = Examples(images[:5], labels[:5], np.ones(5), marks[:5])
    more = Examples(images, labels, np.ones(6), marks, only_relabelled=np.arange(6) == 5)
    varied = Arm.model_validate({"variants": {"kind": "git"}})
    named = replace(less, ids=list("abcde"), parents=np.array([-1, -1, -1, 0, 1]))
    assert hash_examples(less, Arm()) == hash_examples(more, Arm()) == hash_examples(named, Arm())
    relabelled = Arm.model_validate({"targets": {"kind": "teacher", "of": "real", "relabel": True}})
    assert hash_examples(less, relabelled) != hash_examples(more, relabelled)
    swapped = replace(named, parents=np.array([-1, -1, -1, 1, 0]))
    assert len({hash_examples(each, varied) for each in (less, named, swapped)}) == 3


def test_a_placebo_is_kept_by_the_seed_images_that_it_is_made_of_and_no_other_arm_is() -> None:
    images, labels = make_images(6, 0)
    plain = Examples(images, labels, np.ones(6), np.arange(6) >= 4)
    marked = [replace(plain, is_seed=np.arange(6) < count) for count in (2, 4)]
    placebo, varied = (Arm.model_validate(keys) for keys in ({"placebo": "mixed"}, {"variants": {"kind": "git"}}))
    assert len({hash_examples(each, placebo) for each in (plain, *marked)}) == 3
    assert len({hash_examples(each, arm) for each in (plain, *marked) for arm in (Arm(), varied)}) == 2


def test_a_training_whose_teacher_was_damaged_meanwhile_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (teacher,) = hold(enter(tmp_path, "teachers"))
    save_classifiers(tmp_path / "one", {7: load_file(teacher.path)}, teacher.description)
    whole, train = (tmp_path / "one").read_bytes(), runs._train_run

    def damage(run: Run) -> Run:
        (tmp_path / "one").write_bytes(whole[:-4] + b"\0\0\0\0")
        return train(run)

    monkeypatch.setattr(runs, "_train_run", damage)
    student = Arm.model_validate({"targets": {"kind": "teacher", "of": "mixed"}})
    kept = len(list((tmp_path / "kept").iterdir()))
    hold(enter(tmp_path, "first", arms={"student": student}, teachers={"mixed": tmp_path / "one"}))
    assert len(list((tmp_path / "kept").iterdir())) == kept


def test_nothing_is_kept_for_another_machine_or_other_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptTrainings(tmp_path, "1")
    here = kept.name({})
    assert here == kept.name({})
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert kept.name({}) != here


def test_an_arm_without_its_generated_images_is_the_one_on_real_images(tmp_path: Path, trained: list[str]) -> None:
    images, labels = make_images(6, 0)
    others, marks = make_images(4, 2), np.arange(10) >= 6
    mixed = Examples(
        np.concatenate([images, others[0]]), np.concatenate([labels, others[1]]), np.where(marks, 1.0, 10.0), marks
    )
    arm = leave_out_generated(MIXED)
    (alone,) = hold(enter(tmp_path, "alone"))
    (left,) = hold(enter(tmp_path, "left", arms={"left": arm}, training=(mixed,)))
    assert trained == ["mixed"] and left.bits == alone.bits and left.path.read_bytes() == alone.path.read_bytes()
    hold(enter(tmp_path, "used", arms={"used": MIXED}, training=(mixed,)))
    assert trained == ["mixed", "used"]
    built = mixed.build_set(arm, 2, 0)
    assert built.weights.tolist() == [1.0] * 6 and not built.marks.any() and len(built.images) == 6
