"""Folders of tiny pipelines with random weights, made once. Without transformers and peft these tests are left out."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("transformers") and find_spec("peft") else ["test_*.py"]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an empty workspace with the folders sd, flagging and unclip."""
    from tests.diffusion import write_pipeline, write_unclip

    folder = tmp_path_factory.mktemp("pipelines")
    (folder / "recipes").mkdir()
    (folder / "params.yaml").touch()
    write_pipeline(folder / "sd")
    write_pipeline(folder / "flagging", flag=True)
    write_unclip(folder / "unclip")
    return folder


@pytest.fixture(scope="session")
def settings(root: Path) -> Callable[..., Any]:
    """The section of a recipe for a folder in `root`, with the folder's own hash."""
    from ops.generators.diffusion.folder import read_pipeline
    from ops.generators.diffusion.generator import SECTIONS

    def make(name: str = "sd", **keys: Any) -> Any:
        kind = "unclip" if name == "unclip" else "stable-diffusion"
        sha256 = read_pipeline(root / name, kind, checked=keys.get("safety_checker", True)).hash_files()
        return SECTIONS[kind](model=name, sha256=sha256, licence="none", **keys)

    return make


@pytest.fixture
def make_generator(
    root: Path, settings: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """The exported generator in a folder below `root`, for images 16 x 16 x 1 of two classes."""
    from ops.files.storage import write_json
    from ops.generators.diffusion.generator import describe_pipeline, load_generator
    from ops.generators.folder import CONFIG
    from ops.recipe.sampler import SamplerSettings

    def make(name: str = "sd", sampler: dict[str, Any] | None = None, **keys: Any) -> Any:
        section = settings(name, **keys)
        folder = root / "data" / f"{len(list(root.glob('data/*')))}"
        folder.mkdir(parents=True)
        common = {"kind": section.kind, "channels": 1, "height": 16, "width": 16, "class_names": ["bag", "ankle_boot"]}
        write_json(folder / CONFIG, describe_pipeline(section, common))
        resolved = section.resolve_sampler(SamplerSettings(solver="ddim", steps=2, **sampler or {}))
        load_generator(folder).export(folder, resolved, folder)
        return load_generator(folder), resolved

    return make
