"""Invariance in a study: clean images are those of the evaluation images, draws are fresh and the same for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.datasets.axes import to_nchw
from ops.datasets.nuisances import FRESH, NUISANCES
from ops.stages.materialization import Runtime
from ops.study import invariance, judging
from ops.study.bench import Bench, open_bench
from ops.study.block import _Work
from ops.study.design import Study
from ops.study.invariance import DRAWS, Nuisanced, choose_images, draw_nuisance
from ops.study.measure_names import NUISANCED
from ops.study.page import write_page
from ops.study.running import run_study
from ops.workspaces.workspace import Workspace
from tests.studies import Content

IMAGES = np.random.default_rng(0).integers(0, 3, (4, 6, 5, 1)).astype(np.uint8) * 100  # a third is black
KEYS = ["a", "b", "c", "d"]


@pytest.mark.parametrize("kind", sorted(NUISANCES))
def test_draws_follow_from_the_image_alone_and_are_fresh(kind: str) -> None:
    found = draw_nuisance(kind, IMAGES, KEYS, np.arange(4))
    assert np.array_equal(found.clean.numpy(), to_nchw(IMAGES))
    assert found.drawn.shape == (4, DRAWS, 1, 6, 5)
    part = draw_nuisance(kind, IMAGES[2:], KEYS[2:], np.arange(2))
    assert np.array_equal(part.drawn.numpy(), found.drawn[2:].numpy())
    for draw in (0, DRAWS - 1):
        alone, _ = NUISANCES[kind](IMAGES[1:2], ["b"], seed=0, ks=[FRESH + draw])
        assert np.array_equal(found.drawn[1, draw].numpy(), to_nchw(alone)[0])
    frozen, _ = NUISANCES[kind](np.repeat(IMAGES[1:2], DRAWS, axis=0), ["b"] * DRAWS, seed=0, ks=range(DRAWS))
    assert not np.array_equal(found.drawn[1].numpy(), to_nchw(frozen))


def test_at_most_so_many_images_of_each_class_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariance, "IMAGES", 3)
    labels = np.tile([0, 1], 10)
    rows = choose_images(labels)
    assert np.bincount(labels[rows]).tolist() == [3, 3] and len(set(rows)) == 6
    assert choose_images(np.tile([0, 1], 2)).tolist() == [0, 1, 2, 3]


@pytest.fixture
def turned(content: Content) -> Content:
    """A study of a long tail with a nuisance, one setting, two seeds; measures and curves of invariance."""
    part: dict[str, Any] = content["parts"]["small"]
    data = {"data.nuisance": "background", "data.long_tail": {"head": 12, "ratio": 3, "order": "random"}}
    part["settings"], part["set"] = {"bg": {}}, {**part["set"], **data, "data.images_per_class": None}
    part["quick"] = {"settings": ["bg"], "steps": 2}
    part["measures"], part["curves"] = ["balanced_accuracy", *NUISANCED], ["recall", "ekld"]
    del part["baselines"]["taught"]
    return content


def open_first(study: Study, main: Workspace, area: Path, runtime: Runtime) -> Bench:
    return open_bench(study, "small", main, area, runtime, quick=False)


def test_clean_images_are_the_evaluation_images_before_their_nuisance(
    main: Workspace, write: Callable[[Content], Study], turned: Content, runtime: Runtime, tmp_path: Path
) -> None:
    bench = open_first(write(turned), main, tmp_path / "area", runtime)
    found = list[Nuisanced]()
    for each in bench.blocks:
        work = _Work(bench, each, bench.build_recipe(each))
        shown, rows = work.nuisanced, choose_images(work.evaluation.labels)
        assert shown is not None and np.bincount(shown.labels).tolist() == [8, 8]
        facts, clean = work.evaluation.rows[rows], shown.clean.numpy().transpose(0, 2, 3, 1)
        stored, _ = NUISANCES["background"](
            clean, facts["parent_id"].to_list(), seed=each.seed, ks=facts["k"].to_list()
        )
        assert np.array_equal(stored, work.evaluation.images[rows])
        assert not np.array_equal(stored, clean)
        assert shown.labels.tolist() == work.evaluation.labels[rows].tolist()
        found.append(shown)
    one, other = found
    assert np.array_equal(one.clean, other.clean) and np.array_equal(one.drawn, other.drawn), "whatever the seed"
    plain = replace(bench, part=bench.part.model_copy(update={"measures": ("accuracy",), "curves": ("recall",)}))
    assert _Work(plain, bench.blocks[0], bench.build_recipe(bench.blocks[0])).nuisanced is None


def test_a_study_measures_invariance_of_networks_and_ensembles(
    main: Workspace,
    write: Callable[[Content], Study],
    turned: Content,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn, draw = list[str](), judging.draw_nuisance

    def count(*given: Any) -> Nuisanced:
        drawn.append(given[0])
        return draw(*given)

    monkeypatch.setattr(judging, "draw_nuisance", count)
    turned["parts"]["small"]["seeds"] = [1]
    study = write(turned)
    finished = run_study(study, main, runtime)
    assert (finished.cells, finished.missing) == (2 + 1, 0)
    assert drawn == ["background"], "once for all arms"
    wide = finished.table.pivot(on="measure", index=["seed", "arm", "network"], values="value")
    assert len(wide) == 3
    for row in wide.iter_rows(named=True):
        assert row["balanced_accuracy"] == pytest.approx((row["recall@1"] + row["recall@2"]) / 2)
        assert row["ekld"] == pytest.approx((row["ekld@1"] + row["ekld@2"]) / 2) and row["ekld"] > 0
        assert (row["images@1"], row["images@2"]) == (12, 4), "whichever class is the larger one"
        assert row["ekld_rare"] == pytest.approx(row["ekld"]) and row["ekld_error"] > 0
        assert 0 <= row["agreement"] <= 1
        assert row["ekld_head"] is None and row["size_correlation"] is None, "two classes have neither"
    text = write_page(study, finished).read_text(encoding="utf-8")
    assert "Mean eKLD, nats:" in text and "eKLD, nats, small, bg, 4 steps" in text
    turned["parts"]["small"]["curves"], turned["parts"]["small"]["measures"] = ["recall"], ["ekld_rare"]
    fewer = run_study(write(turned), main, runtime)
    assert fewer.missing == 0 and drawn == ["background"], "known cells are kept"
    assert set(fewer.table["measure"]) == {"ekld_rare", "recall@1", "recall@2", "images@1", "images@2"}
    assert fewer.table.join(finished.table, on=finished.table.columns, how="anti", nulls_equal=True).is_empty()
