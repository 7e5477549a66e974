"""Check references between datasets: index rows and their images, parents, the mixture, the published dataset.

The functions get rows with hashes of their pixels (`ops.verification.images`) and open index files only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from ops.datasets.shards import read_columns
from ops.datasets.unlabelled import name_classes, write_labels
from ops.files.manifests import PUBLISHED, read_manifest
from ops.files.outputs import DATA, DRAWS, INDEX, RUNS, VERDICT
from ops.files.storage import read_json
from ops.sources.listing import SPLITS
from ops.verification.findings import Finding, Subject
from ops.verification.images import Examined

_DRAWN, _GENERATED = "generated_images", "is_generated"  # a stage and a column
_PLACE = ["shard", "row", "image_id", "label"]
_ACCEPTED, _MIXED = [*_PLACE, "keep"], [*_PLACE, "is_generated", "weight"]


def check_ids(subject: Subject, examined: Mapping[str, Examined]) -> list[Finding]:
    """Ids are unique in each dataset, rows are in the files of their split, and parents are training images."""
    findings = []
    for stage, found in examined.items():
        folder, rows = subject.folder(stage), found.rows
        if repeated := rows.filter(pl.col("image_id").is_duplicated())["image_id"].sort().to_list():
            what = f"holds {len(set(repeated))} ids more than once, the first is {repeated[0]}"
            findings.append(Finding(folder, what, subject.restore))
        if stage != _DRAWN:
            strange = rows.filter(~pl.col("shard").str.starts_with(pl.col("split") + "-"))
            if len(strange):
                what = f"holds rows of another split, the first is row {strange['row'][0]}"
                findings.append(Finding(folder / strange["shard"][0], what, subject.restore))
        if "real_images" in examined:
            findings += _check_parents(subject, folder, rows, examined["real_images"].rows)
    return findings


def check_drawn(subject: Subject, examined: Mapping[str, Examined]) -> list[Finding]:
    """Each real image with a parent is recorded in the table of draws with that parent."""
    if "real_images" not in examined:
        return []
    folder = subject.folder("real_images")
    rows = examined["real_images"].rows.filter(pl.col("parent_id").is_not_null())
    if rows.is_empty():
        return []
    drawn = _read(folder / DRAWS, ["split", "image_id", "source_id"]).rename({"source_id": "parent_id"})
    strange = rows.join(drawn, on=["split", "image_id", "parent_id"], how="anti")
    if strange.is_empty():
        return []
    what = f"does not record that image {strange['image_id'][0]} was drawn from {strange['parent_id'][0]}"
    return [Finding(folder / DRAWS, what, subject.restore)]


def check_accepted(subject: Subject, examined: Mapping[str, Examined]) -> list[Finding]:
    """The index of accepted images names every generated image once, with its place and label."""
    path = subject.folder("accepted_images") / INDEX
    if not subject.has("accepted_images") or _DRAWN not in examined:
        return []
    index = _read(path, _ACCEPTED)
    findings = _compare_places(subject, path, index, examined[_DRAWN].rows)
    if unnamed := len(examined[_DRAWN].rows.join(index, on="image_id", how="anti")):
        findings.append(Finding(path, f"lacks {unnamed} generated images", subject.restore))
    return findings


def check_mixed(subject: Subject, examined: Mapping[str, Examined]) -> list[Finding]:
    """The mixture names every real training image and every accepted one, with its place, label and a weight that is
    finite and positive."""
    path = subject.folder("mixed_dataset") / INDEX
    if not subject.has("mixed_dataset", "accepted_images") or not {_DRAWN, "real_images"} <= examined.keys():
        return []
    index = _read(path, _MIXED)
    train = examined["real_images"].rows.filter(pl.col("split") == "train")
    findings = [
        *_compare_places(subject, path, index.filter(~pl.col(_GENERATED)), train),
        *_compare_places(subject, path, index.filter(_GENERATED), examined[_DRAWN].rows),
    ]
    bad = index.with_row_index().filter(~(pl.col("weight").is_finite() & (pl.col("weight") > 0)).fill_null(False))
    if len(bad):
        what = f"row {bad['index'][0]} has the weight {bad['weight'][0]}; allowed: finite and positive"
        findings.append(Finding(path, what, subject.restore))
    if repeated := index.filter(pl.col("image_id").is_duplicated())["image_id"].sort().to_list():
        findings.append(Finding(path, f"names image {repeated[0]} more than once", subject.restore))
    kept = _read(subject.folder("accepted_images") / INDEX, _ACCEPTED).filter("keep")["image_id"]
    for kind, wanted, here in (
        ("real training", train["image_id"], index.filter(~pl.col(_GENERATED))["image_id"]),
        ("accepted", kept, index.filter(_GENERATED)["image_id"]),
    ):
        if wanted.to_list() != here.to_list():
            findings.append(Finding(path, f"does not name the {kind} images in their order", subject.remake))
    return findings


def check_published(subject: Subject, examined: Mapping[str, Examined]) -> list[Finding]:
    """The published rows equal those of the mixture and of the real splits, pixel for pixel; so does the verdict.

    Not where the generator is not used: the dataset is an earlier one then.
    """
    folder = subject.folder(PUBLISHED)
    path = subject.folder("mixed_dataset") / INDEX
    if PUBLISHED not in examined or not {_DRAWN, "real_images"} <= examined.keys() or not subject.publishes:
        return []
    findings = []
    facts = ["image_id", "label", "split", _GENERATED, "parent_id", "digest", "weight"]
    real, published, stored = examined["real_images"], examined[PUBLISHED], subject.folder("real_images")
    if published.class_names != name_classes(stored):
        findings.append(Finding(folder, "has other class names than the real images", subject.remake))
    both = pl.concat([real.rows.filter(pl.col("split") == "train"), examined[_DRAWN].rows]).drop("weight")
    labelled = write_labels(stored, real.rows, SPLITS)
    expected = [labelled.filter(pl.col("split") == split).select(facts) for split in SPLITS if split != "train"]
    if subject.has("mixed_dataset"):
        weights = _read(path, _MIXED).select("image_id", "weight")
        mixed = weights.join(both, on="image_id", how="left", maintain_order="left")
        # Generated images have no split before they are published.
        expected.insert(0, write_labels(stored, mixed).with_columns(split=pl.lit("train")).select(facts))
    for wanted in expected:
        split = wanted["split"][0] if len(wanted) else "train"
        here = published.rows.filter(pl.col("split") == split).select(facts)
        if differing := _find_differing(wanted, here):
            findings.append(Finding(folder / DATA, f"has other {split} images: {differing}", subject.remake))
    verdict, shown = subject.folder("verdict") / VERDICT, folder / VERDICT
    if subject.has("verdict") and verdict.read_bytes() != shown.read_bytes():
        findings.append(Finding(shown, f"differs from the verdict in {verdict.parent}", subject.remake))
    return findings


def check_verdict(subject: Subject, examined: Mapping[str, Examined]) -> list[Finding]:
    """The verdict's runs are of the present test images, and its decision equals the one in its manifest."""
    if not subject.has("verdict") or "real_images" not in examined:
        return []
    folder, findings = subject.folder("verdict"), []
    verdict, metrics = read_json(folder / VERDICT), read_manifest(folder)["metrics"]
    runs, real = folder / RUNS, examined["real_images"].rows
    in_folds = "folds" in verdict  # each image is a test image once, in the order of the folds
    test = sorted(real["image_id"]) if in_folds else real.filter(pl.col("split") == "test")["image_id"].to_list()
    answers = _read(runs, ["arm", "seed", "image_id"]).group_by(["arm", "seed"], maintain_order=True)
    for (arm, seed), rows in answers:
        asked = rows["image_id"].to_list()
        if (sorted(asked) if in_folds else asked) != test:
            what = f"holds answers of arm {arm}, seed {seed}, to other images than the test split"
            findings.append(Finding(runs, what, subject.remake))
            break
    if any(verdict.get(key) != metrics.get(key) for key in ("decision", "sentence")):
        findings.append(Finding(folder / VERDICT, "differs from its manifest", subject.restore))
    return findings


def _check_parents(subject: Subject, folder: Path, rows: pl.DataFrame, real: pl.DataFrame) -> list[Finding]:
    """Generated images name training images as their parents, by id or by content."""
    train = real.filter(pl.col("split") == "train")["image_id"]
    names = pl.concat([train, train.str.split("-").list.first()])
    orphans = rows.filter(pl.col(_GENERATED) & pl.col("parent_id").is_not_null())
    orphans = orphans.filter(~pl.col("parent_id").is_in(names.implode()))
    if orphans.is_empty():
        return []
    what = f"row {orphans['row'][0]} has the parent {orphans['parent_id'][0]}, which is not a training image"
    return [Finding(folder / orphans["shard"][0], what, subject.restore)]


def _read(path: Path, columns: list[str]) -> pl.DataFrame:
    """Columns of a table. DamagedData, naming the file, if they cannot be read."""
    return pl.DataFrame(read_columns(path, columns))


def _compare_places(subject: Subject, path: Path, index: pl.DataFrame, rows: pl.DataFrame) -> list[Finding]:
    """Each index row names an image that its shard has at that row, with that label."""
    place = {"shard": pl.String, "row": pl.Int64, "image_id": pl.String, "label": pl.Int64}
    named = index.select(pl.col(name).cast(kind) for name, kind in place.items()).with_row_index("index")
    strange = named.join(rows.select(_PLACE), on=_PLACE, how="anti")
    if strange.is_empty():
        return []
    first = strange.sort("index").row(0, named=True)
    actual = rows.filter(pl.col("image_id") == first["image_id"])
    if actual.is_empty():
        what = f"row {first['index']} names image {first['image_id']}, which does not exist"
    elif actual["label"][0] != first["label"]:
        what = (
            f"row {first['index']} gives image {first['image_id']} label {first['label']}; it has {actual['label'][0]}"
        )
    else:
        at, found = f"row {first['row']} of {first['shard']}", f"row {actual['row'][0]} of {actual['shard'][0]}"
        what = f"row {first['index']} places image {first['image_id']} in {at}; it is {found}"
    return [Finding(path, what + (f" ({len(strange)} such rows)" if len(strange) > 1 else ""), subject.restore)]


def _find_differing(wanted: pl.DataFrame, here: pl.DataFrame) -> str | None:
    """The first difference of two tables with the same columns, or None."""
    if len(wanted) != len(here):
        return f"{len(here)} instead of {len(wanted)}"
    for name in wanted.columns:
        unequal = (wanted[name].ne_missing(here[name])).arg_true()
        if len(unequal):
            return f"row {unequal[0]} differs in {name}"
    return None
