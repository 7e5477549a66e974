"""The recipe reference: the committed page is what the schema gives, and every key is explained."""

from __future__ import annotations

from pathlib import Path

from ops.documents.recipe_reference import render, render_sources
from ops.recipe.loading import load_recipe
from ops.recipe.schema import Recipe

ROOT = Path(__file__).parents[3]


def test_the_committed_page_is_what_the_schema_gives() -> None:
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert page == render(), "run: python -m ops.documents.recipe_reference"
    sources = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    assert sources == render_sources(), "run: python -m ops.documents.recipe_reference"


def test_every_section_and_every_key_of_the_demo_is_on_it_with_a_meaning() -> None:
    page = render()
    demo = load_recipe(ROOT / "recipes" / "fashion-flow.yaml").model_dump(mode="json")
    for section, content in demo.items():
        assert f"\n## `{section}`\n" in page
        if isinstance(content, dict) and section not in ("baselines", "expanded"):
            for key in content:
                assert f"| `{key}" in page, key
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > len(Recipe.model_fields)
    assert all(len(row.split(" | ")[3].strip(" |")) > 5 and "None" not in row for row in rows)


def test_ranges_and_defaults_are_those_of_the_schema() -> None:
    page = render()
    assert "| `confidence` | number > 0.5, < 1 | `0.95` |" in page
    assert "| `ratio` | number > 0, ≤ 1000 | `10` |" in page
    assert "| `seed` | whole number ≥ 0, ≤ 2147483647 | required |" in page
