"""Links from assets to code and recipe: each names a file that is there, and the web page of its repository."""

from pathlib import Path

import dagster as dg
import pytest

from assets.references import find_code, refer
from ops.files.manifests import PUBLISHED
from ops.history.git import find_page, find_top
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from tests.workspaces import run


@pytest.mark.parametrize("asset", [*STAGES, PUBLISHED])
def test_every_asset_names_the_function_that_makes_it(asset: str) -> None:
    file, line = find_code(asset)
    text = file.read_text(encoding="utf-8").splitlines()[line - 1]
    assert text.startswith("def publish(" if asset == PUBLISHED else f"def build_{asset}(")


@pytest.mark.parametrize(
    ("origin", "page"),
    [
        ("git@github.com:lab/leaves.git", "https://github.com/lab/leaves/blob/main"),
        ("https://user:secret@github.com/lab/leaves", "https://github.com/lab/leaves/blob/main"),
        (
            "ssh://git@gitlab.example.org/group/sub/leaves.git",
            "https://gitlab.example.org/group/sub/leaves/-/blob/main",
        ),
        ("/srv/git/leaves.git", None),
        ("https://example.org/leaves.git", None),
    ],
)
def test_the_page_of_a_repository_follows_from_its_origin(fresh_workspace: Path, origin: str, page: str | None) -> None:
    run(fresh_workspace, "git", "remote", "add", "origin", origin)
    assert find_page(fresh_workspace) == page
    assert find_page(fresh_workspace / "recipes") == (page and f"{page}/recipes")
    assert find_page(fresh_workspace, "digits/v1") == (page and page.replace("/main", "/digits/v1"))


def test_a_workspace_may_be_a_folder_of_a_repository(fresh_workspace: Path) -> None:
    assert find_top(fresh_workspace) == (str(fresh_workspace), "")
    assert find_top(fresh_workspace / "recipes") == (str(fresh_workspace), "recipes/")


def test_without_an_origin_there_is_no_page(fresh_workspace: Path, tmp_path: Path) -> None:
    assert find_page(fresh_workspace) is None
    (tmp_path / "plain").mkdir()
    assert find_page(tmp_path / "plain") is None


def test_the_recipe_is_linked_in_the_editor_and_on_the_web(fresh_workspace: Path) -> None:
    run(fresh_workspace, "git", "remote", "add", "origin", "git@github.com:lab/leaves.git")
    found = refer(Workspace(fresh_workspace), "digits", "scorer").code_references
    recipe = [reference for reference in found if (reference.label or "").startswith("recipe")]
    assert [type(reference) for reference in recipe] == [dg.LocalFileCodeReference, dg.UrlCodeReference]
    assert Path(recipe[0].source.removesuffix(":1")) == fresh_workspace / "recipes" / "digits.yaml"
    assert recipe[1].source == "https://github.com/lab/leaves/blob/main/recipes/digits.yaml"
