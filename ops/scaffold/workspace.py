"""Create a workspace: files, git and DVC repositories, a source's description and a recipe that suits it.

`create_workspace` looks only at the images' sizes and counts; `create_recipe` copies a recipe for another source.
Existing files are never overwritten. The module does not know what the settings mean.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ops.errors import UserError
from ops.files.storage import write_text
from ops.history.dvc_repository import initialise
from ops.history.git import run_git
from ops.recipe.loading import load_recipe
from ops.recipe.stages import STAGES
from ops.scaffold.suggestion import adapt_recipe, suggest_settings
from ops.sources.layouts import LAYOUTS
from ops.sources.sketch import SourceSketch, sketch_source
from ops.sources.spec import SourceSpec
from ops.workspaces.workspace import PARAMS, Workspace, suggest

INSTALLATION = Path(__file__).parents[2]
TEMPLATE = "fashion-flow"
COPIED_FILES = ("dvc.yaml", "dagster.yaml", "workspace.yaml", ".dvcignore")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

IGNORED = "/data/\n.growset/\n__pycache__/\n"
PARAMETERS = """\
# The active expansions: Dagster's partitions and DVC's matrix. `growset activate|deactivate NAME` edits it.
expansions:
  - {name}

# The version of each stage's code that made the data here; a newer Growset reports if one must be raised.
stage_versions:
{versions}
# Content hash of each expansion's source when it was last read; `growset run` records it.
source_versions: {{}}
"""
SOURCE = """\
# The description of a source. Its name is the name of this file; recipes name it with `source: {name}`.
# Growset's docs/sources.md explains every key.

# The layout of the files: {kinds}.
kind: {kind}

# The folder or file, absolute or relative to this file; or a URI such as s3://bucket/images.
path: {path}

# The licence of the images as their owner states it; the card of every dataset made from them repeats it.
licence: {licence}
"""
SIZE = """
# Every image is resized to this side in pixels and its middle cropped; `fit: pad` and `fit: stretch` are alternatives.
size: {size}
"""
BACKGROUND = """
# The colour of transparent pixels.
background: {background}
"""
SPLIT = """
# These splits are drawn from the training images, class by class; the same images give the same splits.
split: {split}
"""
README = """\
# {name}

A Growset workspace. `sources/{name}.yaml` describes the images,
`recipes/{name}.yaml` how the dataset is grown.

```sh
growset inspect {name}  # what is in the images: duplicates, probable label errors, outliers
growset check           # report every mistake in one sentence, before any computation
growset plan {name}     # dry run: images per class, seconds, bytes
growset run {name}      # the whole chain; current stages are skipped
growset report {name}   # the path of the report; --open shows it
growset ui              # the Dagster UI on http://127.0.0.1:3000
```
"""


def create_workspace(root: Path, source: Path, *, licence: str = "unknown") -> tuple[Workspace, str, SourceSketch]:
    """Make `root` a workspace for the images in `source`; returns it, its expansion's name and the source's sketch.

    UserError if `root` is not empty or if `source` has no known layout; EnvironmentFault if git fails.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root} is not empty; name an empty folder, or one that does not exist yet")
    name = name_source(source)
    sketch = sketch_source(source, name, licence)
    root.mkdir(parents=True, exist_ok=True)
    try:
        workspace = _lay_out(root.resolve(), name, sketch)
    except BaseException:
        for child in root.iterdir():  # the folder was empty before, so Growset made all of it
            shutil.rmtree(child) if child.is_dir() else child.unlink()
        raise
    return workspace, name, sketch


def create_recipe(workspace: Workspace, name: str, *, template: str, source: str | None) -> Path:
    """Write recipes/<name>.yaml as a copy of `template`, a recipe of the workspace or a shipped one.

    `source` replaces the recipe's source. UserError for a name that exists or is invalid, an unknown recipe or source.
    """
    if not NAME.fullmatch(name):
        raise UserError(
            f"'{name}' cannot name a recipe; allowed: letters, digits, - and _, starting with a letter or digit"
        )
    path = workspace.recipe_path(name)
    if path.exists():
        raise UserError(f"{path} exists already; choose another name")
    shipped = {file.stem: file for file in (INSTALLATION / "recipes").glob("*.yaml")}
    here = {known: workspace.recipe_path(known) for known in workspace.available_recipes()}
    known = shipped | here
    if template not in known:
        raise UserError(f"there is no recipe '{template}'; {suggest(template, sorted(known))}")
    original = load_recipe(known[template])
    wanted = source or original.source
    if not workspace.source_path(wanted).is_file():
        described = sorted(file.stem for file in (workspace.root / "sources").glob("*.yaml"))
        raise UserError(f"there is no source '{wanted}' in {workspace.root / 'sources'}; {suggest(wanted, described)}")
    text = known[template].read_text(encoding="utf-8")
    write_text(path, adapt_recipe(text, {"source": wanted}, f"{name}: made from the recipe {template}."))
    load_recipe(path)
    return path


def name_source(source: Path) -> str:
    """The name of a source and its recipe, from a folder or file: `My Leaves` becomes `my-leaves`, `a.npz` `a`."""
    place = source.resolve()
    name = re.sub(r"[^a-z0-9_]+", "-", (place.stem if place.is_file() else place.name).lower()).strip("-_")
    return name or "images"


def _lay_out(root: Path, name: str, sketch: SourceSketch) -> Workspace:
    workspace = Workspace(root)
    for file in COPIED_FILES:
        shutil.copyfile(INSTALLATION / file, root / file)
    for file, text in _texts(name, sketch).items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        write_text(root / file, text)
    load_recipe(workspace.recipe_path(name))
    run_git(root, "init", "--quiet", "--initial-branch", "main")
    initialise(root)
    shutil.copyfile(INSTALLATION / ".dvc" / "config", root / ".dvc" / "config")
    run_git(root, "add", "--all")
    # A first commit, so that publishing finds nothing staged. Users without a name in git are not asked for one.
    anonymous = (
        ()
        if run_git(root, "config", "--default", "", "user.email").strip()
        else ("-c", "user.name=Growset", "-c", "user.email=growset@localhost")
    )
    run_git(root, *anonymous, "commit", "--quiet", "--message", f"A Growset workspace for {name}")
    return workspace


def _texts(name: str, sketch: SourceSketch) -> Mapping[str, str]:
    """The text of every file that is written and not copied, by its path in the workspace."""
    versions = "".join(f"  {stage}: {_shipped_version(stage)}\n" for stage in STAGES)
    template = (INSTALLATION / "recipes" / f"{TEMPLATE}.yaml").read_text(encoding="utf-8")
    height, width, channels = sketch.shape
    header = (
        f"How {name} is grown: {sketch.counts.sum()} training images of {len(sketch.counts)} classes,"
        f" {height} x {width} x {channels}.\n"
        "Strict: an unknown key is an error. The steps are a starting point chosen from the number of images;\n"
        f"`growset plan {name}` shows their cost on this machine."
    )
    changes = {"source": name, **suggest_settings(sketch.counts, sketch.shape)}
    return {
        PARAMS: PARAMETERS.format(name=name, versions=versions),
        f"sources/{name}.yaml": render_description(sketch.spec),
        f"recipes/{name}.yaml": adapt_recipe(template, changes, header),
        "README.md": README.format(name=name),
        ".gitignore": IGNORED,
    }


def render_description(spec: SourceSpec) -> str:
    """The text of sources/<name>.yaml."""
    kinds = ", ".join(LAYOUTS)
    text = SOURCE.format(
        name=spec.name, kinds=kinds, kind=spec.kind, path=_quote(spec.path), licence=_quote(spec.licence)
    )
    if spec.size is not None:
        text += SIZE.format(size=spec.size)
    if spec.background is not None:
        text += BACKGROUND.format(background=json.dumps(spec.background))
    if spec.split is not None:
        shares = ", ".join(f"{key}: {share}" for key, share in spec.split.model_dump(exclude_defaults=True).items())
        text += SPLIT.format(split=f"{{{shares}}}")
    return text


def _shipped_version(stage: str) -> int:
    return Workspace(INSTALLATION).stage_version(stage)


def _quote(text: str) -> str:
    """The text as a YAML string, for any characters."""
    return "'" + text.replace("'", "''") + "'"
