"""Scorers other than that of the stage: published faults of class order and names, and a probe from start to draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ops.chain.parts import imagination_start as module
from ops.chain.parts.imagination_scorers import (
    OtherScorer,
    check_scorer_of_imagination,
    name_classes,
    prepare_scorer,
    read_judge,
    store_judge,
)
from ops.chain.parts.imagination_start import start_imagination, write_imagination
from ops.chain.parts.imagined_drawer import read_imagined
from ops.datasets.pixels import PixelDataset, build_rows, read_shards
from ops.drawing.pieces import Draws, Piece, fill_pieces
from ops.drawing.stored_seeds import StoredSeeds
from ops.errors import DamagedData, UserError
from ops.files.outputs import IMAGINATION, IMAGINATION_FACTS, IMAGINATION_SCORER
from ops.files.storage import read_json, write_json
from ops.generators.denoising.network import describe_network
from ops.generators.instance.network import build_networks, describe_encoder
from ops.generators.stored_network import save_network
from ops.generators.units import list_parents
from ops.judging.scorer import load_scorer
from ops.recipe.imagination import ImaginationSettings
from ops.recipe.instance import EncoderSettings, InstanceSettings
from ops.recipe.loading import parse_recipe
from ops.recipe.sampler import SamplerSettings
from ops.recipe.scorers import ClipScorer, ProbeScorer, StageScorer
from ops.settings.reading import read_yaml
from tests.priorfolders import NAMES, SHAPE, write_prior, write_scorer, write_seeds

RECIPES = Path(__file__).parents[4] / "recipes"
# MedMNIST's order of PathMNIST, by which real images were labelled; generated ones were by that of sorted folders.
PATH = (
    "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
    "cancer-associated stroma", "colorectal adenocarcinoma epithelium",
)  # fmt: skip
CLIP = ClipScorer(model="clip", sha256="0" * 64)


def write_instance(folder: Path, class_names: tuple[str, ...] = NAMES) -> None:
    """A generator's directory of kind instance, with networks of random weights."""
    own = EncoderSettings(width=8, features=6)
    channels, height, width = SHAPE
    config: dict[str, Any] = {
        "kind": "instance", "channels": channels, "height": height, "width": width, "class_names": list(class_names),
        **describe_encoder(own, SHAPE), **describe_network(InstanceSettings(widths=(16,), encoder=own), channels),
    }  # fmt: skip
    torch.manual_seed(0)
    folder.mkdir()
    save_network(folder, build_networks(config), config)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "params.yaml").write_text("")
    write_scorer(tmp_path / "scorer")
    write_seeds(tmp_path / "real")
    write_instance(tmp_path / "generator")
    return tmp_path


def read_train(root: Path) -> PixelDataset:
    return read_shards(sorted((root / "real").iterdir()))


def prepare(root: Path) -> OtherScorer:
    found = prepare_scorer(
        ProbeScorer(),
        generator=root / "generator",
        scorer=root / "scorer",
        train=read_train(root),
        root=root,
        scratch=root,
    )
    assert found is not None
    return found


def test_the_published_fault_of_pathmnist_is_refused_where_images_are_written(tmp_path: Path) -> None:
    """A scorer learnt classes in MedMNIST's order, and the generator that writes images has that of sorted folders."""
    write_instance(tmp_path / "generator", tuple(sorted(PATH)))
    judge = OtherScorer(tmp_path / "none", {"kind": "probe", "class_names": list(PATH)}, None, tmp_path)
    with pytest.raises(UserError) as caught:
        judge.open(tmp_path / "generator", ["s0"])
    assert str(caught.value).endswith(
        "has the classes in another order: class 2 is 'cancer-associated stroma' there and 'debris' in imagination's"
        " scorer"
    )
    write_instance(tmp_path / "other", PATH[1:])
    with pytest.raises(UserError, match="name different classes: only one of them has 'adipose'"):
        judge.open(tmp_path / "other", ["s0"])


def test_sentences_follow_names_and_not_places() -> None:
    words = {name: f"tissue of {name}" for name in sorted(PATH)}
    table = name_classes(CLIP.model_copy(update={"class_names": words}), PATH, None)
    assert [table.write(label) for label in range(9)] == [f"a photo of a tissue of {name}." for name in PATH]


def test_the_published_fault_of_flowers_is_refused() -> None:
    """The generator was told the numbers of folders, and CLIP the names of flowers."""
    with pytest.raises(UserError, match=r"class '21' has no name .* in sampler\.imagination\.scorer\.class_names"):
        name_classes(CLIP, ("21", "22"), None)
    flowers = {"21": "fire lily", "22": "pincushion flower"}
    named = CLIP.model_copy(update={"class_names": flowers})
    with pytest.raises(UserError, match="the generator's prompts call class '21' '21', and .* calls it 'fire lily'"):
        name_classes(named, ("21", "22"), {"21": "21", "22": "22"})
    # What the generator is told is what CLIP is told, unless the recipe says it twice.
    assert name_classes(CLIP, ("21", "22"), flowers).spoken == tuple(flowers.values())
    assert name_classes(named, ("21", "22"), flowers).spoken == tuple(flowers.values())


def test_a_probe_reads_the_encoder_and_is_cross_fitted_in_the_folds_of_the_stage(root: Path) -> None:
    judge, train = prepare(root), read_train(root)
    ids = train.rows["image_id"].to_list()
    scorer = judge.open(root / "generator", ids)
    levels = (torch.from_numpy(train.images).permute(0, 3, 1, 2).float() / 255).requires_grad_()
    answer = scorer.answer(levels, ids)
    assert answer.log_probabilities.shape == (6, 3)
    torch.testing.assert_close(answer.log_probabilities.exp().sum(1), torch.ones(6))
    assert (torch.autograd.grad(answer.log_probabilities[:, 0].sum(), levels)[0].flatten(1) != 0).any(1).all()
    folds = load_scorer(root / "scorer").folds
    assert scorer.folds == dict(zip(ids, folds.tolist(), strict=True))  # type: ignore[attr-defined]
    with pytest.raises(DamagedData, match="was learnt from 6 images, and there are 5"):
        judge.open(root / "generator", ids[:5])


def test_what_was_stored_is_opened_again(root: Path) -> None:
    judge = prepare(root)
    (root / "data").mkdir()
    write_instance(root / "data" / "exported")
    exported = root / "data" / "exported"
    told, known = store_judge(judge, exported)
    write_json(exported / IMAGINATION, told)
    write_json(exported / IMAGINATION_FACTS, known)
    again = read_judge(exported)
    assert again is not None and again.described == judge.described and again.model is None and again.root == root
    assert (exported / IMAGINATION_SCORER).read_bytes() == judge.file.read_bytes()
    ids = read_train(root).rows["image_id"].to_list()
    images = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(0))
    one, other = (each.open(exported, ids).answer(images, ids) for each in (judge, again))
    assert torch.equal(one.log_probabilities, other.log_probabilities)
    write_json(exported / IMAGINATION, {"mode": "random"})
    assert read_judge(exported) is None  # of the stage


def test_images_are_guided_by_the_prepared_scorer_and_one_near_chance_is_off(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe of few images of noise is near chance: the same path as for the scorer of the stage."""
    monkeypatch.setattr(module, "write_sheet", lambda path, rows: None)
    write_prior(root / "latent", "latent")
    judge = prepare(root)
    monkeypatch.setattr(module, "prepare_scorer", lambda settings, **_: judge)
    opened = []

    def open_from(self: OtherScorer, generator: Path, keys: Any) -> Any:
        opened.append(generator.name)
        return original(self, root / "generator", keys)  # the latent prior has no such encoder

    original = OtherScorer.open
    monkeypatch.setattr(OtherScorer, "open", open_from)
    shards, lines = sorted((root / "real").iterdir()), list[str]()
    for force, mode in ((False, "random"), (True, "guided")):
        settings = ImaginationSettings(radius=3.0, group=2, force=force, scorer=StageScorer())
        sampler = SamplerSettings(solver="euler", steps=1, strength=0.5, imagination=settings)
        train = read_train(root)
        found = start_imagination(
            root / "latent", sampler, root / "scorer", shards, train, root=root, scratch=root, sink=lines.append
        )
        assert found.sampler.imagination is not None and found.sampler.imagination.mode == mode
        assert found.check.is_near_chance and (found.why is None) == force
    write_imagination(root / "latent", found, found.sampler, train, seed=1)
    assert read_json(root / "latent" / IMAGINATION)["scorer"] == judge.described
    assert "latent" in opened
    spec = read_imagined(root / "latent", root / "scorer", shards)
    assert type(spec.open_blocks().imagination.scorer).__name__ == "ProbeScorer"
    draws, store = Draws(list_parents(["s0"], [0]), [2]), StoredSeeds(spec.shards)
    pieces = [Piece(0, 2)]
    drawn = fill_pieces(
        root / "pieces", pieces, spec, draws=draws, seed=4, provider="cpu", workers=1, batch_size=2, seeds=store
    )
    assert list(drawn) == pieces


def test_scorers_that_need_no_folder_are_not_looked_for(tmp_path: Path) -> None:
    recipe = parse_recipe(read_yaml(RECIPES / "smoke.yaml"), "mine.yaml")
    check_scorer_of_imagination(recipe, tmp_path, NAMES)  # does not imagine
    drawing = {"prior": {"kind": "latent", "pool": "others"}, "generator": {"kind": "prior"}}
    content = {**read_yaml(RECIPES / "smoke.yaml"), "on_new_images": "retrain", **drawing}
    plain = parse_recipe({**content, "sampler": {"strength": 0.4, "imagination": {}}}, "mine.yaml")
    check_scorer_of_imagination(plain, tmp_path, NAMES)
    images = np.zeros((1, 4, 4, 1), np.uint8)
    train = PixelDataset(images, build_rows(np.zeros(1, np.int64), ["a"], split="train"), ("a",))
    nobody = prepare_scorer(
        StageScorer(), generator=tmp_path, scorer=tmp_path, train=train, root=tmp_path, scratch=tmp_path
    )
    assert nobody is None
