"""Corrupted images in a study: the same for all networks, and what a network says of them counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.datasets.axes import to_nchw
from ops.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from ops.stages.materialization import Runtime
from ops.study import judging
from ops.study.attacks import Asked
from ops.study.bench import open_bench
from ops.study.block import _Work
from ops.study.corrupted import IMAGES, QUICK_IMAGES, SEED, Corrupted, corrupt_images
from ops.study.curves import find_value
from ops.study.design import Study
from ops.study.measure_names import CORRUPTED
from ops.study.measures import MEASURES, Answers, name_measure
from ops.workspaces.workspace import Workspace
from tests.studies import Content


class Brightest(nn.Module):
    """Names the half that is brighter, with a sureness of its own: 0 left, 1 right."""

    def __init__(self, sure: float) -> None:
        super().__init__()
        self.sure = sure

    def forward(self, images: Tensor) -> Tensor:
        half = images.shape[3] // 2
        left, right = images[..., :half].mean(dim=(1, 2, 3)), images[..., half:].mean(dim=(1, 2, 3))
        return self.sure * torch.stack([left, right], dim=1)


def build_corrupted() -> Corrupted:
    """Two images with two "corruptions": one keeps what they are, the other exchanges halves at severities 4 and 5."""
    left = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    left[..., :2] = 200
    clean = torch.cat([left, left.flip(3)])
    turned = torch.cat([clean.repeat(3, 1, 1, 1), clean.flip(3).repeat(2, 1, 1, 1)])
    return Corrupted({"kept": clean.repeat(5, 1, 1, 1), "turned": turned}, np.array([0, 1]))


def test_accuracy_is_the_mean_over_severities_and_then_over_corruptions() -> None:
    shown = build_corrupted()
    assert shown.measure([Brightest(2.0)], "fp32", "cpu") == {"kept": 1.0, "turned": 0.6}
    asked = Asked([Brightest(2.0)], torch.zeros(1, 1, 4, 4, dtype=torch.uint8), torch.zeros(1))
    answers = Answers(np.ones((1, 2)), np.zeros(1), [1, 1], asked, corrupted=shown)
    assert MEASURES["corrupted"].find(answers) == pytest.approx(0.8)
    with pytest.raises(ValueError, match="corrupted images"):
        MEASURES["corrupted_jpeg"].find(Answers(np.ones((1, 2)), np.zeros(1), [1, 1], asked))


def test_networks_that_answer_together_do_so_by_their_mean() -> None:
    shown = build_corrupted()
    assert shown.measure([Brightest(3.0), Brightest(-1.0)], "fp32", "cpu") == {"kept": 1.0, "turned": 0.6}
    assert shown.measure([Brightest(1.0), Brightest(-3.0)], "fp32", "cpu") == {
        "kept": 0.0,
        "turned": pytest.approx(0.4),
    }
    assert Corrupted(shown.images, 1 - shown.labels).measure([Brightest(1.0)], "fp32", "cpu")["kept"] == 0.0


def test_a_network_that_diverged_finds_all_classes_alike() -> None:
    assert build_corrupted().measure([Brightest(float("nan"))], "fp32", "cpu") == {"kept": 0.5, "turned": 0.5}


def test_images_are_chosen_evenly_and_each_stands_at_its_label() -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 1)).astype(np.uint8)
    keys, labels = [f"{number:04x}" for number in range(40)], np.tile([0, 1], 20)
    found = corrupt_images(images, keys, labels, most=10)
    assert list(found.images) == list(CORRUPTIONS)
    assert found.labels.tolist().count(0) == 5 and len(found.labels) == 10
    wanted = corrupt(images, keys, "brightness", 3, seed=SEED)
    part = found.images["brightness"].reshape(len(SEVERITIES), 10, 1, 8, 8)[2].numpy()
    at = [next(row for row in range(40) if np.array_equal(to_nchw(wanted)[row], own)) for own in part]
    assert labels[at].tolist() == found.labels.tolist()
    assert (IMAGES, QUICK_IMAGES) == (1000, 10)


def test_every_corruption_has_a_measure_and_a_name() -> None:
    assert ("corrupted", *(f"corrupted_{kind}" for kind in CORRUPTIONS)) == CORRUPTED
    assert name_measure("corrupted") == "accuracy under all corruptions"
    assert name_measure("corrupted_shot_noise") == "accuracy under shot noise"


def test_blocks_share_their_images_and_these_measures_change_no_fingerprint(
    main: Workspace,
    write: Callable[[Content], Study],
    content: Content,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = content["parts"]["small"]
    part["settings"], part["seeds"], part["steps"] = {"6": part["settings"]["6"]}, [0], [1, 2]
    without = open_bench(write(content), "small", main, tmp_path / "area", runtime, quick=False)
    assert _Work(without, without.blocks[0], without.build_recipe(without.blocks[0])).corrupted is None
    part["measures"] = ["accuracy", *CORRUPTED]
    bench = open_bench(write(content), "small", main, tmp_path / "area", runtime, quick=False)
    assert [bench.list_cells(each) for each in bench.blocks] == [without.list_cells(each) for each in without.blocks]
    made, make = list[int](), judging.corrupt_images

    def note(images: np.ndarray, keys: list[str], labels: np.ndarray, *, most: int) -> Corrupted:
        made.append(most)
        return make(images, keys, labels, most=6)

    monkeypatch.setattr(judging, "corrupt_images", note)
    works = [_Work(bench, each, bench.build_recipe(each)) for each in bench.blocks]
    first, second = (work.corrupted for work in works)
    assert first is second and first is not None and made == [IMAGES]
    assert len(first.labels) == 6
    shown = works[1].evaluation
    asked = Asked([Brightest(1.0)], torch.from_numpy(to_nchw(shown.images)), torch.from_numpy(shown.labels.copy()))
    answers = Answers(np.ones((len(shown), 2)), shown.labels, [6, 6], asked, corrupted=second)
    values = [find_value(answers, name) for name in CORRUPTED]
    assert values[0] == pytest.approx(np.mean(values[1:])) and 0 < values[0] < 1
