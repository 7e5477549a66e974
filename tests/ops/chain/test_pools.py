"""What validation says about the pool of a prior, before anything is trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import Result

from ops.chain.contents import read_contents
from ops.chain.driver import validate
from ops.chain.parts import pools
from ops.datasets.identity import content_ids
from ops.errors import EnvironmentFault, UserError
from ops.files.outputs import PRIOR as FACTS
from ops.files.outputs import TRAINED_ON
from ops.files.storage import write_json
from ops.scaffold.rehearsal import create_rehearsal
from ops.sources.pool import adapt, read_pool
from ops.sources.spec import load_source_spec
from ops.workspaces.workspace import Workspace
from tests.priors import IMAGES, POOL, PRIOR, change_recipe, make_prior_workspace, pool_images, write_pool
from tests.workspaces import digit_splits, growset


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_prior_workspace(tmp_path_factory.mktemp("pools") / "workspace")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "workspace", symlinks=True)


def check(root: Path) -> Result:
    return growset(root, "check", "digits")


def refuse(root: Path) -> str:
    """The one sentence with which `growset check` ends, with exit code 2; nothing has been made."""
    result = check(root)
    assert result.exit_code == 2, result.output
    assert not (root / "data").exists()
    return result.output.strip()


def test_a_pool_of_other_images_passes(root: Path) -> None:
    result = check(root)
    assert result.exit_code == 0 and f"digits: ok; its prior learns from the pool {POOL}" in result.output


@pytest.mark.parametrize(("split", "planted"), [("validation", [5]), ("test", [0, 3, 9])])
def test_images_of_validation_and_test_are_refused_with_their_number_and_an_example(
    root: Path, split: str, planted: list[int]
) -> None:
    images = digit_splits()[split].images[planted]
    write_pool(root, np.concatenate([pool_images()[:20], images]))
    sentence = refuse(root)
    first = sorted(content_ids(images))[0]
    many = "3 images that are" if len(planted) == 3 else "an image that is"
    assert f"the pool '{POOL}' holds {many} among the {split} images too, e.g. {first};" in sentence


def test_training_images_may_be_in_the_pool_unless_they_are_test_images_of_a_fold(root: Path) -> None:
    write_pool(root, np.concatenate([pool_images()[:20], digit_splits()["train"].images]))
    assert check(root).exit_code == 0
    change_recipe(root, "digits", data={}, verdict={"folds": 3})
    assert "images that are among the train images, which become test images in a fold too, e.g." in refuse(root)


def test_images_from_before_a_nuisance_are_known_as_well(root: Path) -> None:
    write_pool(root, np.concatenate([pool_images()[:20], digit_splits()["test"].images[:1]]))
    change_recipe(root, "digits", data={"nuisance": "rotation"})
    assert "an image that is among the test images too" in refuse(root)


def test_the_source_itself_may_be_the_pool(root: Path) -> None:
    change_recipe(root, "digits", prior={**PRIOR, "pool": "digits"})
    assert check(root).exit_code == 0


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        (
            {"generator": {"kind": "flow", "pseudo_labels": {}}, "sampler": {"usable_from": None}},
            "generator.pseudo_labels",
        ),
        ({"baselines": {"real": {}, "p": {"unlabelled": "pseudo_labels"}}}, "baselines.p.unlabelled"),
    ],
)
def test_a_pool_of_labelled_images_alone_is_refused_where_it_is_to_be_labelled(
    root: Path, sections: dict[str, object], key: str
) -> None:
    change_recipe(root, "digits", prior={**PRIOR, "pool": "digits"}, **sections)
    assert check(root).exit_code == 0, "16 images of each class are labelled"
    change_recipe(root, "digits", data={})
    assert f"every image of the pool 'digits' is a labelled training image, so none is left for {key}; b" in refuse(
        root
    )


def test_an_empty_pool_is_refused(root: Path) -> None:
    for path in (root / POOL).iterdir():
        path.unlink()
    assert f"the pool '{POOL}' is empty" in refuse(root)


def test_a_pool_of_another_shape_is_refused(root: Path) -> None:
    write_pool(root, np.random.default_rng(0).integers(0, 256, (IMAGES, 16, 16, 3), np.uint8))
    assert "has images of 16x16 RGB, the labelled ones are 16x16 grey" in refuse(root)


def test_a_pool_without_a_description_is_refused(root: Path) -> None:
    change_recipe(root, "digits", prior={**PRIOR, "pool": "other"})
    assert f"there is no source 'other' ({root}/sources/other.yaml); did you mean '{POOL}'?" in refuse(root)


def test_the_content_of_the_pool_is_told_beside_that_of_the_source(root: Path) -> None:
    workspace = Workspace(root)
    before = read_contents(workspace, workspace.load_recipe("digits"))
    assert set(before) == {"real_images", "prior"}
    (root / POOL / "0000.png").unlink()
    after = read_contents(workspace, workspace.load_recipe("digits"))
    assert after["real_images"] == before["real_images"] and after["prior"] != before["prior"]


def test_a_pool_that_has_changed_since_the_prior_saw_it_is_not_read_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = {"settings": {"source": "digits"}, "metrics": {"shape": [16, 16, 1]}}
    monkeypatch.setattr(pools, "read_manifest", lambda folder: manifest)
    write_json(tmp_path / FACTS, {"pool": POOL})
    pl.DataFrame({"image_id": content_ids(pool_images())}).write_parquet(tmp_path / TRAINED_ON)
    found = pools.read_seen_pool(Workspace(root), tmp_path, tmp_path)
    np.testing.assert_array_equal(found.images, pool_images())
    (root / POOL / "0000.png").unlink()
    with pytest.raises(EnvironmentFault, match="the pool 'others' have changed since the prior learnt from them"):
        pools.read_seen_pool(Workspace(root), tmp_path, tmp_path)


def test_a_rehearsal_has_a_pool_of_its_own_without_its_labelled_images(root: Path) -> None:
    train = digit_splits()["train"]
    write_pool(root, np.concatenate([train.images, pool_images()]))
    workspace = Workspace(root)
    labelled = load_source_spec(workspace.source_path("digits"))
    pool = read_pool(adapt(load_source_spec(workspace.source_path(POOL)), labelled), (16, 16, 1))
    small, _ = create_rehearsal(workspace, "digits", train, labelled, {}, pool)
    name = "digits-quick"
    recipe = validate(small, name)  # would refuse validation and test images, which come from `train`
    assert recipe.prior is not None and recipe.prior.pool == f"{name}-pool"  # type: ignore[attr-defined]
    spec = load_source_spec(small.source_path(f"{name}-pool"))
    # The rehearsal takes all 64 labelled images, so the others are left.
    assert set(read_pool(spec, (16, 16, 1)).ids) == set(pool.ids) - set(content_ids(train.images))
    with pytest.raises(UserError, match="needs images in the pool that are not among the labelled ones"):
        create_rehearsal(workspace, "digits", train, labelled, {}, read_pool(labelled, (16, 16, 1)))
