"""What each check looks at in the stages' outputs, and what it finds. Pure: folders in, findings out.

Which check belongs to which stage, and what a failed one stops, is `ops.chain.checks`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.parts.modes import tell_mixture
from ops.chain.parts.units import list_units
from ops.datasets.index import read_index
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.datasets.unlabelled import find_growing
from ops.files.outputs import FOLDS, GATE, GENERATED, PARITY, PRECISION, ROUNDS, USABILITY, VERDICT
from ops.files.storage import read_json
from ops.generators.units import have_parents
from ops.planning.plan import ExpansionPlan, read_plan
from ops.planning.quota import share_plan
from ops.stages.refused import list_refused, read_refused
from ops.stages.several import read_part
from ops.stages.unused import describe_refusal, read_unused


@dataclass(frozen=True)
class Finding:
    """Whether a check passed, one sentence, the figures behind it, and what to do where it failed.

    remedy: None stands for the check's own.
    """

    passed: bool
    sentence: str
    figures: dict[str, Any] = field(default_factory=dict)
    remedy: str | None = None

    @property
    def told(self) -> str:
        """The sentence, and what to do if the check failed."""
        if self.passed or not self.remedy:
            return self.sentence
        if self.sentence.endswith("."):
            return f"{self.sentence} What to do: {self.remedy}."
        return f"{self.sentence}; what to do: {self.remedy}"


Folders = Callable[[str], Path]  # output folder, or one generator's folder in it, by stage name


def _metrics(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = read_part(folder)["metrics"]
    return metrics


def splits_are_disjoint(folders: Folders) -> Finding:
    """No image (by content) is in two splits; compares ids, reads no pixels."""
    real = find_growing(folders("real_images"))  # whose training images are all of them
    rows = pl.concat(read_rows(find_shards(real, split)) for split in ("train", "validation", "test"))
    content = rows.with_columns(content=pl.col("image_id").str.split("-").list.first())
    shared = content.group_by("content").agg(splits=pl.col("split").n_unique()).filter(pl.col("splits") > 1)
    example = "" if shared.is_empty() else f", e.g. {shared['content'].sort()[0]}"
    return Finding(
        shared.is_empty(), f"{len(shared)} images are in more than one split{example}", {"shared_images": len(shared)}
    )


def pictures_have_one_label(folders: Folders) -> Finding:
    """No picture has two labels. The pictures that do were counted while the source was read."""
    disputed = _metrics(folders("real_images")).get("disputed", {})
    named = " and ".join(f"{count} pictures of {split}" for split, count in disputed.items()) or "no pictures"
    consequence = "; no classifier is right on both" if disputed else ""
    return Finding(not disputed, f"{named} have more than one label{consequence}", dict(disputed))


def scorer_beats_chance(folders: Folders) -> Finding:
    """The cross-fitted accuracy lies more than three standard errors above chance."""
    metrics, real = _metrics(folders("scorer")), _metrics(find_growing(folders("real_images")))
    if real["classes"] == 1:
        return Finding(True, "images without labels are expanded, and nothing is filtered by its label")
    chance = 1 / real["classes"]
    limit = chance + 3 * math.sqrt(chance * (1 - chance) / real["train"])
    accuracy = metrics["cross_fitted_accuracy"]
    return Finding(
        accuracy > limit,
        f"the scorer's accuracy on held-out real images is {accuracy:.1%}; filtering needs more than {limit:.1%}",
        {"accuracy": accuracy, "needed": limit},
    )


def sampler_matches_network(folders: Folders) -> Finding:
    """The exported sampler draws what the eager fp32 one draws (contract 6); without a graph: the same images twice."""
    parity = read_json(folders("generator_onnx") / PARITY)
    return Finding(
        parity["passed"],
        f"{parity['share_beyond_one']:.4%} of pixels differ by more than one grey level, at most"
        f" {parity['max_difference']}, on {parity['images']} images",
        parity,
    )


def precision_was_accepted(folders: Folders) -> Finding:
    """Images drawn in the recipe's precision are as good as fp32's; otherwise fp32 is used."""
    path = folders("generator_onnx") / PRECISION
    if not path.exists():
        return Finding(True, "the recipe asks for fp32")
    gate = read_json(path)
    return Finding(gate["accepted"], f"{gate['precision']}: {gate['reason']}", gate)


def generator_is_usable(folders: Folders) -> Finding:
    """The generator's images are nearer to real ones than to noise, blurred images and class means."""
    found = read_json(folders("generator_onnx") / USABILITY)
    figures = {key: found[key] for key in ("needed", "position", "spaces")}
    sentence = found["sentence"] if found["usable"] else describe_refusal(found)  # which says what would help
    return Finding(found["usable"], sentence, figures, remedy="")


def variants_pass_the_gate(folders: Folders) -> Finding:
    """In every class, styles change the seed images, and variants keep their class; else it gets no generated image."""
    path = folders("generator_onnx") / GATE
    if not path.exists():
        return Finding(True, "its images are not variants of real ones")
    gate, refused = read_json(path), list_refused(path.parent)
    return Finding(not refused, gate["sentence"], {"refused": refused, "moved": gate["moved"], "kept": gate["kept"]})


def _read_plan(folders: Folders) -> ExpansionPlan:
    """The plan, without the classes that get no variants."""
    return read_plan(folders("expansion_plan")).without(read_refused(folders("generated_images")) or {})


def generation_is_complete(folders: Folders) -> Finding:
    """Each unit has the images that its rounds drew, each id occurs once, and no unit exceeds its budget."""
    if read_unused(folders("generated_images")):
        return _find_nothing_drawn(folders)
    rows = read_rows(find_shards(folders("generated_images"), GENERATED))
    plan, record = _read_plan(folders), read_json(folders("generated_images") / ROUNDS)
    units, rounds = list_units(record, [entry.name for entry in plan.classes], folders("real_images")), record["rounds"]
    found = Counter(zip(rows["parent_id"], rows["label"], strict=True))
    counts = np.array([found[unit.parent, unit.label] for unit in units])
    drawn = np.sum([entry["drawn"] for entry in rounds], axis=0)
    limits = [max(quota.drawn, quota.limit) for quota in share_plan(plan, units)]
    wrong, strange = int(((counts != drawn) | (counts > limits)).sum()), len(rows) - int(counts.sum())
    repeated = len(rows) - rows["image_id"].n_unique()
    kind = "seed images" if have_parents(units) else "classes"
    return Finding(
        not wrong and not repeated and not strange,
        f"{len(rows)} images in {len(rounds)} rounds, {repeated} repeated ids, {wrong} {kind} whose count"
        " differs from their rounds or exceeds their budget"
        + (f", {strange} images of other {kind}" if strange else ""),
        {"images": len(rows), "rounds": len(rounds), "repeated_ids": repeated, "wrong_classes": wrong},
    )


def _find_nothing_drawn(folders: Folders) -> Finding:
    """Where the generator is not used, the output must hold no image."""
    shards = find_shards(folders("generated_images"), GENERATED)
    if shards:
        return Finding(False, f"the generator is not used, and yet there are {len(shards)} files of its images")
    return Finding(True, "no image was drawn, because the generator is not used", {"images": 0})


def quota_is_filled(folders: Folders) -> Finding:
    """Every class has as many accepted images as the plan wants; any shortfall is reported."""
    metrics = _metrics(folders("accepted_images"))
    if read_unused(folders("generated_images")):
        return Finding(
            False,
            "no image was drawn, because the generator was not used",
            {"accepted": 0},
            remedy=_point_to_checks(folders("generator_onnx")),
        )
    short = metrics["shortfall_by_class"]
    named = "".join(f"; {name} lacks {count}" for name, count in short.items())
    refused = read_refused(folders("generated_images")) or {}
    unasked = f"; none are wanted for {', '.join(refused)}, whose variants are refused" if refused else ""
    return Finding(
        not short,
        f"{metrics['accepted']} accepted, {metrics['shortfall']} too few{named}{unasked}",
        {"shortfall": metrics["shortfall"], "accepted": metrics["accepted"]},
    )


def _point_to_checks(generator_onnx: Path) -> str:
    """Which checks say what would help a generator that is not used."""
    if (generator_onnx / GATE).exists():
        return "see the checks generator_is_usable and gate, which say what would help"
    return "see the check generator_is_usable, which says what would help"


def something_was_accepted(folders: Folders) -> Finding:
    """Every class that is to grow has an accepted image; without one it cannot be expanded."""
    if read_unused(folders("generated_images")):
        return Finding(True, "nothing was to be accepted, because the generator was not used")
    index = read_index(folders("accepted_images"))
    kept = set(index.filter("keep")["label"])
    plan = _read_plan(folders)
    empty = {i: entry.name for i, entry in enumerate(plan.classes) if entry.wanted and i not in kept}
    if not empty:
        return Finding(True, "every class has an accepted image", {"empty_classes": 0})
    rejected = index.filter(pl.col("label").is_in(list(empty)))
    counted = Counter(rejected["reasons"].explode().drop_nulls())
    why = [
        f"; {n} of the {len(rejected)} images drawn for them are {reason.replace('_', ' ')}"
        for reason, n in counted.most_common(1)
    ]
    return Finding(
        False,
        f"{'1 class has' if len(empty) == 1 else f'{len(empty)} classes have'} no accepted image:"
        f" {', '.join(empty.values())}{''.join(why)} (`growset funnel` shows all reasons)",
        {"empty_classes": len(empty)},
    )


def mixture_holds_no_evaluation_images(folders: Folders) -> Finding:
    """The mixed dataset contains no validation or test image, each id once, and only positive weights."""
    index = read_index(folders("mixed_dataset"))
    real = folders("real_images")
    held_out = pl.concat(read_rows(find_shards(real, split)) for split in ("validation", "test"))
    leaked = index["image_id"].is_in(held_out["image_id"].implode()).sum()
    repeated = len(index) - index["image_id"].n_unique()
    bad = int((index["weight"] <= 0).sum())
    return Finding(
        not leaked and not repeated and not bad,
        f"{leaked} evaluation images, {repeated} repeated ids, {bad} weights that are not positive",
        {"evaluation_images": int(leaked), "repeated_ids": repeated, "bad_weights": bad},
    )


def expansion_does_not_hurt(folders: Folders) -> Finding:
    """The verdict is not `hurts`, and it is about images that were imagined alike."""
    verdict, path = read_json(folders("verdict") / VERDICT), folders("folds") / FOLDS
    mixture = tell_mixture(read_json(path).get("folds", [])) if path.exists() else None
    sentence = verdict["sentence"] if mixture is None else f"{verdict['sentence']} {mixture}"
    return Finding(verdict["decision"] != "hurts" and mixture is None, sentence)
