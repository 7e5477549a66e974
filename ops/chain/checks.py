"""Checks of each stage's output, before the next stage may use it: what each protects, and what it stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ops.chain.findings import (
    Finding,
    Folders,
    expansion_does_not_hurt,
    generation_is_complete,
    generator_is_usable,
    mixture_holds_no_evaluation_images,
    pictures_have_one_label,
    precision_was_accepted,
    quota_is_filled,
    sampler_matches_network,
    scorer_beats_chance,
    something_was_accepted,
    splits_are_disjoint,
    variants_pass_the_gate,
)
from ops.recipe.stages import STAGES
from ops.stages.several import GENERATORS, count_generators, place_inputs
from ops.workspaces.workspace import Workspace

REHEARSED = "not demanded of a rehearsal: "


@dataclass(frozen=True)
class Check:
    """A check of one stage's output, named by what it protects. If a blocking one fails, nothing downstream runs.

    A generator that has not learnt blocks nothing: the later stages record that it was not used, and only publishing
    refuses.

    remedy: what to do if it fails.
    takes_learning: it asks for what only a network can do that has learnt, so a rehearsal goes on without it.
    """

    stage: str
    name: str
    blocking: bool
    examine: Callable[[Folders], Finding]
    remedy: str
    takes_learning: bool = False


def run_check(check: Check, workspace: Workspace, expansion: str) -> Finding:
    """Run a check on one expansion's output. If there are several generators, each must pass, and each is named."""
    folders = {stage: workspace.output(expansion, stage) for stage in STAGES}
    count = count_generators(folders[check.stage])
    findings = [check.examine(place_inputs(folders, generator).__getitem__) for generator in range(count)]
    failed = not all(finding.passed for finding in findings)
    if failed and check.takes_learning and workspace.load_recipe(expansion, active=False).verdict.rehearsal:
        findings = [replace(each, passed=True, sentence=f"{REHEARSED}{each.sentence}") for each in findings]
    findings = [each if each.remedy is not None else replace(each, remedy=check.remedy) for each in findings]
    if count == 1:
        return findings[0]
    sentences = (f"generator {generator}: {finding.sentence}" for generator, finding in enumerate(findings))
    figures = {GENERATORS: [finding.figures for finding in findings]}
    remedy = next((finding.remedy for finding in findings if not finding.passed), None)
    return Finding(all(finding.passed for finding in findings), "; ".join(sentences), figures, remedy)


CHECKS = (
    Check(
        "real_images",
        "source_splits",
        True,
        splits_are_disjoint,
        "take the image out of one of the splits in the source",
    ),
    Check(
        "real_images",
        "source_labels",
        False,
        pictures_have_one_label,
        "list these pictures with `growset inspect`, and remove the wrong ones",
    ),
    Check(
        "scorer",
        "scorer_is_usable",
        True,
        scorer_beats_chance,
        "look for wrong labels with `growset inspect`, add labelled images, or raise `scorer.steps`",
        takes_learning=True,
    ),
    Check(
        "generator_onnx",
        "parity",
        True,
        sampler_matches_network,
        "the export is at fault, not the recipe: please report it, with parity.json from the output's folder",
    ),
    Check(
        "generator_onnx",
        "precision",
        False,
        precision_was_accepted,
        "nothing has to be done, because fp32 draws; `sampler: {precision: fp32}` asks for it",
    ),
    Check(
        "generator_onnx",
        "generator_is_usable",
        False,
        generator_is_usable,
        "train it longer or on more images; the finding says what would help most",
    ),
    Check(
        "generator_onnx",
        "gate",
        False,
        variants_pass_the_gate,
        "nothing if the other classes suffice: a refused one is trained on its real images alone; else train the"
        " generator longer, or lower `sampler.moves` or `sampler.keeps`",
    ),
    Check(
        "generated_images",
        "generation",
        True,
        generation_is_complete,
        "delete the folder of generated_images and run the expansion again, which draws the same images anew",
    ),
    Check(
        "accepted_images",
        "every_class_grows",
        True,
        something_was_accepted,
        "train the generator longer, relax the rule that rejects most, or raise `plan.budget`",
        takes_learning=True,
    ),
    Check(
        "accepted_images",
        "quota",
        False,
        quota_is_filled,
        "nothing if the number suffices; else raise `plan.budget`, relax the rule that rejects most, or lower"
        " `plan.ratio`",
    ),
    Check(
        "mixed_dataset",
        "leaks",
        True,
        mixture_holds_no_evaluation_images,
        "delete the folder of mixed_dataset and run the expansion again; if it comes back, please report it",
    ),
    Check(
        "verdict",
        "verdict",
        False,
        expansion_does_not_hurt,
        "train without these images, or change the recipe; the report shows which classes lose; where folds were not"
        " imagined alike, write the `mode` that all can have, or `force: true`",
    ),
)
assert all(check.stage in STAGES for check in CHECKS)
