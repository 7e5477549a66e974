"""The card of a published dataset: its content, its origin and the verdict."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, StrictUndefined

from ops.filters.reasons import REASONS
from ops.filters.results import Results
from ops.report.filtering import list_steps
from ops.report.origin import escape_text, find_origin
from ops.stages.seen import Seen
from ops.stages.without_labels import WithoutLabels
from ops.verdict.metric import NAMES
from ops.verdict.points import format_points
from ops.verdict.same_compute import name_way

TEMPLATE = """\
---
license: {{ licence | lower | tojson }}
task_categories: [image-classification]
tags: [synthetic, growset]
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train-*.parquet}
  - {split: validation, path: data/validation-*.parquet}
  - {split: test, path: data/test-*.parquet}
---

# {{ expansion | plain }}

{{ verdict.sentence | unmarked }}

| arm | trained on | test {{ metric }} | {{ confidence }} interval |
|---|---|---|---|
{% for row in verdict.arms -%}
{% set score = row.score -%}
{% set alias = ' (= ' ~ row.same_as ~ ')' if row.same_as else '' -%}
| {{ row.arm }}{{ alias }} | {{ kinds[row.kind] }} | {{ score.estimate | percent }} |
{#- #} {{ score.low | percent }} to {{ score.high | percent }} |
{% endfor %}
{% set reference = verdict.reference -%}
For comparison, a linear model of the real images ({{ reference.name }}) reaches
{{ reference.score.estimate | percent }} in {{ metric_names[reference.metric] }}
({{ reference.score.low | percent }} to {{ reference.score.high | percent }}).

Scores are means over {{ seeds }} on {{ verdict.test_images }} real test images
{%- if verdict.test_groups is defined %} of {{ verdict.test_groups }} groups{% endif %}; verdict.json holds
every contrast and class. Beside it, what the same compute buys:

| way | test {{ metric }} | {{ confidence }} interval | points over {{ verdict.baseline }} |
|---|---|---|---|
{% for row in verdict.same_compute -%}
{% set score = row.score -%}
| {{ row | way }} | {{ score.estimate | percent }} | {{ score.low | percent }} to {{ score.high | percent }} |
{#- #} {{ row.over_baseline | points }} |
{% endfor %}
## What is in it

{{ split_counts.train }} training images, {{ split_counts.validation }} for validation, {{ split_counts.test }} for
test. Generated images are in `train` only, marked by `is_generated`; drop them with a filter on that column.
The column `weight` is what the classifiers were trained with: {{ real_weight }} for a real image, 1 for a
generated one{{ ", unless the recipe gives an arm another weight for real images" if own_weights }}.

| class | real | generated |
|---|---|---|
{% for name, real, generated in class_counts -%}
| {{ name | plain }} | {{ real }} | {{ generated }} |
{% endfor %}
## How it was made

{{ funnel.drawn }} images were drawn by a model that was {{ origin.trained }};
{{ funnel.accepted }} of {{ wanted }} wanted were kept{{ ", " ~ missing ~ " are missing" if missing }}.

| step | images |
|---|---|
| drawn | {{ funnel.drawn }} |
{% for step in steps -%}
| − {{ step.title }} | {{ step.count }} |
{% endfor -%}
| = accepted | {{ funnel.accepted }} |

Each rejected image is counted at the first rule that it broke, so the steps add up. `surplus` passed every rule, but
its class was full.

Safety: {{ "a safety classifier looked at the generated images" if safety_checked else "not checked" }}.

{% if verdict.folds is defined -%}
The verdict was measured in {{ verdict.folds }} folds of all real images, with a generator of this recipe and a
generated set for each; this is the set of the source's own splits.

{% elif generators > 1 -%}
The verdict was measured over {{ generators }} generators of this recipe, each with a set of its own; this is the set
of the first.

{% endif -%}
Validation and test images are real. {{ origin.seen }}

## Near-copy audit

{{ sentence }}

Every generated image was compared with every real training image, and with the generated ones of its class before it,
moved and mirrored until they fit best. Distance 1 is as far as real images lie from each other there. Counted
is every image in which it was found, whatever else was.

| found | limit | images |
|---|---|---|
{% for row in audit -%}
| {{ row.meaning }} | {{ row.limit }} | {{ row.count }} |
{% endfor %}
{% if closest is none -%}
No image was kept, so there is no closest one.
{%- else -%}
The closest image that was kept lies at distance {{ '%.3f' | format(closest) }} from a training image.
{%- endif %}

## Licence and how to make it again

Licence of the real images, as their owner states it: {{ licence | plain }}. {{ origin.licence }}

Made with Growset from `recipes/{{ expansion }}.yaml`, seed {{ seed }}: `growset run {{ expansion }}`. In a clone of
that workspace `growset pull {{ expansion }}` fetches the same bytes.
"""
# A text of its own: the template's is part of the identity of every published dataset.
WORTH = """\
## What it is worth in labels

{{ sentences }}

| way | points over {{ baseline }} | labels per class |
|---|---|---|
{% for row in rows -%}
| {{ row.name }} | {{ row.gain | points }} | {{ row.told }} |
{% endfor %}
"""
CONTENT = "## What is in it\n"  # it stands before this heading
SEEING = "seeing"  # in the place of the kind of a baseline that saw more real images than the labelled ones
_KINDS = {
    "baseline": "real images",
    "placebo": "real images, some in the place of generated ones",
    "expanded": "real and generated images",
    SEEING: "real images, and what a pool without labels tells",
}


def render_card(
    *,
    expansion: str,
    licence: str,
    class_counts: Sequence[tuple[str, int, int]],
    split_counts: dict[str, int],
    results: Results,
    verdict: dict[str, Any],
    seed: int,
    real_weight: float,
    generators: int = 1,
    own_weights: bool = False,
    trained_here: bool = True,
    refused: Mapping[str, str] | None = None,
    seen: Seen | None = None,
    weights: str | None = None,
    tuned: bool = False,
    seeing: Sequence[str] = (),
    without: tuple[WithoutLabels, str] | None = None,
    worth: Mapping[str, Any] | None = None,
) -> str:
    """The README.md of a published dataset.

    class_counts: (name, real, generated). results: of the filters. verdict: the content of verdict.json.
    own_weights: whether arms may have another weight of a real image than `real_weight`.
    generators: how many generators' sets the verdict covers; this is the first set. trained_here: whether the
    generator was trained on the real training images; an imported one was not. refused, seen, weights, tuned,
    seeing, without: as in `find_origin`. worth: the content of worth.json; None where the recipe does not ask.

    Raises jinja2's UndefinedError for a missing figure.
    """
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.filters["plain"] = escape_text
    environment.filters["unmarked"] = lambda text: html.escape(text, quote=False)
    environment.filters["percent"] = lambda fraction: f"{fraction:.1%}".replace("%", " %")
    environment.filters["way"] = name_way
    environment.filters["points"] = format_points
    seeds = f"{verdict['seeds']} seed" + ("" if verdict["seeds"] == 1 and "folds" in verdict else "s")
    distances = results.index.filter("keep")["train_distance"].drop_nulls().to_list()
    card = environment.from_string(TEMPLATE).render(
        expansion=expansion,
        licence=licence,
        class_counts=class_counts,
        split_counts=split_counts,
        funnel=results.funnel.total,
        wanted=results.funnel.wanted,
        missing=results.funnel.missing,
        steps=list_steps(results),
        safety_checked=results.is_safety_checked,
        sentence=results.copying.sentence,
        audit=_audit(results),
        closest=min(distances, default=None),
        verdict=verdict | {"arms": [_mark_seeing(row, seeing) for row in verdict["arms"]]},
        kinds=_KINDS,
        metric=NAMES[verdict["metric"]],
        metric_names=NAMES,
        confidence=f"{100 * verdict['confidence']:g} %",
        seed=seed,
        seeds=f"{verdict['folds']} folds with {seeds} each" if "folds" in verdict else seeds,
        real_weight=f"{real_weight:g}",
        generators=generators,
        own_weights=own_weights,
        origin=find_origin(trained_here, refused, seen, weights, tuned, seeing, without),
    )
    if worth is None:
        return card
    told = environment.from_string(WORTH).render(
        sentences=" ".join(worth["sentences"]), rows=worth["rows"], baseline=verdict["baseline"]
    )
    before, heading, after = card.partition(CONTENT)
    return f"{before}{told.rstrip()}\n\n{heading}{after}"


def _mark_seeing(row: Mapping[str, Any], seeing: Sequence[str]) -> dict[str, Any]:
    return {**row, "kind": SEEING} if row["arm"] in seeing else dict(row)


def _audit(results: Results) -> list[dict[str, Any]]:
    """Rows of the audit: each kind of resemblance, its distance limit, and the number of images with it."""
    flagged = results.funnel.total.flagged
    ranges = {rule.reason: rule.range for rule in results.rules}
    rows = []
    for reason in REASONS.values():
        if reason.original is None or (
            reason.original in ("held_out", "parent") and reason.name not in ranges and not flagged[reason.name]
        ):
            continue  # this resemblance was not searched for
        ends = ranges.get(reason.name)
        limit = "" if ends is None else f"distance below {' to '.join(dict.fromkeys(f'{end:.3g}' for end in ends))}"
        rows.append({"meaning": reason.meaning, "limit": limit, "count": flagged[reason.name]})
    return rows
