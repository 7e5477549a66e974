"""Dagster's metadata of an output that several generators made."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import numpy as np

from assets.looks import LOOKS
from assets.outcome import describe_outcome
from ops.files.manifests import describe_output
from ops.pictures.sheets import write_sheet
from ops.stages.materialization import Outcome
from ops.stages.several import join_metrics, place


def test_each_generator_has_its_pictures_and_figures(tmp_path: Path) -> None:
    for generator in range(2):
        write_sheet(place(tmp_path, generator) / "contact_sheet.png", [np.full((2, 4, 4, 1), 90 * generator, np.uint8)])
    metrics = join_metrics([{"images": 3}, {"images": 4}], ("images",))
    manifest = describe_output(tmp_path, {"stage": "generated_images", "fingerprint": "abc", "inputs": {}}, metrics)
    metadata = describe_outcome(Outcome(manifest, tmp_path, 0.0, reused=True), "digits", LOOKS["generated_images"])
    assert metadata["images"] == 7 and metadata["generators"].value == [{"images": 3}, {"images": 4}]
    assert list(metadata)[:2] == ["contact_sheet", "contact_sheet_generator_1"], "pictures come first"
    folder = f"/growset/pictures/digits/generated_images/{manifest['content'][:32]}"
    for name, file in (("", "contact_sheet.png"), ("_generator_1", "generators/1/contact_sheet.png")):
        shown = f"![data/digits/generated_images/{file}]({folder}/{file})"
        assert metadata[f"contact_sheet{name}"] == dg.MetadataValue.md(shown)


def test_work_shared_with_another_expansion_links_to_its_asset(tmp_path: Path) -> None:
    manifest = describe_output(tmp_path, {"stage": "scorer", "fingerprint": "abc", "inputs": {}}, {})
    outcome = Outcome(manifest, tmp_path, 0.0, reused=True, reused_from="other")
    metadata = describe_outcome(outcome, "digits", LOOKS["scorer"])
    assert metadata["reused_from"] == dg.MetadataValue.asset(dg.AssetKey(["other", "scorer"]))
