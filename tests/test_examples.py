"""The examples in docstrings, run as they stand; and that there are some for whoever opens `ops` from a notebook."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = (
    "ops.classifiers.blending", "ops.datasets.identity", "ops.datasets.longtail", "ops.generators.noise",
    "ops.likeness", "ops.metrics.frechet", "ops.statistics.proportions",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
