"""Create a workspace: files, git and DVC repositories, a source's description and a recipe that suits it.

`create_workspace` looks only at the images' sizes and counts, in an empty folder or in a project that exists already;
`create_example` makes one for the example images; `create_recipe` copies a recipe for another source. No line of an
existing file is changed. The module does not know what the settings mean.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.errors import UserError
from ops.files.shipped import shipped
from ops.files.storage import write_bytes, write_text
from ops.history.dvc_repository import check_pipeline, initialise
from ops.history.figures import render_figures
from ops.history.git import run_git, sign_anonymously
from ops.recipe.changes import Changes, write_changes
from ops.recipe.loading import load_recipe
from ops.recipe.named_sources import list_named
from ops.scaffold.adoption import find_repository, merge, undone_if_it_fails
from ops.scaffold.suggestion import adapt_recipe
from ops.scaffold.texts import read_template, render_description, render_parameters, render_readme, render_recipe
from ops.sources.pool import count_pool
from ops.sources.sketch import SourceSketch, recognise_unlabelled, sketch_source
from ops.sources.spec import SourceSpec, load_source_spec
from ops.sources.tables import is_separated
from ops.workspaces.names import LONGEST, SOURCES, check_name
from ops.workspaces.workspace import PARAMS, Workspace, suggest

COPIED_FILES = ("dvc.yaml", "dagster.yaml", "workspace.yaml", ".dvcignore")
DVC_SETTINGS = ".dvc/config"
EXAMPLE, EXAMPLE_RECIPES = "fashion-mnist", ("smoke", "fashion-flow")
UNLABELLED = "unlabelled"  # ends the name of the source of images without labels
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Created:
    """A new workspace and its first expansion.

    `sketch` is the first look at the images, None for the example. `uncommitted` are the files that the user has to
    commit: git's first commit has them, unless the repository was there before. `unlabelled` are the source of images
    without labels and their number, None without such.
    """

    workspace: Workspace
    name: str
    sketch: SourceSketch | None
    uncommitted: tuple[str, ...]
    unlabelled: tuple[str, int] | None = None


def create_workspace(
    root: Path,
    source: Path,
    *,
    licence: str = "unknown",
    adopt: bool = False,
    size: int | None = None,
    unlabelled: Path | None = None,
) -> Created:
    """Make `root` a workspace for the images in `source`, which become squares of `size` pixels if it is given.

    With `unlabelled` its recipe expands the images there, which need no labels, and those of `source` teach probes.

    Without `adopt` it must be empty or missing, and outside of every repository. With `adopt` it may hold a project,
    whose git and DVC repositories are used, and whose files get what is missing in them. UserError if that is not
    possible or if `source` has no known layout; EnvironmentFault if git fails. Then everything is as before.
    """
    name = name_source(source)
    if (root / "data" / name).exists():  # perhaps the images themselves
        name += "-grown"
    _require_place(root, name, adopt=adopt)
    for images in (source, *(() if unlabelled is None else (unlabelled,))):
        if root.resolve().is_relative_to(images.resolve()):
            raise UserError(
                f"{root} lies in {images}, so its files would count as images; keep the images in a folder apart"
            )
    sketch, others = sketch_source(source, name, licence, size), None
    specs = [sketch.spec]
    if unlabelled is not None:
        specs.append(recognise_unlabelled(unlabelled, f"{name}-{UNLABELLED}", licence))
        others = specs[1].name, count_pool(specs[1])
    files = {
        **{f"sources/{spec.name}.yaml": render_description(spec, _place_images(root, spec)).encode() for spec in specs},
        f"recipes/{name}.yaml": render_recipe(name, sketch, others).encode(),
        **share_files(root, [name], name, source=name),
    }
    return Created(Workspace(root.resolve()), name, sketch, set_up(root, files, name, [name]), others)


def _place_images(root: Path, spec: SourceSpec) -> str:
    """The path of a description's images: relative to it where they lie in the workspace."""
    inside = spec.root.is_relative_to(root.resolve())
    return os.path.relpath(spec.root, root.resolve() / "sources") if inside else str(spec.root)


def create_example(root: Path, *, adopt: bool = False) -> Created:
    """As `create_workspace`, with the example images that come with Growset and the two recipes for them."""
    name = EXAMPLE_RECIPES[-1]
    _require_place(root, name, adopt=adopt)
    images = sorted(path for path in (shipped() / "examples" / EXAMPLE).iterdir() if path.is_file())
    files = {
        f"sources/{EXAMPLE}.yaml": (shipped() / "sources" / f"{EXAMPLE}.yaml").read_bytes(),
        **{f"examples/{EXAMPLE}/{path.name}": path.read_bytes() for path in images},
        **{
            f"recipes/{recipe}.yaml": read_template(shipped() / "recipes" / f"{recipe}.yaml").encode()
            for recipe in EXAMPLE_RECIPES
        },
        **share_files(root, EXAMPLE_RECIPES, name, source=EXAMPLE),
    }
    return Created(Workspace(root.resolve()), name, None, set_up(root, files, EXAMPLE, EXAMPLE_RECIPES))


def create_recipe(
    workspace: Workspace, name: str, *, template: str, source: str | None, changes: Changes
) -> tuple[Path, SourceSpec | None]:
    """Write recipes/<name>.yaml as a copy of `template`, a recipe of the workspace or a shipped one.

    `source` replaces the recipe's source, also where the recipe learns from that source's images without their labels;
    `changes` are applied to the copy. The shipped description of images that
    users bring is copied too where the workspace has none; returned are the recipe's path and that description.
    UserError for a name that exists or is invalid, an unknown recipe or source.
    """
    if not NAME.fullmatch(name):
        raise UserError(
            f"'{name}' cannot name a recipe; allowed: letters, digits, - and _, starting with a letter or digit"
        )
    check_name(name)
    path = workspace.recipe_path(name)
    if path.exists():
        raise UserError(f"{path} exists already; choose another name")
    templates = {file.stem: file for file in (shipped() / "recipes").glob("*.yaml")}
    here = {known: workspace.recipe_path(known) for known in workspace.available_recipes()}
    known = templates | here
    if template not in known:
        raise UserError(f"there is no recipe '{template}'; {suggest(template, sorted(known))}")
    original = load_recipe(known[template])
    wanted = source or original.source
    description, brought = workspace.source_path(wanted), None
    if not description.is_file():
        brought = None if source else _find_brought(wanted)
        if brought is None:
            described = sorted(file.stem for file in description.parent.glob("*.yaml"))
            raise UserError(f"there is no source '{wanted}' in {description.parent}; {suggest(wanted, described)}")
    text = read_template(known[template])
    named = {key: wanted for key, value in list_named(original).items() if value == original.source}
    write_text(path, adapt_recipe(text, named, f"{name}: made from the recipe {template}."))
    try:
        write_changes(path, changes)
    except BaseException:
        path.unlink()
        raise
    if brought is None:
        return path, None
    write_text(description, read_template(brought))
    return path, load_source_spec(description)


def _find_brought(source: str) -> Path | None:
    """The shipped description of a source whose files users bring, which has an `origin`; None if it is no such one."""
    path = shipped() / "sources" / f"{source}.yaml"
    return path if path.is_file() and load_source_spec(path).origin else None


def name_source(source: Path) -> str:
    """The name of a source and its recipe, from a folder or file: `My Leaves` becomes `my-leaves`, `a.npz` `a`.

    A table has the name of its folder.
    """
    place = source.resolve()
    if is_separated(place):
        place = place.parent
    name = re.sub(r"[^a-z0-9_]+", "-", (place.stem if place.is_file() else place.name).lower())
    name = name.strip("-_")[:LONGEST].rstrip("-_")
    return "images" if name in ("", SOURCES) else name


def _require_place(root: Path, name: str, *, adopt: bool) -> None:
    """UserError unless a workspace can be made in `root`."""
    top = find_repository(root)
    if adopt:
        if not root.is_dir():
            raise UserError(f"{root} is not a folder")
        if (root / PARAMS).is_file() and (root / "recipes").is_dir():
            raise UserError(
                f"{root} is a Growset workspace already; describe more images in sources/, then: growset new"
            )
        if top is not None and top != root.resolve():
            raise UserError(f"{root} lies in the repository {top}; --here needs its top folder: call it in {top}")
        for taken in (root / "data" / name, root / "data.dvc"):
            if taken.exists():
                raise UserError(f"{taken} exists already, where a workspace keeps its data; move it first")
        return
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(
            f"{root} is not empty; name an empty folder or one that does not exist yet, or make the project there a"
            " workspace: call `growset init --here` in it"
        )
    if top is not None and not _is_ignored(top, root):
        raise UserError(
            f"{root} would be a repository in the repository {top}; name a folder outside of it, make {top} itself the"
            f" workspace (`growset init --here` in it), or add the folder to {top / '.gitignore'}"
        )


def _is_ignored(top: Path, folder: Path) -> bool:
    """Whether the git repository `top` ignores the folder, which then may be a repository of its own."""
    if not (top / ".git").exists() or folder.resolve() == top:
        return False
    name = folder.resolve().relative_to(top).as_posix()
    return subprocess.run(["git", "-C", str(top), "check-ignore", "--quiet", f"{name}/"], check=False).returncode == 0


def share_files(root: Path, expansions: Sequence[str], name: str, *, source: str) -> dict[str, bytes]:
    """What every workspace has, by path."""
    data = root / "data"
    used = data.is_dir() and any(data.iterdir())  # by the project: its own files there stay visible to git
    ignored = [f"/data/{expansion}/" for expansion in expansions] if used else ["/data/"]
    return {
        PARAMS: render_parameters(expansions).encode(),
        "README.md": render_readme(name, source).encode(),
        ".gitignore": "".join(f"{line}\n" for line in [*ignored, ".growset/", "__pycache__/", "/dvc_plots/"]).encode(),
        **{file: (shipped() / file).read_bytes() for file in COPIED_FILES},
        **{path: content for expansion in expansions for path, content in render_figures(expansion).items()},
    }


def set_up(root: Path, files: Mapping[str, bytes], title: str, expansions: Sequence[str]) -> tuple[str, ...]:
    """Write or extend the files, and make the repositories that are missing; returns the files left to commit."""
    root.mkdir(parents=True, exist_ok=True)
    root = root.resolve()
    has_git, has_dvc = (root / ".git").exists(), (root / ".dvc").is_dir()
    with undone_if_it_fails(root, files):
        contents = {
            name: merge(name, (root / name).read_bytes(), content) if (root / name).exists() else content
            for name, content in files.items()
        }
        written = [name for name, content in contents.items() if not _holds(root / name, content)]
        for name in written:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(root / name, contents[name])
        for expansion in expansions:
            load_recipe(Workspace(root).recipe_path(expansion))
        if not has_git:
            run_git(root, "init", "--quiet", "--initial-branch", "main")
        if not has_dvc:
            initialise(root)
            if has_git:
                run_git(root, "reset", "--quiet", "--", ".dvc", ".dvcignore")  # which DVC has staged
            write_bytes(root / DVC_SETTINGS, (shipped() / DVC_SETTINGS).read_bytes())
            written += [DVC_SETTINGS, ".dvc/.gitignore"]
        check_pipeline(root)
        if has_git:
            return tuple(written)
        _commit(root, written, f"A Growset workspace for {title}")
        return ()


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _commit(root: Path, names: Sequence[str], message: str) -> None:
    """A first commit, so that publishing finds nothing staged."""
    run_git(root, "add", "--", *names)
    run_git(root, *sign_anonymously(root), "commit", "--quiet", "--message", message)
