"""Dagster and DVC side by side: both must parse with the one antlr runtime that is installed.

DVC brings hydra and omegaconf, whose stable releases pin antlr 4.9; Dagster's selection parser is generated for 4.13.
pyproject.toml takes pre-releases that bring their own. Each side is tried, because pip installs either in silence.
"""

from __future__ import annotations

from importlib.metadata import version


def test_dagster_parses_a_selection() -> None:
    import dagster as dg

    selection = dg.AssetSelection.from_string("key:a")
    assert selection == dg.AssetSelection.from_string('key:"a"')
    assert str(dg.AssetSelection.from_string("+key:a or key:b*")) == '+key:"a" or key:"b*"'


def test_dvc_parses_hydra_overrides() -> None:
    from dvc.utils.hydra import to_hydra_overrides

    first, second = to_hydra_overrides(["a=1", "b.c=[x,2]"])
    assert (first.key_or_group, first.value()) == ("a", 1)
    assert (second.key_or_group, second.value()) == ("b.c", ["x", 2])


def test_hydra_composes_a_configuration_through_omegaconf() -> None:
    from omegaconf import OmegaConf

    assert OmegaConf.create({"a": 1, "b": "${a}"}).b == 1


def test_antlr_runtime_is_the_one_that_dagsters_parser_needs() -> None:
    assert version("antlr4-python3-runtime").startswith("4.13")
