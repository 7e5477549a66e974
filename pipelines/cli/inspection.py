"""`growset inspect`: what is in a source, before anything is spent."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ops.errors import UserError
from ops.files.storage import write_text
from ops.machine.progress import Sink
from ops.recipe.loading import load_recipe
from ops.sources.remote import fetch_source
from ops.sources.sketch import recognise_source
from ops.sources.spec import SourceSpec, load_source_spec
from ops.workspaces.workspace import Workspace, suggest

if TYPE_CHECKING:
    from ops.inspection.inspection import Inspection
    from ops.inspection.opening import Counts

LINES = 5  # examples of a kind


def inspect_source(
    open_workspace: Callable[[], Workspace], source: str, *, limit: int, html: Path | None, as_json: bool
) -> Path | None:
    """Print what is in the source; returns where the page was written, if it was.

    The page lies in the workspace's .growset/inspections, or where `html` says.
    """
    from ops.inspection.opening import count_images, list_source, open_pictures
    from ops.sources.observations import observe
    from pipelines.cli.terminal import progress_sink

    spec, workspace = find_source(open_workspace, source)
    listings = list_source(spec)
    counts = count_images(listings)
    if not as_json:
        click.echo("\n".join([*format_counts(spec, counts), *observe(spec)]))
    drawn = [] if spec.split is None else [part for part in ("validation", "test") if getattr(spec.split, part)]

    def look(sink: Sink) -> "Inspection":
        pictures = open_pictures(spec, listings, counts, limit=limit, sink=sink)
        from ops.inspection.inspection import inspect_pictures  # torch and scikit-learn: after the first lines

        return inspect_pictures(pictures, counts, name=spec.name, drawn=drawn, sink=sink)

    with progress_sink(to_stderr=as_json) as sink:
        found = look(sink)
    if html is None and workspace is not None:
        html = workspace.root / ".growset" / "inspections" / f"{spec.name}.html"
    if html is not None:
        from ops.inspection.page import render_inspection

        html.parent.mkdir(parents=True, exist_ok=True)
        write_text(html, render_inspection(found))
    facts = found.facts | {"page": None if html is None else str(html)}
    click.echo(json.dumps(facts) if as_json else "\n".join(format_facts(facts)))
    return html


def find_source(open_workspace: Callable[[], Workspace], source: str) -> tuple[SourceSpec, Workspace | None]:
    """A source described in the workspace, that of a recipe or a rehearsal, or a path of images; with the workspace, if
    it is in one.

    UserError where it is none of them.
    """
    workspace, missing = None, ""
    try:
        workspace = open_workspace()
    except UserError as error:
        missing = f"; {error}"
    if workspace is not None and "/" not in source:
        name = source
        if source in workspace.available_recipes() and not workspace.source_path(source).is_file():
            name = load_recipe(workspace.recipe_path(source)).source
        if (path := workspace.source_path(name)).is_file():
            return fetch_source(load_source_spec(path), workspace.root / ".growset" / "sources"), workspace
        from ops.scaffold.rehearsal import name_rehearsal  # loads what makes a workspace

        for expansion in workspace.available_recipes():
            rehearsal = Workspace(workspace.rehearsal(expansion))
            if name_rehearsal(expansion) == source and (path := rehearsal.source_path(source)).is_file():
                return load_source_spec(path), rehearsal
    place = Path(source)
    if not place.exists():
        if workspace is not None:
            known = sorted(path.stem for path in (workspace.root / "sources").glob("*.yaml"))
            missing = f"; {suggest(source, known)}" if known else ""
        raise UserError(f"'{source}' is not a source, a recipe or a path of images{missing}")
    return recognise_source(place, place.resolve().stem or "images", "unknown"), None


def format_counts(spec: SourceSpec, counts: "Counts") -> list[str]:
    """The table of classes: images by split. Of many classes the smallest and the largest."""
    total = ", ".join(f"{number:,} {split}" for split, number in _sum(counts).items())
    lines = [f"{spec.name}: {spec.kind}, {len(counts.class_names):,} classes, {total}"]
    order = sorted(range(len(counts.class_names)), key=lambda label: (-int(counts.images[label].sum()), label))
    shown = order if len(order) <= 20 else [*order[:10], *order[-10:]]
    width = max((len(counts.class_names[label]) for label in shown), default=0)
    lines.append(f"  {'':<{width}}" + "".join(f" {split:>10}" for split in counts.splits))
    for place, label in enumerate(shown):
        if len(shown) < len(order) and place == 10:
            lines.append(f"  … {len(order) - 20:,} more")
        cells = "".join(f" {number:>10,}" for number in counts.images[label])
        lines.append(f"  {counts.class_names[label]:<{width}}{cells}")
    return lines


def format_facts(facts: Mapping[str, Any]) -> list[str]:
    """What was found, as lines of text; the gravest first."""
    sizes = ", ".join(f"{size['width']} x {size['height']} ({size['images']:,})" for size in facts["sizes"][:LINES])
    more = f" and {len(facts['sizes']) - LINES:,} more" if len(facts["sizes"]) > LINES else ""
    modes = ", ".join(f"{entry['mode']} ({entry['images']:,})" for entry in facts["modes"])
    lines = [f"  stored sizes (width x height): {sizes or 'none'}{more}", f"  modes: {modes or 'none'}"]
    if facts["looks"]:
        middle = ", ".join(f"{name} {values['p50']:.2f}" for name, values in facts["looks"].items())
        lines.append(f"  median looks: {middle}")
    for group in facts["duplicates"][:LINES]:
        where = " = ".join(f"{image['name']} ({image['split']}, {image['label']})" for image in group["images"][:3])
        lines.append(f"  {group['kind']} duplicate{' (mirrored)' if group['mirrored'] else ''}: {where}")
    lines += _more(facts["duplicates"], "groups of duplicates")
    for image in facts["labels"]["suspects"][:LINES]:
        lines.append(
            f"  may be wrong: {image['name']} ({image['split']}) is labelled {image['label']}, more like"
            f" {image['suggested']}"
        )
    lines += _more(facts["labels"]["suspects"], "labels that may be wrong")
    lines.append("")
    lines += [f"{message['level']}: {message['sentence']}" for message in facts["messages"]]
    if not facts["messages"]:
        lines.append("nothing was found that needs attention")
    if facts["page"] is not None:
        lines.append(f"with pictures: {facts['page']}")
    else:
        lines.append("with pictures: the same command with --html FILE")
    return lines


def _sum(counts: "Counts") -> dict[str, int]:
    return dict(zip(counts.splits, counts.images.sum(axis=0).tolist(), strict=True))


def _more(rows: Sequence[Any], what: str) -> list[str]:
    return [f"  … {len(rows) - LINES:,} more {what}; --json lists all"] if len(rows) > LINES else []
