"""A workspace that has published twice, and how a workspace comes to commit what it publishes."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.publications import digest
from tests.workspaces import growset, one_core, run, set_remote

# What a second publication takes: the weights of the published rows differ, and nothing is trained but classifiers.
SECOND = ("real_weight: 4.0", "real_weight: 7.0")


@dataclass(frozen=True)
class Versions:
    """A workspace whose expansion has the tags digits/v1 and digits/v2, its remote beside it; the files of both, by
    tag and then by path, those of `published/digits` and of `data/digits`."""

    root: Path
    published: dict[str, dict[str, bytes]]
    data: dict[str, dict[str, bytes]]


def publish_with_commits(root: Path, url: str, **options: str) -> None:
    """Give the workspace a remote, with options of `dvc remote modify`, and a recipe that asks for commits."""
    set_remote(root, url, **options)
    recipe = root / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("publish: {}", "publish: {commit: true}"))
    run(root, "git", "commit", "--quiet", "--all", "--message", "Commit what is published")


def publish_twice(finished: Path, folder: Path) -> Versions:
    """A copy of a finished workspace in `folder`, published as digits/v1 and, with another weight, as digits/v2."""
    root = shutil.copytree(finished, folder / "workspace", symlinks=True)
    publish_with_commits(root, str(folder / "storage"))
    versions = Versions(root, {}, {})
    for tag in ("digits/v1", "digits/v2"):
        with one_core():
            result = growset(root, "run", "digits")
        assert result.exit_code == 0, result.output
        versions.published[tag] = digest(root / "published" / "digits")
        versions.data[tag] = digest(root / "data" / "digits")
        recipe = root / "recipes" / "digits.yaml"
        recipe.write_text(recipe.read_text().replace(*SECOND))
    assert run(root, "git", "tag").stdout.split() == list(versions.published)
    assert run(root, "git", "status", "--short", "--untracked-files=no").stdout == ""
    return versions
