"""The gate at an exported generator: one whose noise is right passes, one that copies or destroys images does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from ops.chain.parts import variant_gate
from ops.chain.parts.units import take_seeds
from ops.chain.parts.variant_gate import choose_places, choose_rows, examine_variants
from ops.files.outputs import GATE
from ops.files.storage import read_json
from ops.generators.onnx.engine import OnnxFile
from ops.stages.refused import list_refused
from tests.perturb import build_perturb
from tests.sides import NAMES, SIDE, SideScorer, make_sides

COPIES, MOVES, DESTROYS = 0.0, 12.0, 900.0  # grey levels for a noise of 1
TRAIN = make_sides(80, 1)


@pytest.fixture(autouse=True)
def _judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant_gate, "load_scorer", lambda folder: SideScorer(np.arange(80) % 2))


def examine(folder: Path, strength: float, **limits: float | None) -> dict[str, Any]:
    path, lines = folder / "sampler.onnx", list[str]()
    onnx.save(build_perturb((1, SIDE, SIDE), NAMES, strength=strength), str(path))
    found = examine_variants(
        folder, OnnxFile(path), folder, TRAIN, take_seeds(TRAIN), sink=lines.append,
        **{"moves": 2.0, "keeps": 0.9, **limits},
    )  # fmt: skip
    assert read_json(folder / GATE) == found and lines[-1] == f"generator_onnx: {found['sentence']}"
    assert lines[0] == "generator_onnx: judging 160 variants of 80 training images"
    return found


def test_noise_of_the_right_strength_passes_and_its_figures_are_those_of_the_noise(tmp_path: Path) -> None:
    found = examine(tmp_path, MOVES)
    assert list_refused(tmp_path) == {} and found["named"] == 80 and found["kept"] > 0.95
    # The mean difference of two normal numbers is 2 / sqrt(pi) of their deviation; a little is cut off at black.
    assert 0.8 < found["moved"] / (MOVES * 2 / np.sqrt(np.pi)) < 1.0
    assert [(entry["name"], entry["size"], entry["images"]) for entry in found["classes"]] == [
        ("left", 40, 40), ("right", 40, 40),
    ]  # fmt: skip
    assert found["head"] == list(NAMES)


def test_copies_of_the_seed_images_do_not_move(tmp_path: Path) -> None:
    found = examine(tmp_path, COPIES)
    assert found["moved"] == 0.0
    assert list_refused(tmp_path) == dict.fromkeys(
        NAMES, "two variants of an image differ by 0 grey levels, and 2 are needed"
    )
    assert found["sentence"].startswith("2 of 2 classes get no variants: left (two variants of an image differ by 0 ")
    assert examine(tmp_path, COPIES, moves=None)["kept"] == 1.0 and list_refused(tmp_path) == {}


def test_variants_that_lose_their_class_are_refused(tmp_path: Path) -> None:
    found = examine(tmp_path, DESTROYS)
    assert found["kept"] < 0.9 and found["moved"] > 50
    assert any("as often as their images, and 90 % are needed" in why for why in list_refused(tmp_path).values())
    examine(tmp_path, DESTROYS, keeps=None)
    assert list_refused(tmp_path) == {}


def test_the_gate_does_not_depend_on_how_many_images_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = examine(tmp_path, MOVES)
    monkeypatch.setattr(variant_gate, "AT_ONCE", 33)
    assert examine(tmp_path, MOVES) == whole


def test_a_generator_whose_images_are_not_variants_refuses_nothing(tmp_path: Path) -> None:
    assert list_refused(tmp_path) == {}


def test_some_images_of_each_class_are_judged() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [300, 20, 1]))
    rows = choose_rows(labels, 200)
    assert np.bincount(labels[rows]).tolist() == [200, 20, 1]
    assert (np.diff(rows) > 0).all() and rows[rows < 200].size < 200, "not merely the first ones"
    np.testing.assert_array_equal(choose_rows(labels, 200), rows)


def test_two_of_the_variants_that_are_made_together_are_judged_at_random() -> None:
    chosen = [tuple(choose_places(f"image {number}", 5)) for number in range(200)]
    assert chosen[:20] == [tuple(choose_places(f"image {number}", 5)) for number in range(20)]
    assert len(set(chosen)) == 10 and all(first < second for first, second in chosen)  # each pair of five
    assert choose_places("any", 2) == [0, 1]
