"""What is refused before anything is computed: a GPU for images that torch imagines, and a pool of too few images."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.chain import driver
from ops.chain.generator_onnx import build_generator_onnx
from ops.errors import EnvironmentFault, UserError
from ops.files.storage import write_json
from ops.generators.folder import CONFIG
from ops.generators.registry import KINDS
from ops.recipe.imagination import ImaginationSettings
from ops.recipe.kinds import PRIORS
from ops.recipe.sampler import SamplerSettings
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.priors import PRIOR, change_recipe, make_prior_workspace
from tests.workspaces import add_groups, make_workspace


def test_a_gpu_is_refused_for_imagined_images_before_the_generator_is_loaded(tmp_path: Path) -> None:
    sampler = SamplerSettings(strength=0.4, imagination=ImaginationSettings())
    write_json(tmp_path / CONFIG, {"kind": "prior", "class_names": ["a"], "height": 16, "width": 16, "channels": 1})
    run: Any = SimpleNamespace(
        inputs={"generator": tmp_path}, recipe=SimpleNamespace(sampler=sampler), runtime=Runtime(provider="cuda")
    )
    with pytest.raises(EnvironmentFault, match="draws on the CPU"):
        build_generator_onnx(run)


def test_a_probe_is_refused_where_classes_have_an_image_each(tmp_path: Path) -> None:
    root = make_prior_workspace(tmp_path / "workspace")
    sampler = {"strength": 0.4, "imagination": {"mode": "guided", "scorer": "probe"}}
    change_recipe(root, "digits", prior={**PRIOR, "kind": "instance"}, sampler=sampler, data={"images_per_class": 1})
    with pytest.raises(UserError, match="scorer: probe needs two classes of two training images or more.*there are 0"):
        driver.validate(Workspace(root), "digits")


def test_an_arm_of_so_small_a_ratio_that_it_has_no_generated_image_is_refused(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "workspace")
    change_recipe(root, "digits", expanded={"expanded": {}, "few": {"ratio": 0.03}})
    with pytest.raises(UserError, match="digits.yaml: ratio 0.03 of the arm 'few' is rounded to no .* has 16 real"):
        driver.validate(Workspace(root), "digits")
    change_recipe(root, "digits", expanded={"expanded": {}, "few": {"ratio": 0.04}})
    driver.validate(Workspace(root), "digits")


def test_moves_are_not_tried_where_every_class_is_too_small(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "workspace")
    change_recipe(root, "digits", generator={"kind": "geometry", "least": 30}, sampler={})
    with pytest.raises(UserError, match="no class has the 30 images that generator.least asks for; the largest has 16"):
        driver.validate(Workspace(root), "digits")


def test_folds_that_whole_groups_leave_empty_are_refused(tmp_path: Path) -> None:
    """Also once the images are stored, and by the stage itself."""
    root = make_workspace(tmp_path / "workspace")
    add_groups(root, lambda row: row % 4 // 2)
    recipe = root / "recipes" / "digits.yaml"
    written = recipe.read_text()
    workspace, chain = Workspace(root), driver.Chain(Workspace(root), Runtime(workers=1))
    chain.run("digits", "real_images")
    recipe.write_text(written.replace("scorer: {folds: 2", "scorer: {folds: 3"))
    sentence = "scorer.folds 3: .* and that leaves 1 of the folds with fewer than two images; lower it to 2"
    with pytest.raises(UserError, match=sentence):
        driver.validate(workspace, "digits")
    shutil.rmtree(workspace.output("digits", "real_images"))
    with pytest.raises(UserError, match=sentence):
        driver.validate(workspace, "digits")


def test_a_pool_of_fewer_images_than_features_is_refused_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise UserError("there are no real images yet")

    settings = PRIORS["instance"].model_validate({"kind": "instance", "pool": "others", "encoder": {"features": 8}})
    monkeypatch.setattr(driver, "read_content", lambda *args: "content")
    monkeypatch.setattr(driver, "identify", fail)
    monkeypatch.setattr(driver, "open_pool", lambda *args: None)
    monkeypatch.setattr(driver, "try_pool", lambda *args: frozenset(map(str, range(8))))
    monkeypatch.setattr(type(KINDS["instance"]), "check", lambda *args: None)
    workspace: Any = SimpleNamespace(root=Path(), output=lambda *args: Path(), hash_cache=lambda *args: Path())
    recipe: Any = SimpleNamespace(prior=settings, source="mine", verdict=SimpleNamespace(folds=None))
    with pytest.raises(UserError, match="a pool of 8 images is too small for kind: instance"):
        driver._check_pool(workspace, "mine", recipe, (16, 16, 1), {})
