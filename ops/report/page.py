"""The report: everything about one expansion on one self-contained HTML page.

`collect_facts` reads the stages' outputs; `render_page` turns facts into markup and reads no data. Pictures come from
the training and validation splits and from generated images. Test pixels are not opened here; the page shows only the
verdict's figures on them. It does not know how anything was computed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from ops.datasets.index import locate_rows, read_index
from ops.datasets.shards import find_shards
from ops.datasets.unlabelled import find_growing
from ops.files.manifests import read_manifest
from ops.files.outputs import LEARNING_CURVE, LOSSES, PARITY, RESULTS, SEARCH, VERDICT
from ops.files.storage import read_json
from ops.history.comparison import Comparison, format_value
from ops.inspection.page import FOLDER as SECTIONS
from ops.pictures.strips import draw_strip, read_places
from ops.recipe.sections import ReportSettings
from ops.recipe.stages import STAGES
from ops.report.charts import NARROW, WIDE, draw_arms, draw_classes, draw_curve, draw_lengths, draw_training
from ops.report.controller import collect_controller
from ops.report.filtering import collect_filters
from ops.report.generators import collect_generators
from ops.report.imagination import collect_imagination
from ops.report.measures import collect_measures
from ops.report.real_images import collect_real
from ops.report.resemblance import judge_resemblance
from ops.report.steps import NOTES
from ops.report.usability import collect_sheets, collect_usability
from ops.report.variants import ADVICE, collect_seeds, collect_variants
from ops.report.worth import collect_gains
from ops.stages.seen import LEARNT_FROM_POOL, read_seen
from ops.stages.several import read_part
from ops.stages.unused import read_unused
from ops.stages.without_labels import read_without_labels
from ops.verdict.classes import FEW_IMAGES
from ops.verdict.evaluation_count import find_looks
from ops.verdict.metric import NAMES
from ops.verdict.points import format_points
from ops.verdict.same_compute import name_way
from ops.workspaces.workspace import Workspace

TEMPLATE = "template.html"
OTHER_METRICS = ("accuracy", "balanced_accuracy")  # shown of every arm, whichever decides
ROLES = ("decisive", "condition")
SIDES = ("baseline_classifiers", "expanded_classifiers")
SHOWN_CLASSES = 12  # with their pictures; those of further classes are folded away


def collect_facts(
    workspace: Workspace, expansion: str, inputs: Mapping[str, Path], settings: ReportSettings
) -> dict[str, Any]:
    """The page's content: strings, numbers, lists and pictures as data URIs.

    `inputs` are the output folders of the stages that the stage table names for `report`. Seconds are those of
    this workspace, and empty if the stages were pulled instead of run.
    """
    manifests = {stage: read_manifest(folder) for stage, folder in inputs.items()}
    labelled = inputs["real_images"]
    without = read_without_labels(labelled)
    inputs = {**inputs, "real_images": find_growing(labelled)}  # generated images are shown beside what is expanded
    metrics = {stage: read_part(folder)["metrics"] for stage, folder in inputs.items()}  # of generator 0
    names = metrics["real_images"]["class_names"]
    accepted = read_index(inputs["accepted_images"]).filter("keep")
    train = locate_rows(find_shards(inputs["real_images"], "train"))
    timings = workspace.timings(expansion)
    seconds = read_json(timings) if timings.exists() else {}
    used = read_unused(inputs["generated_images"]) is None
    seen = read_seen(inputs.get("prior"), inputs["generated_images"])
    trained = seen is None or LEARNT_FROM_POOL in metrics["generator"]
    best_step = None if not trained else metrics["generator"].get("best_step")  # a prior draws no class
    verdict = read_json(inputs["verdict"] / VERDICT)
    kinds = {row["arm"]: row["kind"] for row in verdict["arms"]}
    inspection = collect_real(labelled, expansion)
    worth, steps = collect_gains(
        {**inputs, "real_images": labelled},
        verdict,
        settings,
        generated=metrics["mixed_dataset"]["generated"],
        suspects=inspection["suspect_count"],
        seconds=seconds,
    )
    return {
        "expansion": expansion,
        "evaluations": _count_looks(workspace, expansion, metrics["verdict"]),
        "verdict": verdict,
        "used": used,
        "worth": worth,
        "steps": steps,
        "prior": None if seen is None else seen.told,
        "usability": collect_usability(inputs["generator_onnx"]),
        "variants": collect_variants(inputs["generator_onnx"]),
        "seeds": collect_seeds(inputs["expansion_plan"], names),
        "imagination": collect_imagination(inputs["generator_onnx"]),
        "sheets": [] if used else collect_sheets(inputs, best_step, len(names)),
        "classes": len(names),
        "images": {split: metrics["real_images"][split] for split in ("train", "validation", "test")},
        "unlabelled": None if without is None else without.told,
        "conversions": manifests["real_images"]["metrics"]["conversions"],
        "inspection": inspection,
        "mix": metrics["mixed_dataset"],
        "examples": _collect_examples(train, accepted, inputs, names, settings.examples_per_class),
        "filters": collect_filters(inputs) if used else None,
        "measures": collect_measures(inputs["accepted_images"], names) if used else None,
        "generator": metrics["generator"] | {"kind": manifests["generator"]["settings"]["generator"]["kind"]},
        "generators": [asdict(line) for line in collect_generators(inputs["generator"], inputs["accepted_images"])]
        if used
        else [],
        "losses": _read_curve(inputs["generator"] / LOSSES),
        "quality": _read_curve(inputs["generator"] / LEARNING_CURVE),
        "precision": metrics["generator_onnx"]["precision"],
        "sampler": manifests["generator_onnx"]["settings"]["sampler"],
        "parity": read_json(inputs["generator_onnx"] / PARITY),
        "search": _read_search(inputs["training_policy"]),
        "scorer": metrics["scorer"],
        "controller": collect_controller([read_json(inputs[side] / RESULTS) for side in SIDES]),
        "trainings": [
            {
                "arm": arm,
                "kind": kinds[arm],
                "losses": entry["losses"],
                "steps": int(entry["setting"].get("steps", results["steps"])),
            }
            for side in SIDES
            for results in [read_json(inputs[side] / RESULTS)]
            for arm, entry in results["arms"].items()
        ],
        "seconds": {stage: seconds[stage] for stage in STAGES if stage in seconds and stage in inputs},
        "fingerprints": {
            stage: {key: manifests[stage][key] for key in ("version", "fingerprint", "content")}
            for stage in STAGES
            if stage in manifests
        },
        "environment": manifests["verdict"]["environment"],
    }


def _count_looks(workspace: Workspace, expansion: str, verdict: Mapping[str, Any]) -> int:
    """Looks at the test split so far, over all recipes; in folds, at the test images that were looked at most often."""
    if "folds" not in verdict:
        return find_looks(workspace, expansion).total
    looks = read_manifest(workspace.output(expansion, "folds"))["metrics"]["fold_looks"]
    return max(int(entry["looks"]) for entry in looks)


def _read_search(policy: Path) -> dict[str, Any] | None:
    """What the search for a training policy found; None where the recipe chooses nothing."""
    return read_json(policy / SEARCH) if (policy / SEARCH).exists() else None


@cache
def _open_template() -> Template:
    """The page's template; to compile it takes longer than to fill it in."""
    return make_environment(SECTIONS).get_template(TEMPLATE)


def make_environment(*folders: Path) -> Environment:
    """The report's templates and those of `folders`, with the filters that they use: pages that look alike."""
    environment = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": lambda value: f"{100 * value:.1f}",
        "spread": lambda interval: f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}",
        "floored": lambda share: f"{math.floor(1e4 * share) / 100:.2f}",  # never 100 while a pixel differs
        "points": format_points,
        "typeset": typeset,
        "value": lambda cell, name: format_value(name, cell),
        "duration": format_duration,
        "thousands": lambda value: f"{value:,}",
    }
    return environment


def render_page(facts: Mapping[str, Any], changes: Comparison | None = None) -> str:
    """The page as HTML, with the changes since an earlier version if given; equal arguments give equal text."""
    verdict, losses, quality = facts["verdict"], facts["losses"], facts["quality"]
    arms_charts, classes_charts, loss_charts, quality_charts, lengths_charts = [], [], [], [], []
    curve = verdict.get("curve")  # where the recipe asks for one
    tested = [row for row in verdict["per_class"] if row["difference"] is not None]
    for width in (WIDE, NARROW):
        chosen = {key: verdict[key] for key in ("challenger", "baseline", "confidence")}
        arms_charts.append(Markup(draw_arms(verdict["arms"], metric=NAMES[verdict["metric"]], **chosen, width=width)))
        if verdict["size_groups"] and tested:
            pair = {key: verdict[key] for key in ("challenger", "baseline")}
            classes_charts.append(Markup(draw_classes(tested, **pair, width=width)))
        if curve:
            lengths_charts.append(Markup(draw_lengths(curve["points"], metric=NAMES[curve["metric"]], width=width)))
        if losses and len(losses["loss"]) > 1:
            ends = [losses["every"] * (i + 1) for i in range(len(losses["loss"]))]
            loss_charts.append(
                Markup(draw_curve("losses", "Training loss of the generator", ends, losses["loss"], width=width))
            )
        if len(quality) > 1:
            title = "Fréchet distance of generated to validation images"
            looks, distances = ([row[key] for row in quality] for key in ("step", "frechet"))
            level = ("real training images", quality[-1]["floor"])
            marked = facts["generator"]["best_step"]
            chart = draw_curve("quality", title, looks, distances, width=width, marked=marked, level=level)
            quality_charts.append(Markup(chart))
    top = max(max(training["losses"]) for training in facts["trainings"])
    training_charts = [
        {"arm": training["arm"], "chart": Markup(draw_training(**training, top=top))} for training in facts["trainings"]
    ]
    return _open_template().render(
        facts,
        changes=changes,
        headline=split_headline(verdict["sentence"]),
        metric=NAMES[verdict["metric"]],
        other_metrics=[name for name in OTHER_METRICS if name != verdict["metric"]],
        metric_names=NAMES,
        step_notes=NOTES,
        ways=[row | {"name": name_way(row)} for row in verdict["same_compute"]],
        arms=order_arms(verdict["arms"]),
        arms_charts=arms_charts,
        classes_charts=classes_charts,
        loss_charts=loss_charts,
        quality_charts=quality_charts,
        curve=curve,
        lengths_charts=lengths_charts,
        training_charts=training_charts,
        trainings=verdict["seeds"] * verdict.get("folds", 1),
        contrasts=sorted(verdict["contrasts"], key=lambda row: ROLES.index(row["role"])),
        contrast_limit=_find_limit(verdict["contrasts"]),
        class_limit=_find_limit([row for row in verdict["per_class"] if row["images"] >= FEW_IMAGES]),
        few=any(row["images"] < FEW_IMAGES for row in verdict["per_class"]),
        few_images=FEW_IMAGES,
        shown_classes=SHOWN_CLASSES,
        resemblance=_judge_resemblance(facts) if facts["used"] else None,
        advice=None if facts["used"] else next((f["advice"] for f in facts["usability"] if not f["usable"]), ADVICE),
    )


def _judge_resemblance(facts: Mapping[str, Any]) -> dict[str, Any]:
    filters, (frechet, *_) = facts["filters"], facts["measures"]["whole"]["rows"]
    return judge_resemblance(facts["usability"][0], filters["assigned"], frechet["cells"], filters["copying"]["whole"])


def _read_curve(path: Path) -> Any:
    """A curve that a generator wrote during training; empty for one that was exported elsewhere."""
    return read_json(path) if path.exists() else []


def order_arms(arms: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Trained arms by score, best first, each followed by its aliases."""
    trained = sorted((arm for arm in arms if arm["same_as"] is None), key=lambda arm: -arm["score"]["estimate"])
    return [arm for first in trained for arm in (first, *(a for a in arms if a["same_as"] == first["arm"]))]


def typeset(sentence: str) -> str:
    """A plain sentence with real minus signs instead of hyphens, and no line break before a % sign."""
    return re.sub(r"(?<![\w-])-(?=\d)", "\N{MINUS SIGN}", sentence).replace(" %", "\N{NO-BREAK SPACE}%")


def split_headline(text: str) -> tuple[str, str]:
    """The first sentence of a verdict, for the heading, and what follows it."""
    first, stop, rest = text.partition(". ")
    return first + stop.rstrip(), rest


def format_duration(seconds: float) -> str:
    """`4.2 s`, `3 min 05 s` or `1 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _find_limit(rows: Sequence[Mapping[str, Any]]) -> float:
    """The largest bound of the rows' differences, the common scale of their small charts; never 0."""
    gaps = [row["difference"] for row in rows if row["difference"] is not None]
    return max((abs(gap[key]) for gap in gaps for key in ("low", "high", "estimate")), default=0.0) or 1.0


def _collect_examples(
    train: pl.DataFrame, accepted: pl.DataFrame, inputs: Mapping[str, Path], names: Sequence[str], per_class: int
) -> list[dict[str, Any]]:
    """The first training and the first accepted images of each class: nobody picked them by eye."""
    strips: dict[str, dict[int, dict[str, Any]]] = {}
    for kind, rows, stage in (("real", train, "real_images"), ("generated", accepted, "generated_images")):
        shown = rows.group_by("label", maintain_order=True).head(per_class)
        images, labels = read_places(inputs[stage], shown), shown["label"].to_numpy()
        strips[kind] = {int(c): draw_strip(images[labels == c]) for c in np.unique(labels)}
    return [
        {"name": name, "real": strips["real"].get(label), "generated": strips["generated"].get(label)}
        for label, name in enumerate(names)
    ]
