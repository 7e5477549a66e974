"""What an asset's figures mean: unit, which way is good, which are plotted over time, and the tables that show them.

It reads a manifest's metrics and verdict.json. Figures of a kind that is not described here appear without a meaning,
and a table whose content an earlier Growset wrote in another form is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from ops.files.outputs import VERDICT
from ops.files.storage import read_json
from ops.filters.reasons import REASONS, SURPLUS

MOST_PLOTTED = 15  # figures of one asset; Dagster plots each number, also its rows, bytes, seconds and memory
Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Figure:
    """The meaning of a metric. `better` is empty where neither way is."""

    unit: str
    better: Literal["higher", "lower", ""]
    meaning: str


IMAGES = "images"
FIGURES: dict[str, Figure] = {  # a name that ends with _ stands for all that begin so
    "train": Figure(IMAGES, "higher", "training images"),
    "validation": Figure(IMAGES, "higher", "validation images"),
    "test": Figure(IMAGES, "higher", "test images"),
    "classes": Figure("classes", "", "classes of the source"),
    "images_wanted": Figure(IMAGES, "", "accepted images that the plan wants"),
    "images_drawn": Figure(IMAGES, "", "images that the first round draws"),
    "score": Figure("share", "higher", "validation score of the chosen policy, in the search"),
    "cross_fitted_accuracy": Figure("share", "higher", "real training images that a scorer classifies right unseen"),
    "temperature": Figure("", "", "divides the scorer's logits, so that its probabilities are calibrated"),
    "negative_log_likelihood": Figure("nats", "lower", "of the scorer's probabilities for real images"),
    "unlabelled": Figure(IMAGES, "", "images without a label that are expanded beside the labelled ones"),
    "left_out": Figure(IMAGES, "", "images of their source that are labelled too, and therefore left out"),
    "pool_images": Figure(IMAGES, "", "unlabelled images that the prior learns from; 0: no prior"),
    "pseudo_labelled": Figure(IMAGES, "", "images of the pool that a probe labelled, and that are learnt from"),
    "pseudo_labelled_fewest": Figure(IMAGES, "higher", "of the class that has the fewest of these"),
    "probe_accuracy": Figure("share", "higher", "validation images that this probe names rightly, classes alike"),
    "probe_error": Figure("share", "lower", "standard error of that"),
    "parameters": Figure("weights", "", "of the generator's network"),
    "steps": Figure("steps", "", "optimizer steps"),
    "best_step": Figure("step", "", "the checkpoint that is kept"),
    "training_images": Figure(IMAGES, "", "images shown to the generator in training, repeats included"),
    "rotation": Figure("degrees", "", "widest turn that the generator's moves make, to either side"),
    "scale": Figure("share", "", "widest change of size that they make"),
    "shift": Figure("share", "", "widest shift that they make, of the width and of the height"),
    "mirror": Figure("", "", "whether they mirror images"),
    "final_loss": Figure("", "lower", "training loss at the last step"),
    "quality_frechet": Figure("", "lower", "Fréchet distance to validation images in the scorer's features"),
    "quality_floor": Figure("", "", "the same distance of real training images: the best to hope for"),
    "quality_consistency": Figure("share", "higher", "drawn images that the scorer classifies as intended"),
    "quality_precision": Figure("share", "higher", "drawn images that lie among validation images"),
    "quality_recall": Figure("share", "higher", "validation images that lie among drawn ones"),
    "quality_density": Figure("", "higher", "how densely validation images surround drawn ones; real ones: about 1"),
    "quality_coverage": Figure("share", "higher", "validation images with a drawn image near by"),
    "quality_copies": Figure("share", "lower", "drawn images that nearly copy a training image"),
    "quality_copies_held_out": Figure("share", "", "validation images that nearly equal a training image"),
    "quality_moved": Figure("grey levels", "higher", "mean difference of two variants, at the kept checkpoint"),
    "quality_kept": Figure("", "higher", "variants of common classes named rightly, as in variants_kept"),
    "quality_position": Figure("share", "higher", "from empty images (0) to real ones (1), at the kept checkpoint"),
    "parity_images": Figure(IMAGES, "", "compared between the exported and the eager sampler"),
    "parity_share_equal": Figure("share", "higher", "pixels that are equal in both"),
    "parity_share_beyond_one": Figure("share", "lower", "pixels that differ by more than one grey level"),
    "parity_max_difference": Figure("grey levels", "lower", "largest difference of a pixel"),
    "precision_ratio": Figure("", "lower", "Fréchet distance of the faster variant, relative to fp32"),
    "position": Figure("share", "higher", "from empty images (0) to real ones (1), in three feature spaces"),
    "variants_moved": Figure("grey levels", "higher", "mean difference of two variants of a training image"),
    "variants_kept": Figure("", "higher", "variants of common classes named rightly, relative to their images"),
    "classes_refused": Figure("classes", "lower", "classes for which the gate of variants lets nothing be drawn"),
    "images": Figure(IMAGES, "", "drawn images"),
    "rounds": Figure("rounds", "lower", "rounds of drawing"),
    "taken_over": Figure(IMAGES, "", "images kept from an earlier run"),
    "generated": Figure(IMAGES, "", "generated images"),
    "accepted": Figure(IMAGES, "higher", "generated images that are kept"),
    "accept_rate": Figure("share", "higher", "drawn images that no rule rejects"),
    "shortfall": Figure(IMAGES, "lower", "accepted images that classes lack"),
    "rejected_": Figure(IMAGES, "lower", "generated images that this rule rejects first"),
    "rejected_surplus": Figure(IMAGES, "", "images that pass every rule, but whose class is full"),
    "mean_label_probability": Figure("share", "higher", "the scorer's probability of an image's own label"),
    "median_train_distance": Figure("", "", "distance of an accepted image to the nearest training image"),
    "scorer_accuracy": Figure("share", "higher", "the scorer's accuracy on held-out real images"),
    "scorer_chance": Figure("share", "", "accuracy of guessing"),
    "FD_": Figure("", "lower", "Fréchet distance of accepted to real images, in these features"),
    "KID_": Figure("", "lower", "kernel distance of accepted to real images, in these features"),
    "precision_": Figure("share", "higher", "accepted images that lie among real ones"),
    "recall_": Figure("share", "higher", "real images that lie among accepted ones"),
    "density_": Figure("", "higher", "how densely real images surround accepted ones; real ones: about 1"),
    "coverage_": Figure("share", "higher", "real images with an accepted image near by"),
    "authenticity_": Figure("share", "higher", "accepted images that are not nearer to a real one than its neighbours"),
    "vendi_": Figure("", "higher", "how many different images the accepted ones count as"),
    "real": Figure(IMAGES, "", "real training images"),
    "real_weight": Figure("", "", "weight of a real image relative to a generated one: AdaInf's N"),
    "real_share": Figure("share", "", "share of real images in a batch: AdaInf's β"),
    "trainings": Figure("trainings", "", "networks that were trained"),
    "validation_": Figure("share", "higher", "validation score of this arm"),
    "reference_validation": Figure("share", "higher", "validation score of the linear reference model"),
    "teachers": Figure("arms", "", "arms whose networks label images for others"),
    "sizes": Figure("sizes", "", "points of the learning curve over labels; 0: none asked for"),
    "folds": Figure("folds", "", "folds of all images; 0: none asked for"),
    "folds_with_generated": Figure("folds", "higher", "folds whose generator was used"),
    "difference": Figure("share", "higher", "the expanded arm over the baseline, on test images"),
    "difference_low": Figure("share", "higher", "lower end of its interval"),
    "difference_high": Figure("share", "higher", "upper end of its interval"),
    "smallest_detectable_effect": Figure("share", "lower", "the smallest difference that this comparison could show"),
    "looks": Figure("looks", "lower", "evaluations on this test split so far, over all recipes"),
    "test_": Figure("share", "higher", "test score of this arm"),
    "reference_test": Figure("share", "higher", "test score of the linear reference model"),
    "report_bytes": Figure("bytes", "", "size of the page"),
    "evaluations": Figure("looks", "lower", "evaluations on this test split, as the report prints them"),
}

# The figures worth a plot over time, in order of interest; assets that are not named plot all of theirs.
PLOTTED: dict[str, tuple[str, ...]] = {
    "scorer": ("cross_fitted_accuracy", "negative_log_likelihood"),
    "generator": (
        "quality_frechet", "quality_floor", "quality_consistency", "quality_precision", "quality_recall",
        "quality_density", "quality_coverage", "quality_copies", "quality_position", "quality_moved", "quality_kept",
        "final_loss", "best_step",
    ),
    "generator_onnx": (
        "position", "parity_share_beyond_one", "parity_max_difference", "precision_ratio", "variants_moved",
        "variants_kept", "classes_refused",
    ),
    "accepted_images": (
        "accepted", "generated", "accept_rate", "shortfall", "mean_label_probability", "FD_", "precision_random",
        "recall_random", "coverage_random", "authenticity_", "scorer_accuracy", "median_train_distance",
    ),
    "report": ("evaluations",),
}  # fmt: skip

ROWS: dict[str, tuple[str, ...]] = {  # the metrics that add up to an asset's rows
    "real_images": ("train", "validation", "test"),
    "generated_images": ("images",),
    "accepted_images": ("accepted",),
    "mixed_dataset": ("real", "generated"),
    "published_dataset": ("train", "validation", "test"),
}


def describe_figures(asset: str, metrics: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Metadata of an asset's metrics: numbers to plot, texts, tables with units and directions, the number of rows."""
    numbers = {name: value for name, value in metrics.items() if is_number(value)}
    plotted = choose_plotted(asset, list(numbers))
    shown = {name: value for name, value in metrics.items() if name in plotted or name not in numbers}
    found = describe_metrics(shown)
    if asset in ROWS and all(name in numbers for name in ROWS[asset]):
        found["dagster/row_count"] = sum(int(metrics[name]) for name in ROWS[asset])
    if numbers:
        found["figures"] = tabulate_figures(numbers)
    if asset in TABLES:
        found |= TABLES[asset](metrics, folder)
    return found


def describe_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata values: numbers and texts unchanged, everything else as JSON; null is left out."""
    return {
        name: value if isinstance(value, (int, float, str)) else dg.MetadataValue.json(value)
        for name, value in metrics.items()
        if value is not None
    }


def is_number(value: Any) -> bool:
    """Whether Dagster would plot it."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def find_figure(name: str) -> Figure:
    """The meaning of a metric, by its name or the longest beginning that is described."""
    described = [known for known in FIGURES if _is_meant(known, name)]
    return FIGURES.get(name) or FIGURES.get(max(described, key=len, default=""), Figure("", "", ""))


def _is_meant(known: str, name: str) -> bool:
    return name == known or (known.endswith("_") and name.startswith(known))


def choose_plotted(asset: str, names: Sequence[str]) -> set[str]:
    """The metrics that stay plain numbers, at most MOST_PLOTTED."""
    wanted = PLOTTED.get(asset)
    if wanted is None:
        return set(names[:MOST_PLOTTED])
    chosen = [
        name for each in wanted for name in names if name == each or (each.endswith("_") and name.startswith(each))
    ]
    return set(chosen[:MOST_PLOTTED])


def tabulate_figures(numbers: Mapping[str, float]) -> dg.TableMetadataValue:
    """All numbers with unit, direction and meaning."""
    rows: list[dict[str, Cell]] = []
    for name, value in numbers.items():
        figure = find_figure(name)
        meant = {"unit": figure.unit, "better": figure.better, "meaning": figure.meaning}
        rows.append({"figure": name, "value": value, **meant})
    texts = dict.fromkeys(("unit", "better", "meaning"), "string")
    return tabulate(rows, {"figure": "string", "value": "float", **texts})


def tabulate(rows: Sequence[Mapping[str, Cell]], columns: Mapping[str, str]) -> dg.TableMetadataValue:
    """A table with the columns' Dagster types by name."""
    schema = dg.TableSchema([dg.TableColumn(name, type=kind) for name, kind in columns.items()])
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows], schema)


def _tabulate_funnel(metrics: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """From drawn to accepted images; rules that reject none are left out."""
    if not {"generated", "accepted"} <= metrics.keys():
        return {}
    drawn = metrics["generated"]
    rows: list[dict[str, Cell]] = [{"step": "drawn", "images": drawn, "meaning": "every image the generator drew"}]
    for name, count in metrics.items():
        reason = name.removeprefix("rejected_")
        if reason != name and count:
            known = REASONS.get(reason)
            meaning = (
                "passed every rule, but its class was full" if reason == SURPLUS else known.meaning if known else ""
            )
            rows.append({"step": reason.replace("_", " "), "images": -count, "meaning": meaning})
    rows.append({"step": "accepted", "images": metrics["accepted"], "meaning": "kept for the mixed dataset"})
    for row in rows:
        row["share"] = round(abs(int(row["images"] or 0)) / drawn, 4) if drawn else None
    return {"funnel": tabulate(rows, {"step": "string", "images": "int", "share": "float", "meaning": "string"})}


def _tabulate_arms(metrics: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The arms of the verdict: scores as shares, higher is better."""
    arms = read_json(folder / VERDICT)["arms"]
    if not all(isinstance(row.get("score"), Mapping) and "same_as" in row for row in arms):
        return {}
    rows: list[dict[str, Cell]] = [
        {
            "arm": row["arm"],
            "side": row["kind"],
            "validation": row["validation"],
            "test": round(row["score"]["estimate"], 6),
            "low": round(row["score"]["low"], 6),
            "high": round(row["score"]["high"], 6),
            "equal to": row["same_as"] or "",
        }
        for row in arms
    ]
    number = dict.fromkeys(("validation", "test", "low", "high"), "float")
    return {"arms": tabulate(rows, {"arm": "string", "side": "string", **number, "equal to": "string"})}


TABLES: dict[str, Callable[[Mapping[str, Any], Path], dict[str, Any]]] = {
    "accepted_images": _tabulate_funnel,
    "verdict": _tabulate_arms,
}
