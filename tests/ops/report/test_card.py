"""The card of a published dataset: its front matter as YAML, its figures and file patterns against the data."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from jinja2 import UndefinedError

from ops.datasets.identity import content_ids
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.filters.results import Results
from ops.report.card import render_card
from ops.report.origin import find_origin
from ops.stages.seen import Seen
from tests.filtering import make_held_out, make_index, make_results, make_rule
from tests.reports import make_reference, make_way

SENTENCE = "No evidence that the expansion helps: +0.4 points (95 % interval -0.2 to 1.0)."
ARMS = [
    {"arm": "real", "kind": "baseline", "same_as": None, "score": {"estimate": 0.9, "low": 0.881, "high": 0.92}},
    {"arm": "expanded", "kind": "expanded", "same_as": None, "score": {"estimate": 0.95, "low": 0.9, "high": 1.0}},
    {"arm": "plain", "kind": "baseline", "same_as": "real", "score": {"estimate": 0.9, "low": 0.881, "high": 0.92}},
]
VERDICT = {
    "sentence": SENTENCE, "decision": "no evidence", "confidence": 0.95, "seeds": 3, "test_images": 80, "arms": ARMS,
    "metric": "balanced_accuracy", "baseline": "real", "same_compute": [make_way("ensemble", "real", 3)],
    "reference": make_reference(),
}  # fmt: skip
RULES = [
    make_rule("wrong_label", 0.5, 2), make_rule("near_copy_of_train", 0.5, 2, thresholds=[0.45, 0.5]),
    make_rule("near_repeat", 0.25, 2),
]  # fmt: skip


def make_filtered(kept: int = 250, rules: list[dict[str, Any]] = RULES) -> Results:
    """400 images drawn: 90 rejected first for their label, one of which is also a repeat, 13 for resemblance, the rest
    accepted or surplus. The closest accepted image is at distance 0.51234."""
    reasons = [[]] * kept + [["surplus"]] * (297 - kept) + [["wrong_label"]] * 89 + [["wrong_label", "near_repeat"]]
    reasons += [["copy_of_train"]] + [["near_copy_of_train"]] * 7 + [["repeat"]] * 2 + [["near_repeat"]] * 3
    index = make_index(reasons, [row % 2 for row in range(400)]).with_columns(
        pl.when(pl.int_range(pl.len()) == 1).then(0.51234).otherwise("train_distance").alias("train_distance")
    )
    held_out = make_held_out([row % 2 for row in range(80)])
    return make_results(index, held_out, ["Bag", "Ankle boot"], [125, 130], rules=rules, stopped=["quota", "stall"])


def make_card(**changes: Any) -> str:
    facts = {
        "expansion": "smoke", "licence": "MIT", "class_counts": [("Bag", 25, 130), ("Ankle boot", 31, 120)],
        "split_counts": {"train": 306, "validation": 40, "test": 80}, "results": make_filtered(),
        "verdict": VERDICT, "seed": 7, "real_weight": 10.0,
    }  # fmt: skip
    return render_card(**{**facts, **changes})


def front_matter(card: str) -> dict[str, Any]:
    before, head, _ = card.split("---\n", 2)
    assert before == ""
    content: dict[str, Any] = yaml.safe_load(head)
    return content


def table(card: str, header: str) -> list[list[str]]:
    """Cells of the rows below `header`."""
    lines = card.splitlines()
    start = lines.index(header)
    assert set(lines[start + 1]) == {"|", "-"}
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def test_front_matter_names_licence_task_and_splits() -> None:
    head = front_matter(make_card())
    assert head["license"] == "mit"
    assert head["task_categories"] == ["image-classification"]
    (config,) = head["configs"]
    assert config["config_name"] == "default"
    assert [entry["split"] for entry in config["data_files"]] == ["train", "validation", "test"]


@pytest.mark.parametrize(
    "licence", ["CC BY-NC 4.0", "CC0: public domain", "no", "- 1", 'other "x" & y', "{a}", "ours #1"]
)
def test_licence_of_any_text_stays_that_text(licence: str) -> None:
    assert front_matter(make_card(licence=licence))["license"] == licence.lower()


def test_file_patterns_find_each_splits_files_and_no_others(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    for split in ("train", "validation", "test"):
        dataset = PixelDataset(images, build_rows([0] * 6, content_ids(images), split=split), ("Bag",))
        write_shards(tmp_path / "data", dataset, prefix=split, shard_bytes=128)
    names = [path.relative_to(tmp_path).as_posix() for path in (tmp_path / "data").iterdir()]
    for entry in front_matter(make_card())["configs"][0]["data_files"]:
        found = fnmatch.filter(names, entry["path"])
        assert sorted(found) == [f"data/{entry['split']}-0000{i}-of-00003.parquet" for i in range(3)]


def test_table_counts_real_and_generated_images_by_class() -> None:
    assert table(make_card(), "| class | real | generated |") == [["Bag", "25", "130"], ["Ankle boot", "31", "120"]]


def test_funnel_adds_up() -> None:
    drawn, *steps, accepted = table(make_card(), "| step | images |")
    assert steps == [
        ["− wrong label", "90"], ["− copy of train", "1"], ["− near copy of train", "7"], ["− repeat", "2"],
        ["− near repeat", "3"], ["− surplus", "47"],
    ]  # fmt: skip
    assert (drawn, accepted) == (["drawn", "400"], ["= accepted", "250"])
    assert sum(int(count) for _, count in (*steps, accepted)) == 400
    text = " ".join(make_card().split())
    assert "400 images were drawn" in text and "250 of 255 wanted were kept, 5 are missing." in text


def test_the_card_states_that_the_set_is_the_first_of_several() -> None:
    sentence = (
        "The verdict was measured over 3 generators of this recipe, each with a set of its own; this is the set of the"
        " first."
    )
    assert sentence in " ".join(make_card(generators=3).split())
    assert "The verdict was measured" not in make_card()


def test_the_card_of_a_verdict_over_folds_says_that_this_set_is_another() -> None:
    card = " ".join(make_card(verdict=VERDICT | {"folds": 5}).split())
    assert "means over 5 folds with 3 seeds each on 80 real test images" in card
    assert (
        "with a generator of this recipe and a generated set for each; this is the set of the source's own splits."
        in card
    )


def test_safety_is_reported_as_checked_only_if_it_was() -> None:
    assert "\nSafety: not checked.\n" in make_card()
    results = make_filtered()
    checked = results.index.with_columns(unsafe_probability=pl.lit(0.0))
    card = make_card(results=replace(results, index=checked))
    assert "Safety: a safety classifier looked at the generated images." in card and "not checked" not in card


def test_table_of_ways_shows_what_the_same_compute_buys() -> None:
    card = make_card()
    assert table(card, "| way | test balanced accuracy | 95 % interval | points over real |") == [
        ["real, ensemble of 3", "82.5 %", "81.5 % to 83.5 %", "+0.5 (−0.5 to +1.5)"],
    ]


def test_the_linear_model_stands_below_the_arms() -> None:
    assert (
        "a linear model of the real images (logistic regression on gradient histograms) reaches 78.3 % in accuracy "
        "(77.3 % to 79.3 %)."
    ) in " ".join(make_card().split())


def test_table_of_arms_gives_each_its_interval() -> None:
    assert table(make_card(), "| arm | trained on | test balanced accuracy | 95 % interval |") == [
        ["real", "real images", "90.0 %", "88.1 % to 92.0 %"],
        ["expanded", "real and generated images", "95.0 %", "90.0 % to 100.0 %"],
        ["plain (= real)", "real images", "90.0 %", "88.1 % to 92.0 %"],
    ]
    assert "3 seeds on 80 real test images" in make_card()
    assert "| 90 % interval |" in make_card(verdict={**VERDICT, "confidence": 0.9})


def test_audit_shows_the_test_its_limits_the_counts_and_the_closest_image() -> None:
    results = make_filtered()
    assert table(make_card(), "| found | limit | images |") == [
        ["pixel by pixel a training image", "", "1"],
        ["almost a training image", "distance below 0.45 to 0.5", "7"],
        ["pixel by pixel an earlier generated image", "", "2"],
        ["almost an earlier generated image of its class", "distance below 0.25", "4"],
    ]
    assert f"\n{results.copying.sentence}\n" in make_card()
    assert "kept lies at distance 0.512 from a training image" in make_card()
    assert "No image was kept" in make_card(results=make_filtered(kept=0))
    audited = make_card(results=make_filtered(rules=[*RULES, make_rule("near_copy_of_held_out", 0.3, 2)]))
    assert "| almost a validation or test image | distance below 0.3 | 0 |" in audited


def test_body_names_the_licence_as_its_owner_writes_it() -> None:
    assert "as their owner states it: CC BY-NC 4.0." in make_card(licence="CC BY-NC 4.0")


def test_class_name_with_a_bar_stays_in_its_cell() -> None:
    card = make_card(class_counts=[("cat|dog", 1, 2)])
    assert table(card, "| class | real | generated |") == [["cat\\|dog", "1", "2"]]
    card = make_card(class_counts=[("cat\ndog", 1, 2)])
    assert table(card, "| class | real | generated |") == [["cat dog", "1", "2"]]


def test_card_states_sizes_verdict_weight_and_how_to_reproduce_it() -> None:
    card = make_card(real_weight=2.5)
    assert card.endswith("\n")
    card = " ".join(card.split())  # lines may break anywhere
    assert SENTENCE in card
    assert "306 training images, 40 for validation, 80 for test" in card
    assert "2.5 for a real image, 1 for a generated one" in card
    assert "seed 7: `growset run smoke`" in card
    own = " ".join(make_card(real_weight=2.5, own_weights=True).split())
    assert "generated one, unless the recipe gives an arm another weight for real images." in own


def test_missing_figure_is_an_error_rather_than_a_gap() -> None:
    with pytest.raises(UndefinedError):
        make_card(split_counts={"train": 3})


def test_names_and_licences_are_escaped_in_markdown_and_html() -> None:
    names = ["<script>alert(1)</script>", "![x](http://evil.example/x.png)", "a|b\n# c", "`code` *b* _i_ ~s~", "a & b"]
    licence = "<img src=x onerror=alert(1)> [free](javascript:x)"
    card = make_card(class_counts=[(name, 1, 2) for name in names], licence=licence)
    body = card.split("---\n", 2)[2]
    assert "<" not in body and not re.search(r"(?<!\\)\]\(", body)
    assert "\\`code\\` \\*b\\* \\_i\\_ \\~s\\~" in body and "a\\|b # c" in body and "a &amp; b" in body
    assert front_matter(card)["license"] == licence.lower()


def test_variants_name_their_parents_and_refused_classes_their_reasons() -> None:
    plain, varied = make_card(), make_card(refused={})
    assert "variant" not in plain
    said = "trained on the real training images alone, each as a variant of a real training image (column `parent_id`)"
    assert f"drawn by a model that was {said}; 250 of" in " ".join(varied.split())
    assert "Without generated images" not in varied
    why = "two variants of an image differ by 0.4 grey levels, and 2 are needed"
    said = f"Without generated images, because the gate refused their variants: Ankle \\*boot\\*: {why}."
    assert f"\n\n{said}\n\n## Near-copy audit\n" in make_card(refused={"Ankle *boot*": why})


def test_what_the_card_says_is_part_of_a_publications_identity() -> None:
    """Publications of images that are no variants keep theirs."""
    assert find_origin(True) == find_origin(True, None) != find_origin(True, {})
    assert find_origin(True, {}) != find_origin(True, {"Bag": "why"}) != find_origin(False, {"Bag": "why"})
    assert set(find_origin(True, {"Bag": "why"})) == set(find_origin(True))


def test_an_arm_that_saw_the_pool_is_not_listed_as_trained_on_real_images() -> None:
    seen = Seen("flow", "others", 1200, "CC0-1.0")
    header = "| arm | trained on | test balanced accuracy | 95 % interval |"
    trained = {row[0]: row[1] for row in table(make_card(seen=seen, seeing=["plain"]), header)}
    assert trained["plain (= real)"] == "real images, and what a pool without labels tells"
    assert (trained["real"], trained["expanded"]) == ("real images", "real and generated images")


def test_a_fine_tuned_generator_saw_the_real_images_and_both_licences_are_told() -> None:
    tuned, untouched = (
        " ".join(make_card(trained_here=False, weights="<theirs>", tuned=tuned).split()) for tuned in (True, False)
    )
    assert "fine-tuned on the real training images" in tuned and "fine-tuned" not in untouched
    assert "Licence of the real images, as their owner states it" in tuned
    for card in (tuned, untouched):
        assert "the licence of its weights, as their owner states it: &lt;theirs&gt;." in card


def test_an_imported_generator_is_not_reported_as_trained_here() -> None:
    ours, foreign = make_card(), make_card(trained_here=False)
    assert "a model that was trained on the real training images alone;" in ours
    assert "that was trained on nothing but these." in ours
    assert "trained elsewhere" not in ours
    assert "alone" not in foreign and "nothing but" not in foreign
    assert "drawn by a model that was trained elsewhere, on what is not known here; 250 of" in " ".join(foreign.split())
    assert "what the generator saw is not known here." in " ".join(foreign.split())


def test_what_gains_are_worth_stands_before_the_content_where_it_is_known() -> None:
    gain = {"estimate": 0.012, "low": 0.004, "high": 0.02}
    worth = {
        "sentences": ["Worth 37 labels.", "The curve."],
        "rows": [{"name": "grown", "gain": gain, "told": "37 (12 to 80)"}],
    }
    card, plain = make_card(worth=worth), make_card()
    assert table(card, f"| way | points over {VERDICT['baseline']} | labels per class |") == [
        ["grown", "+1.2 (+0.4 to +2.0)", "37 (12 to 80)"]
    ]
    before, _, after = card.partition("## What it is worth in labels")
    told, heading, rest = after.partition("## What is in it")
    assert "Worth 37 labels. The curve." in told and before + heading + rest == plain
