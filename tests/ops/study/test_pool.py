"""A study with a prior: what its pool may hold, that one prior serves many blocks, and that other cells stay as they
are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.chain import prior as prior_module
from ops.chain.parts.pools import PRIOR, read_seen_ids
from ops.errors import UserError
from ops.generators.protocol import Fitting
from ops.sources.pool import PoolImages, read_pool
from ops.sources.reading import read_source
from ops.sources.spec import load_source_spec
from ops.stages.materialization import Builder, Runtime
from ops.study import bench as bench_module
from ops.study import block as block_module
from ops.study.bench import Bench, open_bench
from ops.study.block import _Work
from ops.study.design import ClassifierPart, Study, load_study, name_place
from ops.study.images import open_workspace
from ops.study.pool import ARRAYS, SOURCE, draw_pool, name_pool, put_pool
from ops.study.results import Block, read_results
from ops.study.running import rehearse_study, run_study
from ops.study.sections import Images
from ops.workspaces.workspace import Workspace
from tests import priors
from tests.recipes import refused
from tests.studies import Content, write_study
from tests.workspaces import one_core

ROOT = Path(__file__).parents[3]
PLAIN = {"kind": "flow", **{key: value for key, value in priors.PRIOR.items() if key not in ("kind", "pool")}}
IMAGES = Images(source="digits", evaluation=8, validation=6, pool="all")


@pytest.fixture
def grown(content: Content) -> Content:
    """Settings with a prior: two numbers of labels, another strength, and a smaller pool."""
    part = content["parts"]["small"]
    part["images"]["pool"] = "all"
    recipe = {**priors.RECIPE, "sampler": {**priors.RECIPE["sampler"], "strength": 0.4, "keeps": None}}
    part["set"] = {"classifier.grid.learning_rate": [0.02], **recipe, "prior": PLAIN}
    part["settings"] |= {
        "6+stronger": {"data.images_per_class": 6, "sampler.strength": 0.6},
        "6+pool-20": {"data.images_per_class": 6, "images.pool": 20},
    }
    part["baselines"], part["networks"], part["ensembles"] = {"plain": {}}, {}, {}
    part["expanded"], part["measures"] = {"grown": {}}, ["accuracy"]
    return content


def open_small(main: Workspace, content: Content, *, quick: bool = False) -> Bench:
    study = write_study(main, content)
    return open_bench(study, "small", main, main.root / f"area-{quick}", Runtime(workers=1), quick=quick)


def find_block(bench: Bench, setting: str, seed: int = 0) -> Block:
    return next(each for each in bench.blocks if (each.setting, each.seed) == (setting, seed))


def begin(bench: Bench, setting: str, seed: int = 0) -> _Work:
    block = find_block(bench, setting, seed)
    return _Work(bench, block, bench.build_recipe(block))


def read_pool_of(own: Workspace, size: Any) -> PoolImages:
    return read_pool(load_source_spec(own.source_path(name_pool(size))), (16, 16, 1))


def fingerprint(bench: Bench, setting: str) -> dict[str, str]:
    return {cell.arm: cell.fingerprint for cell in bench.list_cells(find_block(bench, setting))}


def test_a_smaller_pool_is_part_of_a_larger_one_and_labels_have_no_part_in_the_draw() -> None:
    small, large, other = draw_pool(100, 10, 0), draw_pool(100, 60, 0), draw_pool(100, 10, 1)
    assert len(set(small)) == 10 and set(small) < set(large) < set(range(100)) and set(small) != set(other)
    assert draw_pool(100, 100, 0).tolist() == list(range(100))


@pytest.mark.parametrize("size", ["all", 20])
def test_a_pool_holds_training_images_that_are_not_put_aside_and_no_label(main: Workspace, size: Any) -> None:
    own = open_workspace(main.root / "area", main, IMAGES, "here")
    put_pool(own, size, IMAGES.seed)
    pool = read_pool_of(own, size)
    splits = read_source(load_source_spec(own.source_path(SOURCE))).splits
    left, *evaluated = (set(splits[name].rows["image_id"]) for name in ("train", "validation", "test"))
    assert set(pool.ids) <= left and len(set(pool.ids)) == len(pool.ids) == (len(left) if size == "all" else size)
    assert not set(pool.ids).intersection(*evaluated)
    if size != "all":
        with np.load(own.root / f"{name_pool(size)}.npz") as arrays:
            assert set(arrays) == {"train_images", "train_labels"} and not arrays["train_labels"].any()


def test_a_pool_changes_neither_the_workspace_nor_the_images_of_a_study(main: Workspace) -> None:
    roots = {
        open_workspace(main.root / "area", main, IMAGES.model_copy(update={"pool": size}), "here").root
        for size in (None, 20, "all")
    }
    assert len(roots) == 1


def test_more_images_than_are_left_are_refused(main: Workspace, grown: Content) -> None:
    own = open_workspace(main.root / "area", main, IMAGES, "here")
    with np.load(own.root / ARRAYS) as arrays:
        left = len(arrays["train_labels"])
    put_pool(own, left, 0)
    assert len(read_pool_of(own, left)) == left
    grown["parts"]["small"]["settings"]["12"]["images.pool"] = left + 1
    sentence = rf"grid\.yaml, part 'small', setting '12': images\.pool is {left + 1}, and {left} images are left"
    for quick in (False, True):
        grown["parts"]["small"]["quick"]["settings"] = ["12"]
        with pytest.raises(UserError, match=sentence):
            open_small(main, grown, quick=quick)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": {"pool": 0}}, "0 is no size of a pool; allowed: all, or a whole number from 1 on"),
        ({"images": {"pool": "some"}}, "'some' is no size of a pool"),
        ({"images": {"pool": True}}, "rue is no size of a pool"),
        ({"images": {"pool": 2.5}}, "2.5 is no size of a pool"),
        ({"set": {"images.pool": 0}}, "setting '6': images.pool: 0 is no size of a pool"),
        ({"set": {"images.pool": None}}, "setting '6': a prior learns from a pool; add images.pool: all"),
        ({"images": {"pool": None}}, "setting '6': a prior learns from a pool; add images.pool: all"),
        ({"set": {"prior": None}}, "setting '6': images.pool: all has no effect without a prior"),
        ({"set": {"prior.pool": "digits"}}, "a change of prior.pool has no effect"),
        ({"set": {"prior": {**PLAIN, "pool": "digits"}}}, "the pool of a study is images.pool"),
        ({"set": {"prior.stepz": 3}}, "unknown key 'prior.stepz'"),
        ({"quick": {"set": {"prior": None}}}, "setting '6', quick: images.pool: all has no effect without a prior"),
    ],
)
def test_a_mistake_about_a_pool_is_one_sentence(
    write: Callable[[Content], Study], grown: Content, changes: dict[str, Any], sentence: str
) -> None:
    part = grown["parts"]["small"]
    for section, values in changes.items():
        part[section] |= values
    with refused(sentence):
        write(grown)


def test_a_setting_may_do_without_prior_and_pool(main: Workspace, grown: Content) -> None:
    part = grown["parts"]["small"]
    part["settings"]["0"] = {"prior": None, "images.pool": None, "generator": {"kind": "flow"}}
    recipes = open_small(main, grown).recipes
    assert recipes["0"].prior is None and recipes["6"].prior is not None
    assert recipes["6"].prior.model_dump()["pool"] == "images-pool-all"


def test_an_evaluation_image_that_got_into_the_pool_is_refused_before_a_prior_is_trained(
    main: Workspace, grown: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = open_small(main, grown)
    for key, told in (("test_images", "test images"), ("val_images", "validation images")):
        with np.load(bench.own.root / ARRAYS) as arrays:
            planted = np.concatenate([arrays["train_images"][:19], arrays[key][:1]])
        np.savez(bench.own.root / "images-pool-20.npz", train_images=planted, train_labels=np.zeros(20, np.uint8))
        work = begin(bench, "6+pool-20")
        monkeypatch.setattr(block_module, "find_builder", _let_pass("real_images", block_module.find_builder))
        with pytest.raises(UserError, match=f"holds an image that is among the {told} too"):
            work.make_images(PRIOR)
        monkeypatch.undo()


def _let_pass(stage: str, find: Callable[[str], Builder]) -> Callable[[str], Builder]:
    def find_builder(name: str) -> Builder:
        assert name == stage, f"{name} is made"
        return find(name)

    return find_builder


def test_one_prior_serves_all_labels_seeds_and_samplers_and_each_pool_has_its_own(
    main: Workspace, grown: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = list[int]()

    def fit(settings: Any, fitting: Fitting) -> dict[str, Any]:
        trained.append(len(fitting.images))
        return {}

    monkeypatch.setattr(prior_module, "KINDS", {"flow": SimpleNamespace(fit=fit)})
    bench = open_small(main, grown)
    folders = [
        begin(bench, setting, seed).make_images(PRIOR)[PRIOR]
        for setting, seed in (("6", 0), ("12", 0), ("6+stronger", 0), ("6", 1))
    ]
    everything = frozenset(read_pool_of(bench.own, "all").ids)
    assert trained == [len(everything)] and len(set(folders)) == 4
    assert {read_seen_ids(folder) for folder in folders} == {everything}
    small = begin(bench, "6+pool-20").make_images(PRIOR)[PRIOR]
    assert trained == [len(everything), 20]
    assert read_seen_ids(small) == frozenset(read_pool_of(bench.own, 20).ids)


def test_what_decides_the_prior_is_in_the_fingerprints_of_arms_with_generated_images_alone(
    main: Workspace, grown: Content
) -> None:
    before = open_small(main, grown)
    six = fingerprint(before, "6")
    for setting in ("6+stronger", "6+pool-20"):
        other = fingerprint(before, setting)
        assert other["plain"] == six["plain"] and other["grown"] != six["grown"]
    for changed in ({"steps": 41}, {"seed": 1}):
        content = copy.deepcopy(grown)
        content["parts"]["small"]["set"]["prior"] = {**PLAIN, **changed}
        after = fingerprint(open_small(main, content), "6")
        assert after["plain"] == six["plain"] and after["grown"] != six["grown"]
    main.edit_params(stage_versions={PRIOR: 2})
    after = fingerprint(open_small(main, grown), "6")
    assert after["plain"] == six["plain"] and after["grown"] != six["grown"]


def test_a_quick_run_has_a_small_pool(main: Workspace, grown: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "QUICK_POOL", 7)
    bench = open_small(main, grown, quick=True)
    pool, whole = read_pool_of(bench.own, "all"), read_source(load_source_spec(bench.own.source_path(SOURCE)))
    assert len(pool) == 7 and set(pool.ids) < set(whole.splits["train"].rows["image_id"])


FASHION = (
    "68457ea1a429ebc1fc9198665539048acef3699fccd6f376793a7d94adb22a0b"  # of the images of the studies worth and git
)


@pytest.mark.parametrize("name", ["worth", "git"])
def test_the_results_that_this_repository_keeps_are_those_of_its_grids(name: str, tmp_path: Path) -> None:
    main = Workspace(ROOT)
    study = load_study(main, name)
    cells = set[str]()
    for part_name, part in study.design.parts.items():
        if isinstance(part, ClassifierPart):
            place = name_place(study.folder, part_name)
            bench = Bench(part_name, place, part, main, Workspace(tmp_path), Runtime(workers=1))
            vars(bench)["content"] = FASHION  # as of images that were put aside: the data set need not be here
            cells |= {cell.fingerprint for block in bench.blocks for cell in bench.list_cells(block)}
    kept = read_results(study.folder).filter(pl.col("part").is_in(_list_parts(study)))
    assert len(kept) and set(kept["fingerprint"]) <= cells


def _list_parts(study: Study) -> Sequence[str]:
    return [name for name, part in study.design.parts.items() if isinstance(part, ClassifierPart)]


@pytest.mark.slow
def test_arms_with_images_of_a_prior_guided_or_not_run_through_the_chain(
    main: Workspace, write: Callable[[Content], Study], grown: Content, runtime: Runtime
) -> None:
    part: dict[str, Any] = grown["parts"]["small"]
    part["settings"] = {
        "prior": {"data.images_per_class": 6},
        "strength": {"data.images_per_class": 6, "sampler.strength": 0.6, "plan.ratio": 2.0},
        "guided": {
            "data.images_per_class": 6,
            "sampler.imagination": {"mode": "guided", "force": True},
        },  # its scorer is near chance
    }
    part["seeds"], part["quick"] = [0], {"settings": ["guided"], "set": {"prior.steps": 5}, "steps": 2}
    study, lines = write(grown), list[str]()
    with one_core():
        found = run_study(study, main, replace(runtime, sink=lines.append))
        assert rehearse_study(study, main, runtime) == 2
    assert found.missing == 0 and found.table["value"].is_between(0, 1).all(), lines
    assert len(found.table) == found.cells == 3 * 2
    plain = found.table.filter(pl.col("arm") == "plain")
    assert plain["fingerprint"].n_unique() == 1
    assert found.table.filter(pl.col("arm") == "grown")["fingerprint"].n_unique() == 3
    trained = {line.split(":")[0] for line in lines if ": prior: " in line}
    assert len(trained) == 1, "the other settings take it over"


def test_arms_that_see_the_pool_have_fingerprints_of_their_pool_and_other_baselines_none(
    main: Workspace, grown: Content
) -> None:
    part = grown["parts"]["small"]
    part["set"]["prior"] = {**PLAIN, "kind": "latent"}
    part["settings"]["6+longer"] = {"data.images_per_class": 6, "prior.steps": 90}
    part["baselines"] = {"plain": {}, "fix": {"unlabelled": "fixmatch"}, "probe": {"trainer": "probe"}}
    bench = open_small(main, grown)
    first = fingerprint(bench, "6")

    def list_changed(setting: str) -> set[str]:
        found = fingerprint(bench, setting)
        return {arm for arm in part["baselines"] if found[arm] != first[arm]}

    assert list_changed("6+stronger") == set()
    assert list_changed("6+pool-20") == {"fix", "probe"} and list_changed("6+longer") == {"probe"}


@pytest.mark.slow
def test_a_block_trains_arms_that_see_its_pool(main: Workspace, grown: Content) -> None:
    part = grown["parts"]["small"]
    part["baselines"] = {"plain": {}, "fix": {"unlabelled": {"kind": "fixmatch", "ratio": 1.0, "threshold": 0.0}}}
    with one_core():
        work = begin(open_small(main, grown), "6+pool-20")
        results = work.train([("plain", 0), ("fix", 0)])
    assert results is not None and results[0].path.read_bytes() != results[1].path.read_bytes()
    pool = read_pool_of(work.bench.own, 20).images
    assert work.real.pool is not None and np.array_equal(work.real.pool, pool.transpose(0, 3, 1, 2))
