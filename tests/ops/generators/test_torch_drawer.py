"""The drawer in torch: the bits of an image depend on its own feeds alone, and both drawers give the same pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.drawing import pieces as module
from ops.drawing.pieces import Draws, cut_pieces, fill_pieces
from ops.drawing.stored_seeds import StoredSeeds
from ops.errors import EnvironmentFault, UserError
from ops.files.storage import write_json
from ops.generators.drawers import DrawerSpec
from ops.generators.feeds import make_feeds, spread_draws
from ops.generators.folder import CONFIG, WEIGHTS, find_sampler
from ops.generators.onnx.engine import Sampler
from ops.generators.registry import KINDS
from ops.generators.torch_drawer import PART_IMAGES, TorchFile
from ops.generators.units import list_parents
from ops.recipe.sampler import SamplerSettings
from tests.perturb import Perturb, PerturbGenerator, draw_seeds

SHAPE = (3, 10, 13)
CONTENT = {"kind": "perturb", "channels": 3, "height": 10, "width": 13, "class_names": ["a", "b"], "strength": 24.0}


@pytest.fixture
def flow(generator_folder: Path) -> TorchFile:
    """A real network that draws in torch."""
    sampler = SamplerSettings(solver="heun", steps=3)
    return TorchFile(generator_folder / WEIGHTS, KINDS["flow"].load, ("noise", "label"), sampler)


def test_the_bits_of_an_image_do_not_depend_on_batch_size_order_or_neighbours(flow: TorchFile) -> None:
    feeds = make_feeds(("noise", "label"), SHAPE, spread_draws("x", np.arange(2 * PART_IMAGES + 7) % 3), seed=2)
    expected = flow.open("cpu", 64).draw(feeds)
    for size in (1, 5, 100):
        np.testing.assert_array_equal(flow.open("cpu", 64).with_batch_size(size).draw(feeds), expected)
    turned = {name: array[::-1].copy() for name, array in feeds.items()}
    np.testing.assert_array_equal(flow.open("cpu", 64).draw(turned)[::-1], expected)
    few = {name: array[5:9] for name, array in feeds.items()}
    np.testing.assert_array_equal(flow.open("cpu", 64).draw(few), expected[5:9])


def test_it_draws_what_the_exported_sampler_draws(flow: TorchFile, generator_folder: Path) -> None:
    feeds = make_feeds(("noise", "label"), SHAPE, spread_draws("x", np.arange(40) % 3), seed=2)
    sampler = Sampler(find_sampler(generator_folder))
    apart = np.abs(flow.open("cpu", 64).draw(feeds).astype(int) - sampler.draw(feeds))
    assert (apart > 1).mean() < 0.001
    info = flow.read_info()
    assert (info.class_names, info.shape, info.inputs) == (
        sampler.info.class_names, sampler.info.shape, sampler.info.inputs
    )  # fmt: skip


def test_wrong_labels_inputs_and_providers_are_refused(flow: TorchFile) -> None:
    feeds = make_feeds(("noise", "label"), SHAPE, spread_draws("x", np.array([0, 3])), seed=2)
    with pytest.raises(UserError, match=r"labels must lie in 0\.\.2; got 0\.\.3"):
        flow.open("cpu", 8).draw(feeds)
    with pytest.raises(ValueError, match="takes noise, label; it is fed noise"):
        flow.open("cpu", 8).draw({"noise": feeds["noise"]})
    with pytest.raises(EnvironmentFault, match="this generator draws on the CPU"):
        flow.choose_provider("cuda", allow_fallback=False)
    assert {flow.choose_provider(w, allow_fallback=True) for w in ("auto", "cpu", "cuda")} == {"cpu"}


def fill(spec: DrawerSpec, folder: Path, draws: Draws, store: StoredSeeds, workers: int) -> np.ndarray:
    pieces = cut_pieces(len(draws), 5)
    done = fill_pieces(
        folder, pieces, spec, draws=draws, seed=4, provider="cpu", workers=workers, batch_size=3, seeds=store
    )
    assert sorted(done) == pieces
    return np.concatenate([np.load(folder / piece.file_name) for piece in pieces])


def test_both_drawers_give_the_same_bytes_for_one_and_for_two_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORKER_SHARE", 1)
    seeds = draw_seeds(SHAPE, [0, 1, 1, 0])
    rows = build_rows(seeds.labels, list(seeds.ids), split="train")
    shards = write_shards(tmp_path, PixelDataset(seeds.images, rows, ("a", "b")), prefix="train")
    draws, store = Draws(list_parents(seeds.ids, seeds.labels.tolist()), (4, 3, 5, 2)), StoredSeeds(tuple(shards))
    drawn = []
    for drawer in ("onnx", "torch"):
        folder = tmp_path / drawer
        folder.mkdir()
        PerturbGenerator({**CONTENT, "drawer": drawer}).export(folder, SamplerSettings(), tmp_path)
        spec = Perturb().find_drawer(folder)
        assert spec.uses_torch == (drawer == "torch")
        drawn += [fill(spec, folder / str(workers), draws, store, workers) for workers in (1, 2)]
    assert drawn[0].std() > 10
    for other in drawn[1:]:
        np.testing.assert_array_equal(drawn[0], other)


def test_a_rewritten_generator_is_opened_again(tmp_path: Path) -> None:
    seeds, store_folder = draw_seeds(SHAPE, [0, 1]), tmp_path / "seeds"
    rows = build_rows(seeds.labels, list(seeds.ids), split="train")
    store = StoredSeeds(tuple(write_shards(store_folder, PixelDataset(seeds.images, rows, ("a", "b")), prefix="train")))
    draws = Draws(list_parents(seeds.ids, [0, 1]), (2, 2))
    drawn = []
    for strength in (24.0, 0.0):
        write_json(tmp_path / CONFIG, {**CONTENT, "strength": strength, "drawer": "torch"})
        drawn.append(fill(Perturb().find_drawer(tmp_path), tmp_path / str(strength), draws, store, 1))
    assert (drawn[0] != drawn[1]).mean() > 0.5
