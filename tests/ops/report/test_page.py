"""The report puts the verdict first, is self-contained, escapes names, and is the same byte for byte every time."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.files.manifests import MANIFEST, join_hashes
from ops.files.outputs import POLICY, RUNS
from ops.files.storage import write_json
from ops.recipe.arms import RandAugment
from ops.recipe.sections import ReportSettings
from ops.recipe.settling import TrainingPolicy
from ops.recipe.stages import STAGES
from ops.report import charts
from ops.report import page as page_module
from ops.report.generators import GeneratorLine
from ops.report.page import collect_facts, format_duration, order_arms, render_page, typeset
from ops.report.worth import collect_gains
from ops.verdict.evaluation_count import find_looks
from ops.verdict.evaluation_log import Evaluation, append_evaluation
from ops.workspaces.workspace import Workspace
from tests.filtering import FILTERED, fill_filters
from tests.reports import (
    CLASSES,
    PICTURE,
    SENTENCE,
    make_curve,
    make_facts,
    make_gate,
    make_interval,
    make_look,
    make_reference,
    make_unused_facts,
    make_usability,
    make_verdict,
    measure_contrast,
)

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Reader(HTMLParser):
    """What a browser would see: tags in order with attributes, headings' levels, and whether tags are closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.style = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data

    def find(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


CHARTS = ("draw_arms", "draw_classes", "draw_curve", "draw_lengths", "draw_training")


@pytest.fixture(scope="module", autouse=True)
def _drawn_once() -> Iterator[None]:
    """Charts of equal figures are drawn once for all tests: that takes most of a page's time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CHARTS:
            patch.setattr(page_module, name, remember(getattr(charts, name)))
        yield


def remember(draw: Callable[..., str]) -> Callable[..., str]:
    known: dict[str, str] = {}

    def draw_once(*values: Any, **keys: Any) -> str:
        asked = repr((values, sorted(keys.items())))
        if asked not in known:
            known[asked] = draw(*values, **keys)
        return known[asked]

    return draw_once


@pytest.fixture(scope="module")
def page() -> str:
    return render_page(make_facts())


def test_the_page_requests_nothing_from_outside(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    assert not {"script", "iframe", "object", "base", "form"} & {tag for tag, _ in reader.tags}
    for tag, attributes in reader.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), f"<{tag} {name}={value}>"
        # Clip paths of the charts point into the page; nothing else may be a url().
        assert all(
            target.startswith("#")
            for target in re.findall(r"url\(([^)]*)", " ".join(filter(None, attributes.values())))
        )
    assert "url(" not in reader.style and "@import" not in reader.style and "://" not in page


def test_the_verdict_comes_first(page: str) -> None:
    reader = Reader(page)
    assert page.index("</span> Helps</p>") < page.index(SENTENCE) < page.index("<table")
    assert page.count(f"<h1>{SENTENCE}</h1>") == 1
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_screen_readers_get_the_same_content(page: str) -> None:
    reader = Reader(page)
    assert reader.find("html")[0]["lang"] == "en"
    assert reader.find("img") and all(image.get("alt") for image in reader.find("img"))
    charts = [svg for svg in reader.find("svg") if svg.get("aria-hidden") != "true"]
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(charts) == 8 + len(make_facts()["trainings"]) and len(ids) == len(set(ids))
    labels = [element["aria-labelledby"] for _, element in reader.tags if element.get("aria-labelledby")]
    assert all(set(str(label).split()) <= set(ids) for label in labels)
    assert len(reader.find("caption")) == len(reader.find("table"))
    assert all("scope" in header for header in reader.find("th"))


def test_names_are_escaped(page: str) -> None:
    assert "<b>Coat" not in page
    assert "&lt;b&gt;Coat&lt;/b&gt; &amp; &#39;hat&#39;" in page


def test_colours_contrast_enough(page: str) -> None:
    style = Reader(page).style
    themes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in style.split(":root {")[1:]]
    themes = [themes[0] | theme for theme in themes if theme]
    assert len(themes) == 3, "light, dark and print"
    for theme in themes:
        for name in ("ink", "muted", "baseline", "expanded", "gain", "loss", "unclear"):
            assert measure_contrast(theme[name], theme["paper"]) >= 4.5, name
        for name in ("gain", "loss", "unclear"):
            assert measure_contrast(theme["badge-ink"], theme[name]) >= 4.5, name
        assert measure_contrast(theme["ink"], theme["panel"]) >= 4.5


def test_each_of_several_generators_has_a_line(page: str) -> None:
    assert "generators of this recipe" not in page
    lines = [asdict(GeneratorLine(number, 200, 150 - number, number, 0.75, 1.23, None)) for number in range(3)]
    several = render_page(make_facts() | {"generators": lines})
    assert "<strong>3 generators of this recipe were trained</strong>" in several and "<h2>Generators</h2>" in several
    table = several[several.index("generators-caption") : several.index("Parity of its ONNX")]
    rows = re.findall(r'<th scope="row">(\d)</th>(.*?)</tr>', table)
    cells = [[number, *re.findall(r"<td>(.*?)</td>", row)] for number, row in rows]
    assert cells[0] == ["0", "200", "75.0 %", "150", "0", "1.23", "–"]
    assert [row[3] for row in cells] == ["150", "149", "148"]
    assert len(Reader(several).find("caption")) == len(Reader(several).find("table"))


def test_same_facts_give_the_same_bytes(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHARTS:
        monkeypatch.setattr(page_module, name, getattr(charts, name))
    assert render_page(copy.deepcopy(make_facts())) == page


def test_an_alias_follows_its_arm_and_names_it(page: str) -> None:
    assert [arm["arm"] for arm in order_arms(make_verdict()["arms"])] == ["grown", "flipped", "real", "weighted"]
    assert "= real <small>not trained" in page


def test_missing_parts_are_reported_or_left_out() -> None:
    facts = make_facts() | {"conversions": {}, "seconds": {}, "losses": {"every": 0, "loss": []}}
    facts["filters"] |= {"nearest": {"generated": [], "held_out": []}, "galleries": [], "rules": []}
    facts["verdict"]["decision"] = "no evidence"
    page = render_page(facts)
    assert "No evidence</p>" in page
    assert "Time per stage" not in page and "Too few steps" in page and "No generated image was accepted" in page
    assert "Conversions of the source" not in page and "What the filters rejected" not in page
    assert "Held-out real images</h3>" not in page and "Thresholds of each class" not in page


def test_what_the_same_compute_buys_follows_the_decisive_comparison(page: str) -> None:
    at = page.index("<h2>What the same compute buys</h2>")
    assert page.index("The decisive comparison") < at < page.index("Class by class")
    for name in ("flipped, ensemble of 5", "grown, with mirror images"):
        assert f'<th scope="row">{name}</th>' in page[at:]
    assert "+0.5 (−0.5 to +1.5)" in page[at:] and "−1.5 (−2.5 to −0.5)" in page[at:]


def test_what_generated_images_add_to_an_arm_is_shown_beside_its_counterpart(page: str) -> None:
    section = page[
        page.index("<h2>What the generated images add</h2>") : page.index("<h2>What the same compute buys</h2>")
    ]
    assert '<th scope="row">grown</th>' in section and "<td>flipped</td>" in section
    assert "+1.2 (+0.8 to +1.6)" in section
    facts = make_facts()
    facts["verdict"]["shares"] = []
    assert "What the generated images add" not in render_page(facts)


def test_size_groups_and_calibration_stand_below_and_a_clear_class_is_marked(page: str) -> None:
    section = page[
        page.index("<h2>Head, middle and tail, calibration and cost</h2>") : page.index("<h2>What the same compute")
    ]
    assert "Head <small>1 class of 40</small>" in section and "<td>83.3</td>" in section and "<td>3.5</td>" in section
    assert "<td>2.7</td>" in section
    classes = page[page.index("<h2>Class by class</h2>") :]
    assert classes.count('<span class="tag">clear</span></td>') == 1
    facts = make_facts()
    facts["verdict"]["per_class"][0]["clear"] = False
    assert '<span class="tag">clear</span></td>' not in render_page(facts)
    facts["verdict"]["size_groups"] = []
    assert "<h2>Calibration and cost</h2>" in render_page(facts)


def test_the_metric_that_decides_is_named_and_shown_first() -> None:
    assert "Test, balanced accuracy</th>" in render_page(make_facts())
    facts = make_facts()
    facts["verdict"] |= {"metric": "worst_class"}
    page = render_page(facts)
    assert "<strong>accuracy of the worst class</strong>: only the class with the lowest accuracy counts" in page
    assert "Test, accuracy</th>" in page and "Test, balanced accuracy</th>" in page
    assert "Each arm&#x27;s accuracy of the worst class on the test images" in page


def test_the_linear_model_has_a_row_of_its_own_below_the_arms(page: str) -> None:
    row = '<th scope="row">What a linear model reaches <small>logistic regression on gradient histograms</small></th>'
    assert page.index("= real <small>not trained") < page.index(row) < page.index("The decisive comparison")
    after = page[page.index(row) :]
    assert "<td>79.0</td>" in after and "78.3 <small>(77.3 to 79.3)</small>" in after
    assert "flipped is\n    +3.7 (+2.7 to +4.7) points over it in accuracy" in after
    assert "Here nothing is decided" not in page


@pytest.mark.parametrize(
    ("shortfall", "said"),
    [
        ("below_reference", "lies clearly below the linear model"),
        ("near_chance", "is not shown to be better than chance"),
    ],
)
def test_networks_that_have_not_learnt_are_the_reason(shortfall: str, said: str) -> None:
    facts = make_facts()
    facts["verdict"] |= {"decision": "no evidence", "reference": make_reference(shortfall)}
    page = render_page(facts)
    assert f"Here nothing is decided, because the picked baseline {said}." in page
    assert "would have been detected" not in page


def test_a_second_look_and_too_few_seeds_are_reported() -> None:
    assert "first look" not in render_page(make_facts())
    earlier = {"look": 1, "seeds": 5, "decision": "no evidence", "difference": make_interval(0.01)}
    facts = make_facts()
    facts["verdict"] |= {"look": 2, "looks": 2, "seeds": 10, "earlier_looks": [earlier]}
    assert "A first look, after 5 seeds, was undecided: +1.0 (0.0 to +2.0) points." in render_page(facts)
    facts["verdict"] |= {"seeds": 2, "smallest_detectable_effect": 3.2}
    page = render_page(facts)
    assert "With fewer than 5 seeds nothing is decided; this run has 2." in " ".join(page.split())
    assert "No difference, however large" in page


def test_accuracy_against_steps_is_a_chart_with_one_sentence_and_equal_compute_stands_beside_the_costs() -> None:
    plain = render_page(make_facts())
    assert "Accuracy against steps" not in plain and "Equal compute" not in plain
    facts = make_facts()
    facts["verdict"]["curve"] = make_curve()
    page = render_page(facts)
    assert "lost \N{MINUS SIGN}0.2 points: grown still gains." in page
    assert page.count('role="img"') == plain.count('role="img"') + 2
    assert "grown: 60.0 % after 15 steps, 75.0 % after 30 steps, 85.0 % after 60 steps" in page
    assert "<strong>Equal compute.</strong> With as much as flipped" in page
    facts["verdict"]["curve"] |= {"equal_compute": None}
    assert "Equal compute" not in render_page(facts)


def test_folds_are_a_table_and_one_that_used_nothing_generated_says_why() -> None:
    assert "Fold by fold" not in render_page(make_facts())
    facts = make_facts()
    images = {"train": 1_200, "validation": 60, "test": 82}
    row = {"fold": 1, "images": images, "generated": {"drawn": 3_000, "accepted": 2_000}, "not_used": None}
    rows = [
        row | {"baseline": 0.9, "challenger": 0.875},
        row | {"fold": 2, "generated": None, "not_used": "its images are <noise>", "baseline": 0.8, "challenger": 0.8},
    ]
    facts["verdict"] |= {"folds": 3, "seeds": 1, "per_fold": rows, "per_fold_metric": "balanced_accuracy"}
    page = " ".join(render_page(facts).split())
    table = page[page.index("folds-caption") : page.index("What the same compute buys")]
    assert "balanced accuracy in %" in table and "divided into 3 folds" in page
    assert "<td>1,200</td> <td>60</td> <td>82</td> <td>2,000 of 3,000</td> <td>90.0</td> <td>87.5</td>" in table
    assert "<td>−2.5</td>" in table and "<td>not used</td>" in table
    assert "Fold 2 used nothing generated: its images are &lt;noise&gt;." in table
    assert "With fewer than 5 trainings of an arm nothing is decided; this run has 3." in page
    assert "looks at a fold’s test images so far" in page


def test_conditions_name_their_claim() -> None:
    facts = make_facts()
    more = {"arm": "mixed", "against": "flipped", "role": "condition", "difference": make_interval(0.01)}
    facts["verdict"]["contrasts"].append(more)
    tags = re.findall(r'<span class="tag [a-z]+">([^<]+)</span>', render_page(facts))
    assert tags[:3] == ["decisive", "condition of helps", "condition of hurts"]


def test_counts_and_shortfall_are_shown(page: str) -> None:
    assert "<dt>resized (crop)</dt><dd>1,200</dd>" in page
    assert "<dt>looks at this test split so far, over all recipes</dt><dd>3</dd>" in page
    assert "3 of 100 wanted images are missing" in page
    assert page.count('<title id="training-') == 3
    assert "growset run tiny" in page and "dvc repro report@tiny" in page and "ab" * 32 in page


def test_a_sentence_gets_minus_signs_and_no_break_spaces() -> None:
    assert typeset("by 0.1 points (95 % interval -0.3 to 0.5), top-1") == (
        "by 0.1 points (95\N{NO-BREAK SPACE}% interval \N{MINUS SIGN}0.3 to 0.5), top-1"
    )


def test_each_choice_of_the_training_policy_says_what_it_is_worth(page: str) -> None:
    table = page[page.index('id="search-caption"') :]
    rows = [re.sub(r"<[^>]*>|\s+", " ", row).split() for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)[1:3]]
    assert rows[0] == ["flip", "off", "on", "instead", "of", "off", "-6.1", "(±", "1.2)"]
    assert rows[1] == ["colour", "strong", "strong", "instead", "of", "off", "+20.0", "(±", "2.1)"]
    assert "800 steps, tried with mixup: 85.2 % after 400, 90.0 % after 800." in page
    assert "were together 2.3 points worse than the" in page
    assert "search-caption" not in render_page(make_facts() | {"search": None})


def test_durations_are_readable() -> None:
    assert [format_duration(s) for s in (4.21, 185, 4321)] == ["4.2 s", "3 min 05 s", "1 h 12 min"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Small outputs of the stages: random images, of which the four test images are only counted."""
    workspace, random = Workspace(tmp_path), np.random.default_rng(0)
    folder = {stage: workspace.output("tiny", stage) for stage in STAGES}
    fill_filters({stage: folder[stage] for stage in FILTERED}, random)
    test = PixelDataset(
        np.zeros((4, 8, 8, 3), np.uint8),
        build_rows([0, 0, 1, 1], [f"t{row}" for row in range(4)], split="test"),
        CLASSES,
    )
    write_shards(folder["real_images"], test, prefix="test")
    facts = make_facts()
    write_json(folder["verdict"] / "verdict.json", facts["verdict"])
    answers = {"real": [True, False, True, False], "flipped": [True, True, True, False]}
    rows = [(arm, 0, correct) for arm, each in answers.items() for correct in each]
    pl.DataFrame(rows, ["arm", "seed", "correct"], orient="row").write_parquet(folder["verdict"] / RUNS)
    write_json(folder["generated_images"] / "rounds.json", {"rounds": []})
    write_json(folder["prior"] / "prior.json", {})
    chosen = TrainingPolicy(RandAugment(), "image", 60)
    write_json(folder["training_policy"] / POLICY, chosen.to_dict())
    write_json(folder["generator"] / "losses.json", facts["losses"])
    write_json(folder["generator"] / "learning_curve.json", facts["quality"])
    write_json(folder["generator_onnx"] / "parity.json", facts["parity"])
    write_json(folder["generator_onnx"] / "usability.json", facts["usability"][0])
    for kind in ("baseline", "expanded"):
        arms = {
            entry["arm"]: {"losses": entry["losses"], "setting": {"steps": entry["steps"]}}
            for entry in facts["trainings"]
            if entry["kind"] == kind
        }
        write_json(folder[f"{kind}_classifiers"] / "results.json", {"arms": arms, "steps": 1})
    metrics = {
        "real_images": {"class_names": CLASSES, "train": 4, "validation": 4, "test": 4,
                        "conversions": facts["conversions"]},
        "mixed_dataset": facts["mix"], "scorer": facts["scorer"], "generator": facts["generator"],
        "generator_onnx": {"precision": facts["precision"]},
        "accepted_images": {"generated": 8, "accepted": 3},
    }  # fmt: skip
    arms = {arm: {"augmentation": {"kind": kind}, "pairing": {"kind": "none"}}
            for arm, kind in (("real", "none"), ("flipped", "auto"))}  # fmt: skip
    settings = {"generator": {"generator": {"kind": "flow"}}, "baseline_classifiers": {"baselines": arms},
                "expanded_classifiers": {"expanded": {"expanded": {}}},
                "generator_onnx": {"sampler": facts["sampler"]}}  # fmt: skip
    for stage in STAGES["report"].inputs:
        write_json(folder[stage] / MANIFEST, {
            "stage": stage, "version": 1, "fingerprint": stage, "inputs": {}, "files": {}, "content": join_hashes({}),
            "metrics": metrics.get(stage, {}),
            "settings": settings.get(stage, {}), "environment": facts["environment"],
        })  # fmt: skip
    content = find_looks(workspace, "tiny").content
    for expansion, split in (("tiny", content), ("other", content), ("tiny", "another")):
        record = Evaluation("2026-01-01", expansion, "test", "f", ["real"], [0], 4, split)
        append_evaluation(workspace.evaluations, record)
    write_json(workspace.timings("tiny"), {"scorer": 2.0, "real_images": 1.0, "report": 9.0})
    return workspace


def test_facts_match_the_stages_outputs(workspace: Workspace) -> None:
    inputs = {stage: workspace.output("tiny", stage) for stage in STAGES["report"].inputs}
    facts = collect_facts(workspace, "tiny", inputs, ReportSettings(examples_per_class=2))
    assert facts["evaluations"] == 2
    assert list(facts["seconds"].items()) == [("real_images", 1.0), ("scorer", 2.0)]
    assert facts["examples"][0]["generated"]["count"] == 2 and facts["examples"][1]["generated"] is None
    assert [row["accepted"] for row in facts["filters"]["classes"]] == [3, 0]
    assert list(facts["fingerprints"]) == list(STAGES["report"].inputs)
    assert facts["trainings"] == make_facts()["trainings"]
    gains = {row["name"]: row["gain"] and row["gain"]["estimate"] for row in facts["steps"]["rows"]}
    assert gains["augmentation: randaugment against none"] == 0.25 and gains["more labels"] is None
    json.dumps(facts, allow_nan=False)
    page = render_page(facts)
    assert SENTENCE in page and "What would help most here" in page and facts["worth"] is None


@pytest.mark.parametrize("change", [{"metric": "worst_class"}, {"folds": 5}])
def test_folds_and_the_worst_class_have_no_ranking(workspace: Workspace, change: dict[str, Any]) -> None:
    inputs = {stage: workspace.output("tiny", stage) for stage in STAGES["report"].inputs}
    nothing = collect_gains(inputs, make_verdict() | change, ReportSettings(), generated=97, suspects=0, seconds={})
    assert nothing == (None, None)


def test_facts_of_pulled_stages_have_no_seconds(workspace: Workspace) -> None:
    workspace.timings("tiny").unlink()
    workspace.evaluations.unlink()
    inputs = {stage: workspace.output("tiny", stage) for stage in STAGES["report"].inputs}
    facts = collect_facts(workspace, "tiny", inputs, ReportSettings())
    assert (facts["seconds"], facts["evaluations"]) == ({}, 0)


def test_where_nothing_has_a_label_no_classifier_is_said_to_judge() -> None:
    page = " ".join(render_page(make_facts() | {"unlabelled": "9 images of more without labels"}).split())
    assert "It was trained on 9 images of more without labels, and saw no label." in page
    assert "no classifier judges them" in page and "to their class" not in page and "chance would be" not in page


def test_the_kept_weights_of_a_generator_are_compared_with_real_images(page: str) -> None:
    text = " ".join(re.sub(r"<[^>]+>", "", page).split())
    assert (
        "The weights of step 60 were kept. Of 500 images drawn with them, the scorer assigned 77.0 % to their class"
        in text
    )
    assert (
        "Fréchet distance to the validation images in its features was 1.25; that of real training images is 0.31"
        in text
    )
    assert "1.2 % were near copies of a training image, of unseen real images 0.4 %" in text


def test_moves_are_reported_in_the_place_of_a_network() -> None:
    moves = {"rotation": 22.5, "scale": 0.15, "shift": 0.0375, "mirror": True}
    generator = {"kind": "geometry", **moves, "training_images": 1500, "precision": "fp32", "best_step": 0}
    none = {"solver": None, "steps": None, "precision": "fp32"}
    page = render_page(
        make_facts() | {"generator": generator, "losses": [], "quality": [make_look(0, 1.25)], "sampler": none}
    )
    assert "<dt>Turned by up to</dt><dd>22.5 degrees</dd>" in page and "<dt>Mirrored</dt><dd>yes</dd>" in page
    assert "<dd>15.0 %</dd>" in page and "<dd>3.8 % of a side</dd>" in page and "<dd>1,500 images</dd>" in page
    assert "<p>Of 500 images drawn with them," in page
    assert "None, None step" not in page and "The weights of step" not in page


def test_a_prior_is_reported_with_what_it_saw_and_not_as_trained_on_the_labelled_images() -> None:
    generator = make_facts()["generator"] | {"kind": "prior"}
    told = "a prior that saw 5,000 unlabelled images of a<b"
    page = render_page(make_facts() | {"generator": generator, "prior": told, "quality": [], "losses": []})
    assert "It is a prior that saw 5,000 unlabelled images of a&lt;b, and no label." in page
    footer = " ".join(page.split("<footer>")[1].split())
    assert footer.startswith("The filters and every setting saw") and "the generator learnt with a pool" in footer
    assert "trained on the real training images alone" not in page


def test_a_generator_exported_elsewhere_is_not_reported_as_trained_here() -> None:
    generator = {"kind": "onnx", "sha256": "abcdef" * 10 + "abcd", "training_images": None, "precision": None}
    foreign = render_page(
        make_facts()
        | {
            "generator": generator,
            "losses": [],
            "quality": [],
            "sampler": {"solver": None, "steps": None, "precision": "fp32"},
        }
    )
    assert "It was exported elsewhere" in foreign
    assert "sha256 abcdefabcdef…" in foreign
    assert "trained on the real training images alone" not in foreign
    assert "loss curve" not in foreign
    assert (
        "what\n  the generator saw is not known here" in foreign
        and "The generator, the filters and every" not in foreign
    )
    assert "The generator, the filters and every setting saw" in render_page(make_facts())


def test_what_was_found_in_the_real_images_is_said_first(page: str) -> None:
    text = " ".join(re.sub(r"<[^>]+>", "", page).split())
    assert text.index("The real images") < text.index("Every arm")
    assert "Fault: 1 picture stands under more than one label, e.g. 2.png as" in text
    assert "Warning: 1 image is blank, e.g. 5.png" in text
    assert "growset inspect tiny looks at the test images too" in text


def test_a_generator_that_was_not_used_is_explained_and_the_baselines_are_shown() -> None:
    page = render_page(make_unused_facts())
    reader, text = Reader(page), " ".join(re.sub(r"<[^>]+>", "", page).split())
    assert reader.open == [] and len(reader.find("caption")) == len(reader.find("table"))
    assert "Generator not used</p>" in page and "<h1>The generator was not used: why.</h1>" in page
    assert "The mean of the places, each limited to 0 to 100 %, must be at least 55 %" in text
    assert "random network17 (± 5)0.0900.900class means in noise0.050" in text and "mean12too low" in text
    assert text.index("What would help") < text.index("more steps (it took 60)") < text.index("The real images")
    assert "82.0 (81.0 to 83.0)" in text and "flipped, ensemble of 5" in text and "What a linear model reaches" in text
    for absent in ("challenger", "decisive comparison", "β", "filters rejected", "Quality of the accepted", "None"):
        assert absent not in text, absent


def test_images_that_the_controller_left_out_of_every_arm_are_told_apart_from_none() -> None:
    facts, unused = make_facts(), make_unused_facts()
    left_out = read_text(render_page(facts | {key: unused[key] for key in ("verdict", "trainings")}))
    assert "The generated images were left out of every arm by the controller." in left_out
    assert "There are no generated images" not in left_out and "challenger" not in left_out
    without = read_text(render_page(unused))
    assert "There are no generated images." in without and "by the controller" not in without


def read_text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).replace("&nbsp;", " ").split())


def test_the_gate_of_variants_has_a_table_and_says_who_judges_a_rare_class(page: str) -> None:
    assert "variants of" not in page, "images of most kinds are none"
    facts = make_facts()
    varied = render_page(facts | {"variants": [make_gate()]})
    reader, text = Reader(varied), read_text(varied)
    assert reader.open == [] and len(reader.find("caption")) == len(reader.find("table"))
    assert (
        "if they lie 2 grey levels or more apart and are named rightly at least 90 % as often as their images;" in text
    )
    assert f"the variants of the common ones stand for them: {CLASSES[0]}." in text
    assert f"{CLASSES[0]} 40 40 36 9.3 95.3 used" in text
    assert "40 40 0 0.4 – refused: two variants of an image differ by 0.4 grey levels, and 2 are needed" in text
    unasked = read_text(render_page(facts | {"variants": [make_gate() | {"moves": None, "keeps": None}]}))
    assert "The recipe sets no limit, so every class gets variants." in unasked and "stand for them" not in unasked
    unjudged = read_text(render_page(facts | {"variants": [make_gate(kept=None)] * 2}))
    assert "names only 36 images rightly, too few to say whether" in unjudged and "here of generator 1" in unjudged
    assert "all, and common classes 36 8.7 –" in unjudged
    several = Reader(render_page(facts | {"variants": [make_gate()] * 2}))
    ids = [attributes["id"] for _, attributes in several.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_seed_images_that_were_chosen_have_a_table() -> None:
    rows = [
        {"name": name, "real": 31, "chosen": 11, "misnamed": 2, "bound": bound}
        for name, bound in zip(CLASSES, [1.255, *[None] * (len(CLASSES) - 1)], strict=True)
    ]
    seeds = {"classes": rows, "real": 1_031, "chosen": 344, "misnamed": 20}
    shown = render_page(make_facts() | {"variants": [make_gate()], "seeds": seeds})
    reader, text = Reader(shown), read_text(shown)
    assert reader.open == [] and len(reader.find("caption")) == len(reader.find("table"))
    assert "Variants were made of 344 of 1,031 training images" in text.replace("\u202f", ",").replace("\u2009", ",")
    assert "The gate of variants asked about training images of all kinds, not about these alone." in text
    assert f"{CLASSES[0]} 31 11 2 1.25" in text or f"{CLASSES[0]} 31 11 2 1.26" in text


def test_the_page_says_how_the_strength_of_variants_was_chosen() -> None:
    tried = [
        {"strength": 1.0, "moved": 30.04, "kept": 0.84, "refused": 3, "used": False},
        {"strength": 0.8, "moved": 21.0, "kept": 0.93, "refused": 0, "used": True},
    ]
    text = read_text(render_page(make_facts() | {"variants": [make_gate() | {"strengths": tried}]}))
    assert (
        "1 (30.0 levels apart, 84.0 % as often named rightly), 0.8 (21.0 levels apart, 93.0 % as often named rightly,"
        " used)." in text
    )


def test_the_page_shows_what_was_imagined_and_says_by_which_preset_and_mode(page: str) -> None:
    assert "imagined" not in page
    found = {
        "mode": "guided", "asked": "guided", "why": None, "preset": "corrected", "unverified": [], "picture": PICTURE,
        "ways": ["seed image", "prior", "random", "guided"], "shown": ["bag", "coat"],
        "scorer": "the scorer names 80.0 % of 40 seed images rightly, and 50.0 % would be chance",
        "scorer_kind": None, "scorer_model": None, "profile": None,
    }  # fmt: skip
    shown = render_page(make_facts() | {"imagination": [found]})
    text = read_text(shown)
    assert Reader(shown).open == [] and "from left to right: seed image, prior, random, guided." in text
    assert "imagined with preset corrected, mode guided. Before they were drawn, the scorer names 80.0 %" in text
    off = {**found, "mode": "random", "why": "it is near chance", "preset": "paper", "unverified": ["the direction"]}
    text = read_text(render_page(make_facts() | {"imagination": [off]}))
    assert "The recipe asks for mode guided: it is near chance." in text and "rest on memory: the direction" in text
    clip = {**found, "scorer_kind": "clip", "scorer_model": "models/clip", "profile": "medical"}
    text = read_text(render_page(make_facts() | {"imagination": [clip]}))
    assert (
        "mode guided, profile medical." in text
        and "This scorer is a CLIP (models/clip), which learnt elsewhere; what" in text
    )
    probe = {**found, "scorer_kind": "probe", "scorer_model": "models/vit"}
    text = read_text(render_page(make_facts() | {"imagination": [probe]}))
    assert (
        "the features of models/vit, which learnt elsewhere; what from, and whether with labels, is not known" in text
    )
    text = read_text(render_page(make_facts() | {"imagination": [probe | {"scorer_model": None}]}))
    assert "on features that the prior’s encoder learnt without labels." in text


def test_a_generator_that_the_gate_refused_everywhere_is_explained_by_it() -> None:
    usable = {"usability": [make_usability()], "variants": [make_gate(whole="they are copies")]}
    page = render_page(make_unused_facts() | usable)
    reader, text = Reader(page), read_text(page)
    assert reader.open == [] and len(reader.find("caption")) == len(reader.find("table"))
    assert "nothing is published, because no class that is to grow gets variants." in text
    assert text.count("refused: they are copies") == len(CLASSES)
    assert text.index("What would help") < text.index("a generator that is trained longer") < text.index("The real ima")
    assert "usable_from" not in text and "Where its images lie" not in text


def test_of_several_generators_each_place_is_shown() -> None:
    two = [make_usability(0.8), make_usability(0.1, usable=False)]
    text = " ".join(re.sub(r"<[^>]+>", " ", render_page(make_unused_facts() | {"usability": two})).split())
    assert "All generators of a recipe are used or none" in text
    assert "0 mean 80 used" in text and "1 mean 10 too low" in text and "more steps (it took 60)" in text


def test_pictures_come_before_every_table_and_the_answer_before_them(page: str) -> None:
    answer = page.index("<strong>The generated images look like real ones, by every figure")
    assert page.index("</header>") < answer < page.index("<img") < page.index("<table")
    many = make_facts()
    many["examples"] = [many["examples"][0] | {"name": f"class {number}"} for number in range(30)]
    folded = render_page(many)
    assert (
        folded.index("class 11</h3>") < folded.index("<summary>18 more classes</summary>") < folded.index("class 12<")
    )


@pytest.mark.parametrize("facts", [make_facts, make_unused_facts])
def test_every_table_is_explained_where_it_stands(facts: Callable[[], dict[str, Any]]) -> None:
    captions = re.findall(r"<caption>(.*?)</caption>", render_page(facts()))
    explained = [re.fullmatch(r"<b[^>]*>[^<]+</b> <small>[^<]+\.</small>", caption) for caption in captions]
    assert len(captions) > 8 and all(explained), captions


def test_classes_of_few_test_images_are_greyed(page: str) -> None:
    assert page.count('<tr class="few">') == 1, "the class without test images"
    facts = make_facts()
    facts["verdict"]["per_class"][0] |= {"images": 9, "difference": make_interval(0.05, 0.9)}
    text = render_page(facts)
    assert text.count('<tr class="few">') == 2 and "greyed rows have fewer than 10 of them" in text
    facts["verdict"]["per_class"][0]["images"] = 10
    assert render_page(facts).count('<tr class="few">') == 1


def test_only_the_first_sentence_of_a_verdict_is_the_heading() -> None:
    facts = make_unused_facts()
    facts["verdict"]["sentence"] = "The generator was not used: 1.5 % of it. So there is no evidence. Real reaches 9 %."
    page = " ".join(render_page(facts).split())  # a no-break space becomes one that breaks
    assert "<h1>The generator was not used: 1.5 % of it.</h1>" in page
    assert '<p class="rest">So there is no evidence. Real reaches 9 %.</p>' in page
    assert 'class="rest"' not in render_page(make_facts())
