"""`growset init`: make a workspace, and say what was found in the images."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.planning.floors import describe_lack, describe_refusal
from pipelines.cli.options import MOST_SIDE

if TYPE_CHECKING:
    from ops.scaffold.workspace import Created
    from ops.sources.sketch import SourceSketch


def init_workspace(
    folder: Path, source: Path | None, licence: str, *, adopt: bool, size: int | None, unlabelled: Path | None
) -> None:
    """Make a workspace for the user's images, or for the example without `source`, and print the next commands."""
    from ops.scaffold.workspace import create_example, create_workspace

    if source is None:
        made = create_example(folder, adopt=adopt)
        click.echo(f"{made.workspace.root}: the example, 1,000 training images of 10 classes; licence MIT")
    else:
        made = create_workspace(folder, source, licence=licence, adopt=adopt, size=size, unlabelled=unlabelled)
        _describe_source(made)
    click.echo(f"the settings are in recipes/{made.name}.yaml; `growset docs recipes` explains them")
    if made.uncommitted:
        click.echo("\nthe repository was here before, so nothing is committed; when you like it:")
        click.echo(f"  git add {shlex.join(made.uncommitted)}\n  git commit --message 'Add a Growset workspace'")
    enter = "" if adopt else f"  cd {shlex.quote(str(folder))}\n"
    click.echo(f"\n{enter}  growset plan {made.name}\n  growset run {made.name}")


def _describe_source(made: "Created") -> None:
    """Print what was found in the images, and which files say so."""
    from ops.sources.layouts.folder import list_subfolders
    from ops.sources.layouts.metadata import count_repeats
    from ops.sources.observations import WARNING, observe
    from ops.sources.sketch import count_loose_images
    from ops.sources.tables import find_tables

    assert made.sketch is not None
    seen, spec = made.sketch, made.sketch.spec
    height, width, channels = seen.shape
    counts = f"{seen.counts.min()} to {seen.counts.max()} each"
    click.echo(f"{made.workspace.root}: {seen.counts.sum()} training images of {len(seen.counts)} classes, {counts}")
    where = f"sources/{made.name}.yaml"
    if loose := count_loose_images(spec):
        click.echo(f"not used: {loose} image{'s' * (loose > 1)} beside the class folders, which have no class")
    for sentence in observe(spec):
        click.echo(sentence, err=sentence.startswith(WARNING))
    folders = list_subfolders(spec) if spec.kind == "folder" else []
    if folders and len(folders[0]) > 1 and all(names == folders[0] for names in folders):
        names = sorted(folders[0])
        listed = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        click.echo(
            f"warning: each class folder has the same folders ({listed}), and all images in them count as images of the"
            " class; keep elsewhere what is none, such as masks",
            err=True,
        )
    elif spec.group is None and any(names - {""} for names in folders):
        click.echo("images in folders within class folders count as images of the class; such a folder may be divided")
    if spec.group is not None:
        together = "in one folder within a class folder" if spec.kind == "folder" else f"of one {spec.group}"
        click.echo(f"images {together} stay together in one split; see `group:` in {where}")
    if {"table", "file_name", "image", "label"} & spec.model_fields_set:
        pictures = f"{spec.image} has" if spec.kind == "parquet" else f"{spec.file_name} names"
        said = f"{spec.table or spec.kind}: {pictures} the images, {spec.label} their classes"
        tables = find_tables(spec.root / spec.table) if spec.table else []
        instead = "".join(f" (not {', '.join(table.others)})" for table in tables if table.others)
        click.echo(f"{said}{instead}; to change that, edit {where}")
    if spec.kind == "metadata" and (repeats := count_repeats(spec)):
        click.echo(
            f"warning: {repeats} row{'s name images' if repeats > 1 else ' names an image'} that another row names too,"
            " and every row counts as an image; keep one row for each image",
            err=True,
        )
    splits = ["train"]
    if spec.split is not None:
        drawn = spec.split.model_dump(exclude_none=True, include={"validation", "test"})
        splits += drawn
        shares = " and ".join(f"{100 * share:g} % for {split}" for split, share in drawn.items())
        click.echo(f"no images are given for {' and '.join(drawn)}, so {shares} are drawn from the others; see {where}")
    if spec.size is None:
        click.echo(f"all images are {height} x {width} x {channels} (height, width, channels) and keep that size")
    else:
        _describe_size(seen, where)
    if seen.damaged:
        images = f"{seen.damaged} image{'s' * (seen.damaged > 1)} cannot be decoded"
        them = "them" if seen.damaged > 1 else "it"
        click.echo(
            f"warning: {images}; `growset check` names the first; remove {them}, or set `skip_damaged: true` in"
            f" {where}",
            err=True,
        )
    if made.unlabelled is not None:
        name, others = made.unlabelled
        click.echo(
            f"{others:,} images without labels are expanded, see sources/{name}.yaml; the labelled ones teach and judge"
            " probes, and any that lies among the others too is left out there"
        )
    elif lack := describe_refusal(seen.given, seen.counts, seen.class_names, splits):
        click.echo(f"warning: {lack}; until images are added, check, plan and run refuse this source", err=True)
    elif lack := describe_lack(seen.counts, seen.class_names):
        click.echo(f"warning: {lack}; `growset run` asks for --force", err=True)


def _describe_size(seen: "SourceSketch", where: str) -> None:
    """Print what becomes of images that are resized; a warning where pictures lose detail."""
    size, sides = seen.spec.size, seen.sizes.min(axis=1)
    smaller, larger = seen.resized
    were = f"{sides.min()}" if sides.min() == sides.max() else f"{sides.min()} to {sides.max()}"
    click.echo(f"images are {were} pixels on their shorter side and become {size} x {size}; see `size:` in {where}")
    if larger:
        click.echo(f"warning: {larger:.0%} of the images are enlarged, which adds no detail", err=True)
    if smaller:
        more = min(MOST_SIDE, int(sides.max()))
        advice = f"; to keep more, give --size {more}, which takes longer" if more > (size or 0) else ""
        click.echo(
            f"warning: {smaller:.0%} of the images are reduced, so generator, classifiers and verdict are about images"
            f" of {size} pixels{advice}",
            err=True,
        )
