"""The licences of what the extras `clip` and `diffusion` bring along, beside the environment, for few tests."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from ops.documents.dependencies import read_closure
from ops.documents.licences import PRETRAINED, find_refusals

PAGE = Path(__file__).parents[3] / "docs" / "licences.md"


@pytest.mark.skipif(find_spec("transformers") is None, reason="the extra `clip` is not installed")
def test_the_packages_of_the_extras_have_allowed_licences_and_are_on_the_page() -> None:
    closure = read_closure(extras=PRETRAINED)
    assert closure.missing == () and "transformers" in closure.packages
    assert find_refusals(closure.packages.values()) == []
    listed = PAGE.read_text(encoding="utf-8").replace(",", " ").split()
    assert closure.packages.keys() - {*listed, "growset"} == set(), "run: make licences"
