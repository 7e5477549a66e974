"""Laws of gains and claims on a study's page, drawn from results made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.recipe.ratios import list_ratios
from ops.study.claim_page import judge, measure_claim
from ops.study.classifier_page import list_rows, render
from ops.study.design import ClassifierPart
from ops.study.figure import draw_figure
from ops.study.gain_page import list_series
from ops.study.part_arms import read_arms
from ops.study.results import SCHEMA
from ops.study.sections import Claim
from ops.study.summary import Difference
from tests.gains import LAW, SIZES, find_gains

RATIOS = {"x1": 1.0, "x3": 3.0, "x10": 10.0}
CLAIM: dict[str, Any] = {"says": "It helps", "arms": ["x1", "x3"], "over": "plain", "settings": ["10-flow"]}
KEYS: dict[str, Any] = {
    "images": {"source": "digits"},
    "recipe": "digits",
    "settings": {f"{size:g}-flow": {"data.images_per_class": int(size)} for size in SIZES},
    "steps": [800],
    "seeds": [0, 1, 2],
    "baselines": {"plain": {}, "augmented": {"augmentation": "flip_crop"}},
    "expanded": {name: {"ratio": ratio} for name, ratio in RATIOS.items()},
    "gains": {"flow": [f"{size:g}-flow" for size in SIZES]},
    "quick": {"settings": ["10-flow"]},
}


def build_part(**changes: Any) -> ClassifierPart:
    return ClassifierPart.model_validate({**KEYS, **changes})


def build_table(part: ClassifierPart, seeds: int = 3, *, noise: float = 0.001) -> pl.DataFrame:
    """Complete blocks of the first seeds, whose gains follow `LAW`, in hundredths of the page's unit."""
    rng, rows = np.random.default_rng(0), []
    for number, setting in enumerate(part.settings):
        for seed in range(seeds):
            base = 0.6 + 0.05 * number + 0.01 * seed
            values = {"plain": base, "augmented": base + 0.1}
            for arm, gain in zip(RATIOS, find_gains(LAW, SIZES, list(RATIOS.values()))[number], strict=True):
                if arm not in part.leave_out.get(setting, ()):
                    values[arm] = base + gain + noise * rng.standard_normal()
            rows += [
                ("part", setting, 800, seed, arm, 0, "accuracy", value, 1.0, f"{setting}{seed}{arm}")
                for arm, value in values.items()
            ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def find_line(lines: list[str], start: str) -> list[str]:
    """The cells of the only row of a table that starts so."""
    (found,) = [line for line in lines if line.startswith(f"| {start}")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_page_shows_the_law_that_the_gains_follow() -> None:
    part = build_part()
    lines = render(part, build_table(part, noise=1e-6))
    shown = find_line(lines, "flow | plain | 800 | +")
    assert [cell.split()[0] for cell in shown[3:7]] == [f"{100 * value:+.2f}" for value in LAW]
    assert all("(" in cell and "to" in cell for cell in shown[3:7])
    law = find_gains(LAW, SIZES, list(RATIOS.values()))
    for size, own in zip(SIZES, law, strict=True):
        cells = find_line(lines, f"flow | plain | 800 | {size:g} |")
        assert cells[4] == "3"
        assert [cell.split()[0] for cell in cells[5:]] == [f"{100 * value:+.1f}" for value in own]
        assert all(cell.endswith(("; +0.0", "; -0.0")) for cell in cells[5:])


def test_residuals_are_the_measured_mean_minus_the_law() -> None:
    part = build_part()
    table = build_table(part, noise=0.004)
    (series,) = list_series(part, table)
    assert series.curve is not None
    for gains, residuals in zip(series.measured, series.curve.residuals, strict=True):
        law = [series.curve.predict(gains.real, count)[0] for count in gains.generated]
        np.testing.assert_allclose(gains.means - law, residuals, atol=1e-12)
    assert np.abs(np.concatenate(series.curve.residuals)).max() > 0.01


def test_one_seed_has_a_law_without_intervals_and_one_size_has_none() -> None:
    part = build_part()
    lines = render(part, build_table(part, seeds=1))
    assert "(" not in "".join(find_line(lines, "flow | plain | 800 | +"))
    first = build_table(part).filter(pl.col("setting") == "10-flow")
    assert any("No law is fitted yet" in line for line in render(part, first))
    assert not any("law" in line for line in render(build_part(gains={}), build_table(part)))


def test_a_seed_without_generator_counts_for_no_law() -> None:
    part = build_part()
    table = build_table(part)
    lost = (pl.col("seed") == 2) & pl.col("arm").is_in(list(RATIOS)) & (pl.col("setting") == "10-flow")
    unused = table.with_columns(value=pl.when(lost).then(None).otherwise(pl.col("value")))
    (series,) = list_series(part, unused)
    assert [len(gains.seen) for gains in series.measured] == [2, 3, 3, 3]


def test_arms_that_a_setting_leaves_out_are_no_gains_of_it() -> None:
    part = build_part(leave_out={"500-flow": ["x10"]})
    (series,) = list_series(part, build_table(part))
    assert [len(gains.generated) for gains in series.measured] == [3, 3, 3, 2]
    assert find_line(render(part, build_table(part)), "flow | plain | 800 | 500 |")[-1] == "–"


def pair_ratios(**changes: Any) -> dict[str, dict[float, str]]:
    return list_ratios(*read_arms(build_part(**changes)))


def test_ratios_of_a_baseline_are_those_of_arms_that_differ_in_nothing_else() -> None:
    assert pair_ratios() == {"plain": {1.0: "x1", 3.0: "x3", 10.0: "x10"}}
    other = {"heavy": {"ratio": 2.0, "real_weight": 9.0}, "all": {}, "placebo": {"ratio": 5.0, "placebo": "augmented"}}
    assert pair_ratios(expanded={**KEYS["expanded"], **other}) == pair_ratios()
    apart = {"a1": {"augmentation": "flip_crop", "ratio": 1.0}, "a9": {"augmentation": "flip_crop", "ratio": 9.0}}
    found = pair_ratios(expanded={**apart, "x1": {"ratio": 1.0}})
    assert found == {"augmented": {1.0: "a1", 9.0: "a9"}}, "one ratio alone is no law"


def test_gains_are_drawn_with_their_laws() -> None:
    part = build_part()
    ((panel,),) = list_rows("part", part, build_table(part))
    assert panel.title == "part, flow over plain, 800 steps"
    assert list(panel.places) == ["1", "3", "10"]
    assert list(panel.lines) == list(panel.laws) == ["10 real", "50 real", "100 real", "500 real"]
    assert panel.laws["100 real"]["3"] == pytest.approx(100 * find_gains(LAW, [100], [3])[0][0], abs=0.2)
    drawn = draw_figure([[panel]])
    assert drawn == draw_figure([[panel]]) and "500 real" in drawn


def test_a_claim_is_the_mean_gain_of_its_arms_and_settings_by_hand() -> None:
    part, claim = build_part(), Claim.model_validate({**CLAIM, "settings": ["10-flow", "50-flow"]})
    law = find_gains(LAW, SIZES, list(RATIOS.values()))
    found = measure_claim(part, claim, build_table(part, noise=0.0), 800)
    assert found is not None and found.seeds == 3
    assert found.mean == pytest.approx(np.mean([law[0][:2], law[1][:2]]))
    fall = Claim.model_validate({**CLAIM, "than": ["500-flow"]})
    found = measure_claim(part, fall, build_table(part, noise=0.0), 800)
    assert found is not None and found.mean == pytest.approx(law[0][:2].mean() - law[3][:2].mean())


@pytest.mark.parametrize(
    ("mean", "half_width", "expects", "margin", "judged"),
    [
        (0.02, 0.01, "above", 0.0, "held"),
        (0.02, 0.03, "above", 0.0, "open"),
        (-0.02, 0.01, "above", 0.0, "did not hold"),
        (-0.02, 0.01, "below", 0.0, "held"),
        (0.02, 0.01, "below", 0.0, "did not hold"),
        (0.002, 0.002, "below", 0.5, "held"),
        (0.02, 0.01, "above", 1.5, "open"),
        (0.02, None, "above", 0.0, "open"),
    ],
)
def test_a_claim_is_judged_by_its_whole_interval(
    mean: float, half_width: float | None, expects: str, margin: float, judged: str
) -> None:
    claim = Claim.model_validate({**CLAIM, "expects": expects, "margin": margin})
    assert judge(claim, Difference(mean, half_width, 3), 100.0) == judged


def test_claims_stand_on_the_page_and_one_without_results_is_not_measured() -> None:
    late = {**CLAIM, "says": "It helps many", "settings": ["500-flow"], "expects": "below", "margin": 0.5}
    late["arms"] = ["x1", "x10"]
    part = build_part(claims={"few": CLAIM, "many": late}, leave_out={"500-flow": ["x10"]})
    table = build_table(part, noise=0.0)
    lines = render(part, table.filter(pl.col("setting") != "500-flow"))
    found = find_line(lines, "It helps |")
    assert found[1] == "accuracy of x1 and x3 over plain, in 10-flow: above 0"
    assert found[2:4] == ["800", "3"] and found[-1] in ("held", "did not hold")
    many = find_line(lines, "It helps many")
    assert many[1:] == ["accuracy of x1 over plain, in 500-flow: below 0.5", "800", "–", "–", "not measured"]
