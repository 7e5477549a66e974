"""Links from an asset to its code and its recipe, in the editor and, for GitHub and GitLab, on the web.

The stage's code is not loaded, because some of it needs torch: its file is searched for the line.
"""

import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import dagster as dg

from ops.files.manifests import PUBLISHED
from ops.files.shipped import CODE, is_clone
from ops.history.git import find_page
from ops.workspaces.workspace import Workspace

BUILDERS = {PUBLISHED: ("ops.chain.publishing", "publish")}  # where it is not ops.chain.STAGE.build_STAGE


def refer(workspace: Workspace, expansion: str, asset: str) -> dg.CodeReferencesMetadataValue:
    """The code of an asset and the recipe that it follows."""
    file, line = find_code(asset)
    found = _refer(file, "code", CODE if is_clone() else None, line)
    return _join([*found, *_refer(workspace.recipe_path(expansion), "recipe", workspace.root)])


def refer_source(workspace: Workspace, source: str) -> dg.CodeReferencesMetadataValue:
    """The description of a source."""
    return _join(_refer(workspace.source_path(source), "source", workspace.root))


def _join(found: list[dg.LocalFileCodeReference | dg.UrlCodeReference]) -> dg.CodeReferencesMetadataValue:
    with warnings.catch_warnings():  # beta in this Dagster; the page shows it all the same
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.CodeReferencesMetadataValue(code_references=found)


@cache
def find_code(asset: str) -> tuple[Path, int]:
    """The file and line of the function that makes an asset."""
    module, function = BUILDERS.get(asset, (f"ops.chain.{asset}", f"build_{asset}"))
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    lines = Path(spec.origin).read_text(encoding="utf-8").splitlines()
    return Path(spec.origin), next(i for i, text in enumerate(lines, start=1) if text.startswith(f"def {function}("))


def _refer(
    file: Path, label: str, repository: Path | None, line: int | None = None
) -> list[dg.LocalFileCodeReference | dg.UrlCodeReference]:
    """A file on this machine and, if its repository has a page, there."""
    page = _find_page(repository) if repository else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        found: list[dg.LocalFileCodeReference | dg.UrlCodeReference] = [
            dg.LocalFileCodeReference(file_path=str(file), line_number=line or 1, label=label)
        ]
        if page is not None and repository is not None:
            anchor = f"#L{line}" if line else ""
            url = f"{page}/{file.relative_to(repository).as_posix()}{anchor}"
            found.append(dg.UrlCodeReference(url=url, label=f"{label} on the web"))
    return found


@cache
def _find_page(repository: Path) -> str | None:
    """Asked of git once per process: the code location asks for each of its assets."""
    return find_page(repository)
