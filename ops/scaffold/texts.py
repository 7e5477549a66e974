"""The texts of a new workspace: settings, the description of a source, a recipe that suits it, the README.

Every function returns text and writes nothing. Comments name commands (`growset docs recipes`), never a path of the
place where Growset is installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from ops.files.shipped import shipped
from ops.recipe.stages import STAGES
from ops.scaffold.suggestion import adapt_recipe, suggest_settings, suggest_unlabelled
from ops.sources.layouts import LAYOUTS
from ops.sources.sketch import SourceSketch
from ops.sources.spec import SourceSpec
from ops.workspaces.workspace import Workspace

TEMPLATE, WITHOUT_LABELS = "fashion-flow", "fashion-adainf"

PARAMETERS = """\
# The active expansions: Dagster's groups of assets and DVC's matrix. `growset activate|deactivate NAME` edits it.
expansions:
{expansions}

# The version of each stage's code that made the data here. `growset check` and `growset run` of a newer Growset say if
# one is below its own; `growset upgrade` raises it.
stage_versions:
{versions}
# Content hash of each expansion's source when it was last read; `growset run` records it.
source_versions: {{}}
"""
SOURCE = """\
# The description of a source. Its name is the name of this file; recipes name it with `source: {name}`.
# `growset docs sources` explains every key.

# The layout of the files: {kinds}.
kind: {kind}

# The folder or file, absolute or relative to this file; or a URI such as s3://bucket/images.
path: {path}

# The licence of the images as their owner states it; the card of every dataset made from them repeats it.
licence: {licence}
"""
COLUMNS = """
# The columns of the images, or of their files, of their classes, and of the splits; and the table, if it has a name of
# its own.
{columns}
"""
GROUP = """
# All images of one folder within a class folder get the same split; null: each image may be drawn by itself.
group: {group}
"""
GROUP_COLUMN = """
# All images with one value in this column of the table get the same split; null: each image may be drawn by itself.
group: {group}
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
CONFLICTS = """
# A picture may have several labels; no classifier is right on both.
allow_conflicts: true
"""
README = """\
# {name}

A Growset workspace. `sources/{source}.yaml` describes the images,
`recipes/{name}.yaml` how the dataset is grown. `growset docs` lists the pages that explain them.

```sh
growset inspect {name}  # duplicates, probable label errors and outliers among the images
growset check           # report every mistake in one sentence, before any computation
growset plan {name}     # dry run: images per class, bytes, minutes
growset run {name} --quick  # a rehearsal of the whole chain
growset run {name}      # the whole chain; current stages are skipped
growset report {name}   # the path of the report; --open shows it
growset ui              # the Dagster UI on http://127.0.0.1:3000
```
"""


def render_parameters(expansions: Sequence[str]) -> str:
    """The text of params.yaml with these active expansions and the versions of this Growset."""
    code = Workspace(shipped())
    versions = "".join(f"  {stage}: {code.stage_version(stage)}\n" for stage in STAGES)
    listed = "\n".join(f"  - {name}" for name in expansions)
    return PARAMETERS.format(expansions=listed, versions=versions)


def render_readme(name: str, source: str) -> str:
    """The text of README.md for an expansion and its source."""
    return README.format(name=name, source=source)


def render_recipe(name: str, sketch: SourceSketch, unlabelled: tuple[str, int] | None = None) -> str:
    """The text of a recipe for a new source: the demo's, with settings for the number and size of the images.

    unlabelled: the source of images without labels that are expanded, and how many there are.
    """
    height, width, channels = sketch.shape
    others = "" if unlabelled is None else f" and {unlabelled[1]} images without labels"
    header = (
        f"How {name} is grown: {sketch.counts.sum()} training images of {len(sketch.counts)} classes{others},"
        f" {height} x {width} x {channels}.\n"
        "Strict: an unknown key is an error. The steps are a starting point chosen from the number of images;\n"
        f"`growset plan {name}` shows their cost on this machine, `growset docs recipes` explains every key."
    )
    if unlabelled is None:
        template, settings = TEMPLATE, suggest_settings(sketch.counts, sketch.shape)
    else:
        template, settings = WITHOUT_LABELS, suggest_unlabelled(sketch.counts, sketch.shape, *unlabelled)
    return adapt_recipe(read_template(shipped() / "recipes" / f"{template}.yaml"), {"source": name, **settings}, header)


def read_template(path: Path) -> str:
    """The text of a recipe; a comment that names a page of the docs names the command that shows it instead."""
    return re.sub(r"docs/([a-z-]+)\.md", r"`growset docs \1`", path.read_text(encoding="utf-8"))


def render_description(spec: SourceSpec, path: str) -> str:
    """The text of sources/<name>.yaml; `path` is where the images lie, absolute or relative to that file."""
    kinds = ", ".join(LAYOUTS)
    text = SOURCE.format(name=spec.name, kinds=kinds, kind=spec.kind, path=_quote(path), licence=_quote(spec.licence))
    keys = ("table", "file_name", "image", "label", "split_column")
    columns = {key: getattr(spec, key) for key in keys if key in spec.model_fields_set}
    if columns:
        text += COLUMNS.format(columns="\n".join(f"{key}: {_quote(value)}" for key, value in columns.items()))
    if spec.group is not None:
        text += (
            GROUP.format(group=spec.group) if spec.kind == "folder" else GROUP_COLUMN.format(group=_quote(spec.group))
        )
    if spec.size is not None:
        text += SIZE.format(size=spec.size)
    if spec.background is not None:
        text += BACKGROUND.format(background=json.dumps(spec.background))
    if spec.split is not None:
        shares = ", ".join(f"{key}: {share}" for key, share in spec.split.model_dump(exclude_defaults=True).items())
        text += SPLIT.format(split=f"{{{shares}}}")
    if spec.allow_conflicts:
        text += CONFLICTS
    return text


def _quote(text: str) -> str:
    """The text as a YAML string, for any characters."""
    return "'" + text.replace("'", "''") + "'"
