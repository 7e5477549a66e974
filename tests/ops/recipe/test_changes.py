"""`--set`: the values that texts mean, their place in a recipe, and files that keep their comments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe import changes as changing
from ops.recipe.changes import change_content, change_recipe, keep_effective, parse_changes, write_changes
from ops.recipe.loading import KEPT, load_recipe, parse_recipe
from ops.recipe.schema import Recipe
from tests.workspaces import RECIPE, ROOT

RECIPES = ROOT / "recipes"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "digits.yaml"
    path.write_text(RECIPE.replace("seed: 0\n", "seed: 0  # of everything\n"))
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=0.5", 0.5),
        ("a=null", None),
        ("a=true", True),
        ("a=keep", "keep"),
        ("a='1'", "1"),
        ("a=[1, 2]", [1, 2]),
        ("a={kind: mixup, alpha: 0.2}", {"kind": "mixup", "alpha": 0.2}),
        ("a=b=c", "b=c"),
    ],
)
def test_a_value_is_yaml(text: str, value: object) -> None:
    assert parse_changes([text]) == {"a": value}


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["seed"], "expected key=value"),
        (["=1"], "expected key=value"),
        (["a..b=1"], "expected key=value"),
        (["seed="], "write seed=null for none"),
        (["seed=1", "seed=2"], "is given twice"),
        (["seed=[1"], "--set seed=[1 is not valid YAML"),
    ],
)
def test_another_form_is_one_sentence(texts: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_changes(texts)
    assert sentence in str(caught.value)


def test_changes_apply_to_present_keys_to_defaults_and_to_whole_sections(path: Path) -> None:
    recipe, lines = change_recipe(
        path,
        parse_changes(
            [
                "seed=3",
                "generator.steps=80",
                "mix.real_weight=2",
                "classifier.label_smoothing=0.2",
                "filter.atypical={threshold: 0.2}",
                "expanded.gentle.real_weight=1",
            ]
        ),
    )
    assert (recipe.seed, recipe.mix.real_weight, recipe.classifier.label_smoothing) == (3, 2.0, 0.2)
    assert recipe.generator.steps == 80  # type: ignore[attr-defined]
    assert recipe.expanded["gentle"].real_weight == 1
    assert lines[:2] == ["seed: 0 -> 3", "generator.steps: 60 -> 80"]
    assert lines[3] == "classifier.label_smoothing: default -> 0.2"
    assert path.read_text().count("seed: 0") == 1, "the file stays as it is"


def test_a_key_within_a_section_that_another_change_puts_there_leaves_that_change_as_it_is(path: Path) -> None:
    changes = {"sampler": {"steps": 2}, "sampler.solver": "heun"}
    for _ in range(2):
        changed, lines = change_content({"seed": 0}, changes, path)
        assert changed["sampler"] == {"steps": 2, "solver": "heun"}
        assert lines[1] == "sampler.solver: default -> 'heun'"
    assert changes["sampler"] == {"steps": 2}


def test_a_name_with_dots_is_found_before_it_is_divided(path: Path) -> None:
    path.write_text(path.read_text().replace("  expanded: {}\n", "  weight_0.5: {real_weight: 1}\n"))
    recipe, _ = change_recipe(path, {"expanded.weight_0.5.real_weight": 7})
    assert recipe.expanded["weight_0.5"].real_weight == 7


def test_a_number_of_an_ingredient_is_one_key_of_the_grid(path: Path) -> None:
    path.write_text(path.read_text().replace("  expanded: {}\n", "  expanded: {pairing: mixup}\n"))
    changes = parse_changes(["classifier.grid.pairing.alpha=[0.2, 1.0]", "classifier.grid.weight_decay=[0.1]"])
    recipe, lines = change_recipe(path, changes)
    assert recipe.classifier.grid.axes["pairing.alpha"] == (0.2, 1.0)
    assert lines[0] == "classifier.grid.pairing.alpha: default -> [0.2, 1.0]"
    assert list(keep_effective(path, changes)) == ["classifier.grid.pairing.alpha"], "the decay is the default"
    write_changes(path, changes)
    assert load_recipe(path) == recipe and not keep_effective(path, changes)
    _, lines = change_recipe(path, {"classifier.grid.pairing.alpha": [1.0]})
    assert lines == ["classifier.grid.pairing.alpha: [0.2, 1.0] -> [1.0]"]
    for kind, hint in (("mixup.alhpa", "'pairing.mixup.alpha'"), ("alhpa", "'pairing.alpha'")):
        with pytest.raises(UserError, match=f"unknown key 'classifier.grid.pairing.{kind}'.*did you mean {hint}"):
            change_recipe(path, {f"classifier.grid.pairing.{kind}": [1.0]})


def test_a_number_of_a_bare_kind_can_be_changed_and_is_written_in_one_line(path: Path) -> None:
    path.write_text(path.read_text().replace("  expanded: {}\n", "  expanded: {pairing: mixup}\n"))
    changes = {"expanded.expanded.pairing.alpha": 0.4}
    pairing = change_recipe(path, changes)[0].expanded["expanded"].pairing
    assert (pairing.kind, pairing.alpha) == ("mixup", 0.4)  # type: ignore[attr-defined]
    write_changes(path, changes)
    assert "  expanded: {pairing: {kind: mixup, alpha: 0.4}}\n" in path.read_text()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("mix.real_wieght=1", "unknown key 'mix.real_wieght'"),
        ("generator.steps=much", "'generator.steps'"),
        ("seed.more=1", "'seed' in"),
        ("colour=1", "unknown key 'colour'"),
    ],
)
def test_a_change_is_as_strict_as_the_recipe_and_leaves_the_file(path: Path, change: str, sentence: str) -> None:
    before = path.read_bytes()
    for apply in (change_recipe, write_changes):
        with pytest.raises(UserError) as caught:
            apply(path, parse_changes([change]))
        assert sentence in str(caught.value) and "--set" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["smoke", "fashion-flow"])
def test_what_is_written_is_what_was_looked_at_and_comments_stay(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_bytes((RECIPES / f"{name}.yaml").read_bytes())
    before = path.read_text().splitlines()
    changes = parse_changes(
        ["generator.steps=123", "classifier.grid.learning_rate=[0.01, 0.02]", "filter.clip=null", "seed=9"]
    )
    wanted, lines = change_recipe(path, changes)
    assert write_changes(path, changes) == lines
    assert load_recipe(path) == wanted
    after = path.read_text().splitlines()
    assert len(after) == len(before)
    assert sum(old != new for old, new in zip(before, after, strict=True)) <= 4, "every other line is as it was"
    written = path.stat().st_mtime_ns
    write_changes(path, changes)
    assert path.stat().st_mtime_ns == written, "nothing differs any more"


def test_a_changed_recipe_is_parsed_once_until_its_file_or_the_changes_differ(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[Path | str] = []

    def parse(content: dict[str, Any], where: Path | str) -> Recipe:
        parsed.append(where)
        return parse_recipe(content, where)

    monkeypatch.setattr(changing, "parse_recipe", parse)
    for _ in range(2):
        for steps in (10, 20):
            recipe, lines = change_recipe(path, {"generator.steps": steps})
            assert recipe.generator.model_dump()["steps"] == steps and lines == [f"generator.steps: 60 -> {steps}"]
            lines.clear()  # a caller's own
    assert len(parsed) == 2
    assert change_recipe(path, {"mix.real_weight": 2})[1] == ["mix.real_weight: 4.0 -> 2"]
    assert change_recipe(path, {"mix.real_weight": 2.0})[1] == ["mix.real_weight: 4.0 -> 2.0"]
    path.write_text(path.read_text().replace("steps: 60", "steps: 61"))
    assert change_recipe(path, {"generator.steps": 10})[1] == ["generator.steps: 61 -> 10"]
    assert len(parsed) == 5


def test_more_recipes_than_a_race_has_stay_in_memory(path: Path) -> None:
    others = [path.with_name(f"{number}.yaml") for number in range(25)]
    assert len(others) < KEPT
    for other in others:
        other.write_text(path.read_text())
    first = [load_recipe(other) for other in others]
    assert all(load_recipe(other) is kept for other, kept in zip(others, first, strict=True))
