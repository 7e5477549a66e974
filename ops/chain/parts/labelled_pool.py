"""The pool's images with labels that a probe gave them, for a generator that learns from them too (DPT: You et al.
2023, stage 1).

The probe reads the prior's features. Block, share of noise and method are chosen on validation; then it learns from the
labelled training images alone, and answers for the pool. Images of the pool that are labelled themselves keep the label
they have. What is made of the images is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.parts.pools import list_ids, mark_known, read_seen_pool
from ops.datasets.index import write_index
from ops.datasets.pixels import PixelDataset
from ops.datasets.units import read_units
from ops.files.outputs import PROBE, PSEUDO_LABELS
from ops.files.storage import write_json
from ops.generators.describable import DescribingKind, OpenedFeatures
from ops.generators.registry import KINDS
from ops.labelling.choice import Choice, choose_probe, describe_trial, measure
from ops.labelling.probes import answer
from ops.labelling.pseudo_labels import PseudoLabels, take_evenly
from ops.machine.parallel import start_threads
from ops.recipe.denoisers import DenoiserSettings
from ops.sources.pool import PoolImages
from ops.stages.materialization import StageRun
from ops.stages.seen import read_seen


@dataclass(frozen=True, eq=False)
class LabelledPool:
    """What was taken from the pool: images uint8 [n, H, W, C], labels int64 [n], ids; and the files that tell of it.

    table : a row for each image of the pool that is not labelled itself. facts : how labels came about.
    """

    images: np.ndarray
    labels: np.ndarray
    ids: list[str]
    table: pl.DataFrame
    facts: dict[str, Any]

    def write(self, folder: Path) -> None:
        """pseudo_labels.parquet and probe.json."""
        write_index(folder / PSEUDO_LABELS, self.table)
        write_json(folder / PROBE, self.facts)

    @property
    def name(self) -> str:
        """Of the pool."""
        return str(self.facts["pool"])

    @property
    def metrics(self) -> dict[str, Any]:
        """For the stage's manifest."""
        return {
            "pseudo_labelled": len(self.ids),
            "pseudo_labelled_fewest": min(self.facts["taken"].values()),
            "probe_accuracy": self.facts["validation"]["score"],
            "probe_error": self.facts["validation"]["error"],
        }


def label_pool(run: StageRun, train: PixelDataset, validation: PixelDataset) -> LabelledPool:
    """Choose the probe, and label the pool of the run's recipe with it.

    That the pool holds no validation and no test image was checked when the prior was made, from the same ids.

    A class of which no image was found in the pool has its labelled images alone, as `_tell_lacking` says: a fold or a
    small sample may lack one by chance. EnvironmentFault if the pool is no longer the one that the prior was trained
    on.
    """
    assert isinstance(run.recipe.generator, DenoiserSettings)
    settings, seen = run.recipe.generator.pseudo_labels, read_seen(run.inputs["prior"])
    assert settings is not None and seen is not None, "the recipe has both"
    real_images = run.inputs["real_images"]
    pool = read_seen_pool(run.workspace, run.inputs["prior"], real_images)
    known = list_ids(real_images, ["train"])["train"]
    unlabelled = ~mark_known(pool.ids, known)
    pool = PoolImages(pool.images[unlabelled], np.array(pool.ids)[unlabelled].tolist(), pool.conversions)
    features, sink = _open_features(run, seen.kind), run.runtime.sink
    both, classes = np.concatenate([train.images, validation.images]), len(train.class_names)
    with start_threads() as threads:
        choice = choose_probe(
            lambda noise, rows: features.describe(both[rows], noise, features.blocks, threads),
            settings.noise,
            train.labels,
            validation.labels,
            classes=classes,
            seed=run.recipe.seed,
            units=read_units(real_images, train, validation),
            sink=sink,
        )
        best = choice.best
        sink(f"probe: chosen is {describe_trial(best)} by {choice.judge} on {choice.images:,} images")
        asked = np.concatenate([validation.images, pool.images])
        known_values, asked_values = (
            features.describe(images, best.noise, [best.block], threads)[best.block] for images in (train.images, asked)
        )
    probabilities = answer(best.probe, known_values, train.labels, asked_values, classes)
    named, probabilities = probabilities[: len(validation)], probabilities[len(validation) :]
    found = take_evenly(probabilities, settings.per_class)
    facts = _tell(seen.pool, choice, named.argmax(axis=1) == validation.labels, validation, found, len(pool))
    if lacking := _tell_lacking(facts):
        sink(lacking)
    sink(f"probe: {int(found.taken.sum()):,} of {len(pool):,} images of the pool got a label")
    rows = {"image_id": pool.ids, "label": found.labels, "confidence": found.confidence.round(6), "taken": found.taken}
    taken = np.flatnonzero(found.taken)
    return LabelledPool(
        pool.images[taken], found.labels[taken], [pool.ids[row] for row in taken], pl.DataFrame(rows), facts
    )


def _open_features(run: StageRun, kind_name: str) -> OpenedFeatures:
    kind = KINDS[kind_name]
    assert isinstance(kind, DescribingKind), "the recipe refuses a prior without features"
    return kind.open_features(run.inputs["prior"], run.recipe.seed)


def _tell(
    pool: str, choice: Choice, correct: np.ndarray, validation: PixelDataset, found: PseudoLabels, images: int
) -> dict[str, Any]:
    """The content of probe.json. correct: bool, whether the final probe names each validation image rightly."""
    score, error = measure(correct, validation.labels)
    counts = zip(validation.class_names, found.count(len(validation.class_names)), strict=True)
    return {
        "pool": pool,
        "images": images,
        "taken": dict(counts),
        "validation": {"score": round(score, 5), "error": round(error, 5), "images": len(correct)},
        **choice.to_dict(),
    }


def _tell_lacking(facts: dict[str, Any]) -> str | None:
    """A sentence on the classes without pseudo-labels; None where each has some."""
    if not (lacking := [name for name, count in facts["taken"].items() if not count]):
        return None
    others = f", nor of {len(lacking) - 1} more classes" if len(lacking) > 1 else ""
    return (
        f"the probe found no image of class '{lacking[0]}' in the pool '{facts['pool']}'{others}; the generator learns"
        " such a class from its labelled images alone"
    )
