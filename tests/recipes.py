"""Recipes for tests of their keys: the smoke recipe with other sections, and refusals in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.loading import parse_recipe
from ops.recipe.schema import Recipe
from ops.settings.reading import read_yaml

SMOKE = Path(__file__).parents[1] / "recipes" / "smoke.yaml"
AUTOMATION_KEYS = ("automation",)  # read by the UI's schedules and sensors alone, and by no stage


def parse_prior(prior: dict[str, Any], sampler: dict[str, Any] | None = None, **sections: Any) -> Recipe:
    """The recipe with a generator that draws with a prior of the pool `others`, by default at a strength of 0.4."""
    drawing = {"prior": {"pool": "others", **prior}, "generator": {"kind": "prior"}}
    given = {**drawing, "sampler": sampler or {"strength": 0.4}, **sections}
    return parse_recipe({**read_yaml(SMOKE), **given}, "mine.yaml")


@contextmanager
def refused(words: str) -> Iterator[None]:
    """Inside, a user's mistake is told in one line that holds these words."""
    with pytest.raises(UserError) as caught:
        yield
    assert words in str(caught.value) and "\n" not in str(caught.value)
