"""Recipes compared from what their runs left behind: figures, states, refusals, the page and the terminal's text."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.errors import DamagedData, UserError
from ops.files.manifests import MANIFEST, describe_output
from ops.files.outputs import WORTH
from ops.files.storage import read_json, write_json
from ops.stages.materialization import identify
from ops.study.comparing.facts import compare_recipes
from ops.study.comparing.page import render_comparison
from ops.study.comparing.recipes import Candidate, describe_candidate, read_finished
from ops.study.comparing.same_images import require_same_images, require_same_questions
from ops.study.comparing.telling import list_warnings
from ops.workspaces.workspace import Workspace
from pipelines.cli.comparing import name_page
from pipelines.cli.comparing_text import format_comparison
from tests.compared import TEST, answer, enter, leave_outputs, make_compared
from tests.reports import make_interval
from tests.workspaces import growset

REAL, MIXUP = answer(0.6, 0, TEST), answer(0.7, 1, TEST)
GOOD = enter("good", {"real": REAL}, {"expanded": answer(0.9, 2, TEST)})
POOR = enter("poor", {"real": REAL, "oversampled": MIXUP}, {"expanded": answer(0.55, 3, TEST)})


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two recipes that were run, one that was not, one that is not active, one of fewer images: to be read only."""
    found = make_compared(tmp_path_factory.mktemp("compared"), "good", "poor", "new", "idle", "fewer")
    (found.root / "params.yaml").write_text((found.root / "params.yaml").read_text().replace(", idle", ""))
    path = found.recipe_path("fewer")
    path.write_text(path.read_text().replace("images_per_class: 16", "images_per_class: 12"))
    path = found.recipe_path("poor")
    path.write_text(path.read_text().replace("real_weight: 4.0", "real_weight: 1.0"))
    for name in ("good", "poor"):
        path = found.recipe_path(name)
        path.write_text(path.read_text().replace("examples_per_class: 2", "examples_per_class: 2, worth: {}"))
    leave_outputs(found, "good", GOOD, {"generator": 61.5, "verdict": 2.0})
    leave_outputs(found, "poor", POOR, {"verdict": 3.0})
    for name in ("good", "poor"):
        write_json(found.output(name, "report") / WORTH, {"rows": [{"told": f"{name}: +37 (12 to 80)"}]})
    identity = identify(found, found.load_recipe("poor"), "poor", "report")
    outdated = {**identity, "inputs": {**identity["inputs"], "verdict": "another one"}}
    path = found.output("poor", "report")
    write_json(path / MANIFEST, describe_output(path, outdated, {}))
    return found


@pytest.fixture(scope="module")
def facts(workspace: Workspace) -> dict[str, Any]:
    return compare_recipes(workspace, ["poor", "new", "good", "idle"])


def test_what_the_runs_left_behind_is_compared(facts: dict[str, Any]) -> None:
    json.dumps(facts, allow_nan=False)
    good, poor, *_ = facts["recipes"]
    assert [row["recipe"] for row in facts["recipes"]] == ["good", "poor", "new", "idle"]
    assert (facts["leader"], facts["decision"], facts["compared"]) == ("good", "helps", 2)
    assert facts["best"] == {"arm": "oversampled", "recipe": "poor"} and facts["test_images"] == TEST
    expanded = GOOD.correct["expanded"].mean()
    assert good["over_best"]["estimate"] == pytest.approx(expanded - MIXUP.mean())
    assert good["gain"]["estimate"] == good["own_gain"]["estimate"] == pytest.approx(expanded - REAL.mean())
    assert good["gain"]["high"] > good["own_gain"]["high"], "with two compared, limits are farther off"
    assert poor["behind"]["estimate"] == pytest.approx(expanded - POOR.correct["expanded"].mean())
    assert (poor["decision"], good["behind"], poor["among"]) == ("hurts", None, "hurts")
    assert good["seconds"] == {"generator": 61.5, "verdict": 2.0} and good["total_seconds"] == 63.5
    assert (good["worth"], poor["worth"]) == ("good: +37 (12 to 80)", None)
    assert good["bytes"] > 10_000 and (good["generated"], good["steps"], good["seeds"]) == (32, 20, 5)
    assert [row["name"] for row in facts["classes"]] == ["zero", "one"]
    assert [row["train_images"] for row in facts["classes"]] == [33, 31]
    assert all(row["gains"]["good"]["clear"] for row in facts["classes"])


def test_a_recipe_that_was_not_run_is_a_row_with_the_command_that_runs_it(facts: dict[str, Any]) -> None:
    new, idle = facts["recipes"][2:]
    assert (new["state"], new["why"], new["commands"]) == ("pending", "has not been run", ["growset run new"])
    assert idle["commands"] == ["growset activate idle", "growset run idle"]
    assert facts["warnings"][:2] == [
        "new has not been run; run: growset run new",
        "idle has not been run; run: growset activate idle && growset run idle",
    ]


def test_the_sentence_begins_with_the_decision_and_names_who_is_beaten(facts: dict[str, Any]) -> None:
    points = 100 * (GOOD.correct["expanded"].mean() - MIXUP.mean())
    assert facts["sentence"].startswith(
        f"Expansion helps with good: expanded of good, the best of 2 on validation, is {points:.1f} points better than"
        " oversampled, the best arm without generated images of all of them (95 % interval "
    )
    assert "for 2 comparisons together), and better than every other one, in accuracy on 232 test" in facts["sentence"]
    assert facts["sentence"].endswith("With generated images good is better than poor.")


def test_nothing_that_was_run_gives_a_page_with_commands_alone(workspace: Workspace) -> None:
    facts = compare_recipes(workspace, ["new", "idle"])
    assert facts["sentence"] == "None of these recipes has been run, so there is nothing to compare yet."
    assert format_comparison(facts)[0] == facts["sentence"]
    page = render_comparison(facts)
    assert "growset activate idle\ngrowset run idle" in page and "<h2>The recipes</h2>" not in page


def test_those_that_were_run_are_compared_with_each_other_whichever_is_named_first() -> None:
    new, good, other = (Candidate(name, "digits", {}, None, name[1:], None, []) for name in ("new", "good", "other"))
    require_same_images([replace(new, content=None), good, replace(other, content=good.content)])
    for order in itertools.permutations([replace(new, content=None), good, other]):
        with pytest.raises(UserError, match="has other images than .* .its seed draws others"):
            require_same_images(order)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["good"], "a comparison needs at least 2 recipes"),
        ([], "a comparison needs at least 2 recipes"),
        (["good", "poor", "good"], "'good' is named twice; name each recipe once"),
        (["good", "goof"], "there is no recipe 'goof'"),
        (["good", "fewer"], "'fewer' has other images than 'good' (data.images_per_class 12 instead of 16)"),
        (["new", "idle", "fewer"], "'fewer' has other images than 'new'"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(workspace: Workspace, names: list[str], said: str) -> None:
    result = growset(workspace.root, "compare", *names)
    (sentence,) = result.output.splitlines()
    assert result.exit_code == 2 and sentence.startswith(f"growset: {said}")


def test_another_source_is_refused_even_before_it_is_run(tmp_path: Path) -> None:
    workspace = make_compared(tmp_path / "workspace", "good", "letters")
    path = workspace.recipe_path("letters")
    path.write_text(path.read_text().replace("source: digits", "source: letters"))
    with pytest.raises(UserError, match=r"\(source letters instead of digits\); recipes are compared on one source"):
        compare_recipes(workspace, ["good", "letters"])


def test_a_recipe_that_changed_since_its_run_is_not_compared(tmp_path: Path) -> None:
    workspace = make_compared(tmp_path / "workspace", "good", "poor")
    leave_outputs(workspace, "good", GOOD, {})
    path = workspace.recipe_path("good")
    whole = path.read_text()
    path.write_text(whole.replace("steps: 60", "steps: 61"))
    facts = compare_recipes(workspace, ["good", "poor"])
    assert facts["recipes"][0]["why"] == "has changed since it was run: generator was made from other settings"
    path.write_text(whole.replace("examples_per_class: 2", "examples_per_class: 3"))
    assert describe_candidate(workspace, "good").pending is None, "the report alone follows from that"


def test_damage_is_told_and_never_compared(tmp_path: Path) -> None:
    workspace = make_compared(tmp_path / "workspace", "good", "poor")
    leave_outputs(workspace, "good", GOOD, {})
    path = workspace.output("good", "verdict") / "verdict.json"
    write_json(path, read_json(path) | {"decision": "helps more"})
    with pytest.raises(DamagedData, match=r"'good': verdict is damaged: .*growset run good"):
        compare_recipes(workspace, ["poor", "good"])


def test_verdicts_about_another_score_or_other_images_are_refused(workspace: Workspace) -> None:
    good, poor = (read_finished(workspace, describe_candidate(workspace, name)) for name in ("good", "poor"))
    require_same_questions([good, poor])
    other = replace(poor, verdict={**poor.verdict, "metric": "worst_class"})
    with pytest.raises(UserError, match="'good' in accuracy and 'poor' in accuracy of the worst class cannot be"):
        require_same_questions([good, other])
    turned = replace(poor, images=replace(poor.images, ids=poor.images.ids.reverse()))
    with pytest.raises(UserError, match="'poor' was judged on other test images than 'good'"):
        require_same_questions([good, turned])
    folded = [
        replace(each, images=replace(each.images, folds=np.arange(TEST) % (3 + n)))
        for n, each in enumerate([good, poor])
    ]
    with pytest.raises(UserError, match="other test images"):
        require_same_questions(folded)


def test_other_lengths_few_seeds_and_unused_generators_are_warned_of(workspace: Workspace) -> None:
    good, poor = (read_finished(workspace, describe_candidate(workspace, name)) for name in ("good", "poor"))
    assert list_warnings([], [good, poor]) == []
    longer = replace(
        poor,
        verdict={**poor.verdict, "budget": {"steps": 1600, "batch_size": 16}, "seeds": 2, "generator_used": False},
        entrant=replace(poor.entrant, has_learnt=False),
    )
    lengths, seeds, learnt, used = list_warnings([], [good, longer])
    assert lengths.endswith("all of a difference: good 20 steps of batch 16, poor 1,600 steps of batch 16.")
    assert seeds == "poor trains each arm 2 times; at least 5 times decide."
    assert "classifiers of poor have not learnt" in learnt and "generator of poor was not used" in used


def test_the_terminal_shows_every_recipe_class_and_cost(facts: dict[str, Any]) -> None:
    lines = format_comparison(facts)
    assert lines[0] == "digits: accuracy on 232 test images; 95 % intervals that hold for all 2 together"
    (good,) = (line for line in lines if line.startswith("  good    helps    helps    expanded"))
    assert good.endswith("–")
    assert [line.endswith("worth in labels a class") for line in lines if " MB " in line] == [True]
    assert [line.endswith("+37 (12 to 80)") for line in lines if line.startswith("  good")] == [False, True]
    (zero,) = (line for line in lines if line.startswith("  zero"))
    assert zero.count("*") == sum(cell["clear"] for cell in facts["classes"][0]["gains"].values())
    assert any(line.split()[:1] == ["good"] and "64 s" in line for line in lines)
    assert lines[-2:] == [f"- {warning}" for warning in facts["warnings"]]


@pytest.mark.parametrize(("compared", "leader"), [(0, None), (1, "good")])
def test_where_no_other_recipe_used_generated_images_nothing_is_said_to_hold_for_all(
    facts: dict[str, Any], compared: int, leader: str | None
) -> None:
    few = {**facts, "compared": compared, "leader": leader, "sentence": "No matter.", "warnings": []}
    lines, page = "\n".join(format_comparison(few)), " ".join(render_comparison(few).split())
    assert f"all {compared}" not in lines + page and f"{compared} verdicts" not in page and "among" not in lines + page
    assert "together" not in lines + page
    said = "None of them has an arm that learnt" if leader is None else "Only good has an arm that learnt"
    assert said in page and "Whoever looks at 2 verdicts" in " ".join(render_comparison(facts).split())
    assert ("no arm learnt from generated images" in lines) == (leader is None)


def test_the_command_writes_the_page_and_prints_json(workspace: Workspace, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    result = growset(workspace.root, "compare", "good", "poor", "--json", "--html", str(page))
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["page"] == str(page) and found["leader"] == "good"
    del found["page"]
    assert page.read_text() == render_comparison(found)
    printed = growset(workspace.root, "compare", "good", "poor").output
    assert printed.endswith("comparisons/good,poor.html\n") and Path(printed.split()[-1]).is_file()


def test_the_page_marks_clear_classes_alone_and_escapes_names(facts: dict[str, Any]) -> None:
    odd = json.loads(json.dumps(facts))
    odd["classes"] = [
        {"name": "<i>&amp;</i>", "images": 9, "train_images": None, "best": 0.5,
         "gains": {name: {"difference": make_interval(gain), "clear": clear}
                   for name, gain, clear in (("good", 0.2, True), ("poor", -0.3, False))}},
    ]  # fmt: skip
    page = render_comparison(odd)
    assert '<strong class="gain">+20.0</strong>' in page and page.count("<strong class=") == 1
    assert "−30.0<br><small>(−31.0 to −29.0)</small>" in page
    assert "&lt;i&gt;&amp;amp;&lt;/i&gt;" in page and "<i>" not in page
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page
    assert page == render_comparison(odd)
    assert "1 min 02 s" in page and '<body class="helps">' in page


def test_the_name_of_a_page_stays_short_and_tells_comparisons_apart() -> None:
    names = [f"recipe-with-a-long-name-{number}" for number in range(40)]
    assert len(name_page(names)) < 100 and name_page(names) != name_page(names[:-1])
