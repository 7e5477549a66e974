"""`growset plan` in a workspace, for a machine of known speeds: what is counted, warned of, and fitted to minutes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.planning import timing
from ops.planning.cost import TRAINING_SECONDS
from ops.planning.plan import plan_expansion
from ops.planning.speeds import Speeds
from ops.recipe.loading import load_recipe
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.cli import plan_text
from pipelines.cli.plan import show_plan
from pipelines.cli.plan_text import format_images, format_steps
from pipelines.cli.prospect import look_ahead, read_exactly
from tests.workspaces import growset, run

Edit = Callable[[Path, str, str], None]
STEP, FIXED = 0.1, 10.0  # seconds of a generator's step, and of what follows its steps
UNIT = 0.5  # seconds of a classifier's step


@pytest.fixture
def root(fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def measure(recipe: object, units: list[object], *_: object) -> Speeds:
        return Speeds(dict.fromkeys(units, UNIT), 0.0, 0.0, STEP, 0.0, FIXED, 0.0)

    monkeypatch.setattr(timing, "measure_speeds", measure)
    return fresh_workspace


def plan(root: Path) -> dict[str, Any]:
    return show_plan(Workspace(root), "digits", quiet=True)


def test_seconds_and_bytes_count_every_generator(root: Path, edit_recipe: Edit) -> None:
    one = plan(root)
    edit_recipe(root, "generator: {", "generator: {seeds: 2, ")
    two = plan(root)
    assert (one["generators"], two["generators"]) == (1, 2)
    assert one["seconds"]["generator"] == pytest.approx(60 * STEP + FIXED + 4 * 1.0)
    for stage in ("generator", "generator_onnx"):
        assert two["seconds"][stage] == pytest.approx(2 * one["seconds"][stage])
    assert two["bytes"] == 2 * one["bytes"]
    assert one["drawn"] == two["drawn"] == 96
    assert one["stale"] == list(STAGES)


def test_arms_that_equal_another_are_not_counted_and_a_second_look_is(root: Path, edit_recipe: Edit) -> None:
    edit_recipe(root, "seeds: 2}", "seeds: 5}")
    one = plan(root)["seconds"]
    edit_recipe(root, "verdict: {}", "verdict: {looks: 2}")
    two = plan(root)["seconds"]
    once = 5 * (20 * UNIT + TRAINING_SECONDS)  # oversampling does nothing where classes are equally large
    assert one["baseline_classifiers"] == one["expanded_classifiers"] == pytest.approx(once)
    assert two["verdict"] - one["verdict"] == pytest.approx(2 * once)


def test_the_first_answer_comes_before_torch_and_dagster_are_loaded(fresh_workspace: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from ops.workspaces.workspace import Workspace
import pipelines.cli.main, pipelines.cli.looking
from pipelines.cli.plan import describe_plan
from pipelines.cli.plan_text import format_images
from pipelines.cli.prospect import guess_pace, look_ahead
workspace = Workspace(Path({str(fresh_workspace)!r}))
seen = look_ahead(workspace, "digits")
found = describe_plan(guess_pace(workspace, seen))
print("\\n".join(format_images(seen)))
print(found["to_do_seconds"] > 0, [name for name in ("torch", "dagster", "diffusers", "dvc") if name in sys.modules])
"""
    lines = run(fresh_workspace, sys.executable, "-c", script).stdout.splitlines()
    assert lines[0] == "digits: 32 real images of 16x16x1, 2 classes, 32 for validation, 232 for test"
    assert "  current stages: none" in lines
    assert lines[-1] == "True []"


def test_what_labels_say_is_what_reading_finds(fresh_workspace: Path, edit_recipe: Edit) -> None:
    edit_recipe(fresh_workspace, "data: {images_per_class: 16}", "data: {long_tail: {head: 20, ratio: 4}}")
    workspace = Workspace(fresh_workspace)
    seen = look_ahead(workspace, "digits")
    spec = fresh_workspace / "sources" / "digits.yaml"
    spec.write_text(spec.read_text() + "skip_damaged: true\n")  # so that only reading is exact
    read = read_exactly(workspace, look_ahead(workspace, "digits"))
    assert seen.counted.is_exact and read.counted.is_exact
    assert seen.counted.shape == read.counted.shape
    for split, counts in read.counted.images.items():
        np.testing.assert_array_equal(counts, seen.counted.images[split])
    assert seen.counted.images["train"].tolist() == [20, 5]


def test_the_controllers_races_are_counted_and_told(root: Path, edit_recipe: Edit) -> None:
    edit_recipe(root, "seeds: 2}", "seeds: 5}")
    edit_recipe(root, "  oversampled: {sampler: class_balanced}", "  chosen: {strength: auto}")
    before = plan(root)["seconds"]
    edit_recipe(root, "expanded:\n  expanded: {}", "expanded:\n  expanded: {strength: auto, real_weight: auto}")
    found = plan(root)
    # 0.3 * 5 * 20 steps in 8 units of 3: two settings race once for 3 steps, and both winners thrice for 6.
    deciding = 2 * 3 * (6 * UNIT + TRAINING_SECONDS)
    race, once = 2 * (3 * UNIT + TRAINING_SECONDS), 5 * (20 * UNIT + TRAINING_SECONDS)
    assert before["baseline_classifiers"] == pytest.approx(2 * once + race)
    assert found["seconds"]["expanded_classifiers"] == pytest.approx(once + race + deciding)
    assert found["controller"] == {"steps": 12 + 36, "final_steps": 200, "share": 0.24, "allowed": 0.3}
    line = "the controller's races take 48 of these optimizer steps, 24% of the 200 that they prepare (at most 30%)"
    assert f"{line}\n" in growset(root, "plan", "digits").output
    edit_recipe(root, "data: {images_per_class: 16}", "data: {}")
    edit_recipe(root, "verdict: {}", "verdict: {folds: 3}")
    assert f"{line}, and as many in each fold\n" in growset(root, "plan", "digits").output


def test_text_has_minutes_and_warnings(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = growset(root, "plan", "digits")
    assert found.exit_code == 0, found.output
    assert "first estimate, from the sizes of the networks: " in found.output
    assert "timing: reading the source, as a run does" in found.output
    assert "  generator              under a minute" in found.output
    assert "232 test images show differences from about 7 points on (if arms err on 15 % of the images)" in found.output
    assert "warning: with 232 test images only differences of about 7 points would show" in found.output
    assert "no verdict can be reached with classifier.seeds 2" in found.output
    assert " seconds" not in found.output
    assert "if longer training pays" not in found.output and "shorter:" not in found.output
    monkeypatch.setattr(plan_text, "LONG", 0)
    open_length = growset(
        root,
        "plan",
        "digits",
        "--set",
        "tuning.policy=true",
        "--set",
        "tuning.most_steps=100",
        "--set",
        "baselines.mixup.augmentation=auto",
    )
    assert "if longer training pays: `tuning` may choose 80 steps)" in open_length.output, open_length.output
    assert "shorter: growset plan digits --minutes 60" in open_length.output


def test_of_many_classes_the_largest_and_the_smallest_are_listed(fresh_workspace: Path) -> None:
    seen = look_ahead(Workspace(fresh_workspace), "digits")
    counts = np.arange(1, 61)
    plan = plan_expansion(counts, tuple(f"class {count}" for count in counts), seen.recipe.plan)
    lines = [line.split()[:3] for line in format_images(replace(seen, plan=plan)) if line.startswith("  ")]
    listed = [int(words[1]) for words in lines if words[0] == "class" and words[1].isdigit()]
    assert listed == [*range(60, 50, -1), *range(10, 0, -1)]
    assert ["…", "40", "more"] in lines


def test_the_seed_images_of_variants_are_counted_where_they_are_not_all(fresh_workspace: Path) -> None:
    seen = look_ahead(Workspace(fresh_workspace), "digits")
    assert not any("seed images" in line for line in format_images(seen))
    hard = plan_expansion(np.array([10, 20]), ("zero", "one"), seen.recipe.plan.model_copy(update={"seeds": "hard"}))
    assert (
        "  seed images: 11 of 30, of each class the third that the scorer learns worst; about 2.73 variants of each"
        in format_images(replace(seen, plan=hard))
    )


def test_minutes_fit_the_whole_chain_and_are_written(root: Path) -> None:
    path = root / "recipes" / "digits.yaml"
    fitted = growset(root, "plan", "digits", "--json", "--minutes", "10")
    assert fitted.exit_code == 0, fitted.output
    lines = fitted.stderr.splitlines()
    recipe = load_recipe(path)
    steps = {"scorer": recipe.scorer.steps, "classifier": recipe.classifier.steps}
    generator = recipe.generator.steps  # type: ignore[attr-defined]
    assert f"{path}: scorer.steps: 40 -> {steps['scorer']}" in lines
    assert f"{path}: classifier.steps: 20 -> {steps['classifier']}" in lines
    assert f"{path}: generator.steps: 60 -> {generator}" in lines
    assert steps["scorer"] / 40 == pytest.approx(steps["classifier"] / 20, rel=0.1)
    assert steps["scorer"] / 40 == pytest.approx(generator / 60, rel=0.1)
    found = json.loads(fitted.stdout)
    assert 500 < sum(found["seconds"].values()) + found["rest_seconds"] <= 600
    before = path.read_bytes()
    refused = growset(root, "plan", "digits", "--minutes", "0.5")
    assert refused.exit_code == 2 and path.read_bytes() == before
    assert "0.5 minutes are too few" in refused.output.splitlines()[-1]
    least = int(refused.output.split("--minutes ")[-1])
    assert growset(root, "plan", "digits", "--minutes", str(least)).exit_code == 0


def test_current_stages_are_named_and_their_results_are_used(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    seen = look_ahead(workspace, "digits")
    assert seen.stale == []
    assert seen.errors is not None and not seen.resolution.is_assumed
    edited = look_ahead(Workspace(finished_workspace, {"classifier.steps": 30}), "digits")
    assert edited.stale[0] == "training_policy" and edited.errors is None


def test_what_would_help_most_is_listed_with_its_cost() -> None:
    gain = {"estimate": 0.012, "low": 0.004, "high": 0.02}
    rows = [
        {
            "name": "an ensemble",
            "state": "open",
            "gain": gain,
            "where": "test",
            "cost": "5 evaluations",
            "how": "average",
        },
        {"name": "mixup", "state": "not picked", "gain": gain, "where": "test", "cost": "", "how": "mixed has it"},
        {"name": "a prior", "state": "not measured", "gain": None, "where": "test", "cost": "", "how": "add one"},
    ]
    lines = format_steps({"sentence": "The best next step.", "rows": rows})
    assert lines == [
        "", "  The best next step.",
        "  an ensemble  +1.2 (+0.4 to +2.0) points on test images", "               5 evaluations; average",
        "  mixup        +1.2 (+0.4 to +2.0) points on test images, not picked by validation",
        "               mixed has it", "  a prior      not measured", "               add one",
    ]  # fmt: skip


def test_a_learning_curve_tells_each_length_and_proposes_steps(root: Path) -> None:
    before = {path for path in root.rglob("*") if ".growset" not in path.parts}
    shown = growset(root, "plan", "digits", "--learning-curve")
    assert shown.exit_code == 0, shown.output
    lines = [line.strip() for line in shown.output.splitlines() if not line.startswith("warning: ")]
    begin = next(place for place, line in enumerate(lines) if line.startswith("learning curve of "))
    assert lines[begin].startswith(
        "learning curve of real, trained on 32 real images and scored on 32 for validation, from 5"
    )
    assert lines[begin + 1] == "learning curve: training real for 5 steps, 2 seeds"
    told = [line for line in lines if " steps: " in line and line[0].isdigit()]
    assert [line.split()[0] for line in told] == ["5", "10", "20", "40", "80"][: len(told)] and len(told) > 1
    assert lines[-1].startswith("classifier.steps: ")
    files = set((root / ".growset" / "trainings").iterdir())
    assert len(files) == 2 * len(told)
    found = json.loads(growset(root, "plan", "digits", "--learning-curve", "--json").stdout)["learning_curve"]
    assert (
        found["sentence"] == lines[-1]
        and [each["steps"] for each in found["lengths"]] == [5, 10, 20, 40, 80][: len(told)]
    )
    assert set(files) == set((root / ".growset" / "trainings").iterdir()), "nothing is trained twice"
    assert before == {path for path in root.rglob("*") if ".growset" not in path.parts}
    refused = growset(root, "plan", "digits", "--learning-curve", "--minutes", "5")
    assert refused.exit_code == 2 and "give one of them" in refused.output


def test_a_recipe_that_chooses_its_steps_gets_no_learning_curve(root: Path) -> None:
    choice = ["--set", "tuning={policy: true, most_steps: 80}", "--set", "baselines.mixup={augmentation: auto}"]
    shown = growset(root, "plan", "digits", "--learning-curve", *choice)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines()[-1].strip().startswith("no learning curve: the chain chooses the steps itself")
    assert not (root / ".growset" / "trainings").exists()


def test_a_plan_says_how_many_variants_each_class_will_be_shown(
    root: Path, edit_recipe: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_recipe(
        root, "  oversampled: {", "  varied: {variants: {kind: git, by: [randaugment], start: 0.5}}\n  oversampled: {"
    )
    found = show_plan(Workspace(root), "digits")["variants"]["varied"]
    assert found["total"] == {"shown": 20 * 16, "variants": 10 * 8} and found["images"] == [16, 16]
    lines = capsys.readouterr().out.splitlines()
    (place,) = [i for i, line in enumerate(lines) if line == "  varied: 80 of 320 images shown are variants (25 %)"]
    assert lines[place + 2].split()[:4] == ["zero", "16", str(found["shown"][0]), str(found["variants"][0])]
    edit_recipe(root, "{variants: {kind: git, by: [randaugment], start: 0.5}}", "{pairing: mixup}")
    assert "variants" not in plan(root)


@pytest.mark.parametrize(
    ("nuisance", "keys", "sentence"),
    [
        ("null", "by: [randaugment], below: 16", "below 16 is not above the smallest class, which has 16 images"),
        (
            "strokes",
            "by: [oracle]",
            "by: oracle of the arm 'varied' need the images from before the nuisance, which only",
        ),
    ],
)
def test_variants_that_no_class_or_only_a_study_can_have_are_refused_before_anything_is_computed(
    root: Path, edit_recipe: Edit, nuisance: str, keys: str, sentence: str
) -> None:
    edit_recipe(root, "images_per_class: 16", f"images_per_class: 16, nuisance: {nuisance}")
    edit_recipe(root, "  oversampled: {", f"  varied: {{variants: {{kind: git, {keys}}}}}\n  oversampled: {{")
    result = growset(root, "check", "digits")
    assert result.exit_code == 2 and sentence in result.stderr and result.stderr.count("\n") == 1
