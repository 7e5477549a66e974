"""Run stages, for every entry point: make a stage current, record its source, keep dvc.lock in step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ops.chain import find_builder
from ops.chain.contents import read_content
from ops.chain.figures import LAST, write_figures
from ops.chain.findings import pictures_have_one_label
from ops.chain.parts.external_networks import check_external_networks, check_reference_network
from ops.chain.parts.fold_images import read_pool
from ops.chain.parts.imagination_scorers import check_scorer_of_imagination
from ops.chain.parts.keeping import GENERATOR, is_keepable, keep_generator, require_stable_splits, require_unseen
from ops.chain.parts.pools import (
    PRIOR,
    list_ids,
    list_protected,
    open_pool,
    read_seen_ids,
    require_unlabelled,
    require_unseen_pool,
    try_pool,
)
from ops.chain.real_images import describe_source, describe_unlabelled, source_content, try_source
from ops.chain.watch_source import list_source, write_watched
from ops.datasets.cross_validation import count_fold_validation, divide, find_units, list_training
from ops.datasets.folds import require_folds, require_whole_units
from ops.datasets.unlabelled import CLASS_NAME, find_growing
from ops.errors import DamagedData, EnvironmentFault, UserError
from ops.files.manifests import read_manifest
from ops.generators.instance.sizes import check_pool
from ops.generators.registry import KINDS
from ops.history.dvc_repository import (
    LOCK,
    address,
    changed_stages,
    commit_stage,
    forget_stage,
    remember_lock,
    running_under_dvc,
    stage_addresses,
)
from ops.labelling.choice import check_labelled
from ops.machine.interruption import at, check
from ops.machine.progress import Sink
from ops.planning.plan import ExpansionPlan, plan_expansion, require_growth
from ops.recipe.automatic import LEAST_VALIDATION, list_automatic
from ops.recipe.imagination import check_class_count, check_probed
from ops.recipe.instance import InstanceSettings
from ops.recipe.prior import PoolSettings
from ops.recipe.ratios import check_smallest_ratios
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.recipe.variants import check_class_sizes, name_oracles
from ops.sources.equal_pictures import suggest_remedy
from ops.sources.listing import SPLITS
from ops.sources.pool import Shape
from ops.sources.remote import listed_once
from ops.stages.integrity import is_intact
from ops.stages.materialization import Outcome, Runtime, find_staleness, identify, materialize
from ops.workspaces.versions import require_known_versions
from ops.workspaces.workspace import PARAMS, Workspace

FIRST = "real_images"


@dataclass(frozen=True)
class Chain:
    """A workspace and how to compute in it; `slices` is the number of nodes or GPUs that generate side by side."""

    workspace: Workspace
    runtime: Runtime = field(default_factory=Runtime)
    slices: int = 1
    validated: dict[str, Recipe] = field(default_factory=dict, compare=False)  # recipes that passed, by expansion
    answers: dict[str, tuple[object, set[str]]] = field(default_factory=dict, compare=False)  # of DVC, by expansion

    def validate(self, expansion: str) -> None:
        """Validate the expansion, once per object: stages detect later changes themselves."""
        if expansion not in self.validated:
            with listed_once():
                self.validated[expansion] = validate(self.workspace, expansion)

    def with_default_sink(self, sink: Sink) -> Chain:
        """The same chain, reporting progress to `sink` unless it already has one."""
        return self if self.runtime.has_sink else replace(self, runtime=replace(self.runtime, sink=sink))

    def run(self, expansion: str, stage: str) -> Outcome:
        """Make one stage current here and in dvc.lock."""
        check()
        with at(f"in stage {stage} of '{expansion}'"), listed_once():
            return self._run(expansion, stage)

    def _run(self, expansion: str, stage: str) -> Outcome:
        recipe = self.workspace.load_recipe(expansion)
        if self.runtime.device != "cpu":  # importing torch takes a second, so the CPU does without
            from ops.machine.precision import check_device

            check_device(self.runtime.device)
        self._require_earlier(expansion, stage)
        outcome, source = None, None
        listing = list_source(self.workspace, recipe.source) if stage == FIRST else None
        if stage == GENERATOR and recipe.on_new_images == "keep_generator":
            outcome = keep_generator(self.workspace, expansion, recipe)
        if outcome is None:
            source = self._find_source(expansion, recipe, stage)
            outcome = materialize(
                self.workspace,
                expansion,
                stage,
                lambda run: find_builder(stage)(run),  # its libraries load only if there is something to build
                self.runtime,
                source=source,
                read_source=None if source is None else lambda: read_content(self.workspace, recipe, stage) or "",
            )
            if stage == PRIOR and recipe.prior is not None:
                # The source may have changed since it was validated, and another expansion may have trained the prior.
                protected = list_protected(recipe.verdict.folds)
                real = list_ids(self.workspace.output(expansion, FIRST), protected)
                require_unseen_pool(recipe, read_seen_ids(outcome.folder), real)
        self._keep_lock(expansion, stage, outcome)
        self._require_same(expansion, stage, outcome)
        if not outcome.reused or stage == LAST:
            write_figures(self.workspace, expansion)
        if listing is not None and source is not None:
            write_watched(self.workspace, expansion, recipe.source, listing, source)
        return outcome

    def _require_earlier(self, expansion: str, stage: str) -> None:
        """UserError where an input's folder is missing. DVC needs each, also one that this recipe does not read."""
        for name in STAGES[stage].inputs:
            if not self.workspace.output(expansion, name).exists():
                raise UserError(
                    f"stage {stage} of '{expansion}' comes after {name}, which has no output yet; run it first, or:"
                    f" growset run {expansion}"
                )

    def _find_source(self, expansion: str, recipe: Recipe, stage: str) -> str | None:
        """The content hash of what the stage reads from a source; None if it reads none."""
        return self._note_source(expansion, recipe) if stage == FIRST else read_content(self.workspace, recipe, stage)

    def _note_source(self, expansion: str, recipe: Recipe) -> str:
        """The source's content hash; recorded in params.yaml when it is new."""
        content, recorded = source_content(self.workspace, recipe), self.workspace.source_version(expansion)
        if content != recorded:
            if running_under_dvc():
                raise UserError(
                    f"the images of source '{recipe.source}' have changed since '{expansion}' was last made;"
                    f" accept them with: growset run {expansion}"
                )
            self.workspace.edit_params(source_versions={expansion: content})
        return content

    def _keep_lock(self, expansion: str, stage: str, outcome: Outcome) -> None:
        if running_under_dvc():
            remember_lock(self.workspace.root)  # DVC rewrites it in place after this command
            return
        name = address(stage, expansion)
        if not outcome.reused or outcome.reused_from or name in self._find_unrecorded(expansion):
            commit_stage(self.workspace.root, name)

    def _find_unrecorded(self, expansion: str) -> set[str]:
        """The stages that dvc.lock does not describe as they are.

        DVC reads its files for each question, which takes longer than a stage that is current. So it is asked once for
        all stages, and again if one of the files that its answer follows from has changed.
        """
        root = self.workspace.root
        paths = [root / name for name in (LOCK, "dvc.yaml", PARAMS)] + [self.workspace.recipe_path(expansion)]
        state = [
            (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            for facts in (path.stat() for path in paths if path.exists())
        ]
        if expansion not in self.answers or self.answers[expansion][0] != state:
            self.answers[expansion] = state, set(changed_stages(root, stage_addresses(expansion)))
        return self.answers[expansion][1]

    def _require_same(self, expansion: str, stage: str, outcome: Outcome) -> None:
        """Raise EnvironmentFault and withdraw DVC's record if the recipe was edited while DVC recorded the output.

        DVC reads the recipe itself when it commits, so it would attribute the output to the edited recipe.
        """
        recipe = self.workspace.load_recipe(expansion)
        recorded = stage == FIRST
        source = self.workspace.source_version(expansion) if recorded else read_content(self.workspace, recipe, stage)
        if stale := find_staleness(self.workspace, expansion, stage, recipe, source):
            if not running_under_dvc():
                forget_stage(self.workspace.root, address(stage, expansion))
            raise EnvironmentFault(
                f"stage {stage} of '{expansion}' {stale.why}: something changed while it was recorded; run it again:"
                f" growset run {expansion}"
            )


def validate(workspace: Workspace, expansion: str, warn: Callable[[str], None] = lambda sentence: None) -> Recipe:
    """Check everything that can be checked before any compute starts; return the recipe if it passes.

    `warn` gets a sentence on each thing that is allowed but is probably a mistake.

    Raises UserError or DamagedData with one sentence. All entry points call this first. The source's images are read,
    unless `real_images` was made from them: then they have already been read without an error. Of images without labels
    a few are read; `real_images`, the first stage, reads all.
    """
    recipe = workspace.load_recipe(expansion)
    require_known_versions(workspace)
    workspace.require_stages()
    varied = any(arm.variants.kind != "none" for arm in {**recipe.baselines, **recipe.expanded}.values())
    probed = recipe.sampler.imagination is not None and recipe.sampler.imagination.scorer.kind == "probe"
    source = describe_source(workspace, recipe)
    require_stable_splits(recipe, source)
    content = source_content(workspace, recipe)
    fingerprint = identify(workspace, recipe, expansion, FIRST, content)["fingerprint"]
    folder = workspace.output(expansion, FIRST)
    if is_intact(folder, fingerprint, workspace.hash_cache(expansion, FIRST)):
        metrics = read_manifest(folder)["metrics"]
        if not (finding := pictures_have_one_label(lambda stage: workspace.output(expansion, stage))).passed:
            if not source.allow_conflicts:
                raise UserError(f"source {source.name}: {finding.sentence}; {suggest_remedy(source.name)}")
            warn(finding.sentence)
        class_names, shape = tuple(metrics["class_names"]), metrics["shape"]
        pool, count = read_pool(folder), metrics["train"]
        grown = None if recipe.data.unlabelled is None else read_manifest(find_growing(folder))["metrics"]["train"]
        known: Mapping[str, Collection[str]] = {} if recipe.prior is None else list_ids(folder, SPLITS)
    else:
        contents = try_source(source, describe_unlabelled(workspace, recipe), recipe, content)
        class_names, shape, pool = contents.class_names, contents.shape, contents.pool
        count = sum(contents.sizes)
        known, grown = contents.known, contents.growing
        for dispute in contents.disputed:
            warn(dispute.sentence)
        if is_keepable(workspace, expansion, recipe):
            require_unseen(workspace, expansion, contents.ids)
    rows, held = [np.arange(count)], pool.held  # of training images, which come first in the pool; of each fold
    if recipe.verdict.folds is not None:
        codes = divide(pool, recipe.verdict.folds)
        rows, held = list_training(codes), min(count_fold_validation(codes))
    trained = [np.bincount(pool.labels[each], minlength=len(class_names)) for each in rows]
    require_validation(recipe, held, workspace.recipe_path(expansion))
    if varied:
        _require_variants(recipe, trained, workspace.recipe_path(expansion))
    # What is expanded: the labelled images, or all as images of one class.
    growing, grown_names = (trained, class_names) if grown is None else ([np.array([grown])], (CLASS_NAME,))
    for each in growing:
        plan = plan_expansion(each, grown_names, recipe.plan)
        require_growth(plan, recipe.plan)
        _require_generated(recipe, plan, workspace.recipe_path(expansion))
    try:
        check_class_count(recipe.sampler.imagination, len(class_names))
        for each in growing:
            recipe.generator.check_sizes(each.tolist())
        for each in trained if probed else ():
            check_probed(each.tolist())
        if recipe.generator.labels_pool:
            check_labelled(int(min(each.sum() for each in trained)))
    except ValueError as error:
        raise UserError(f"{workspace.recipe_path(expansion)}: {error}") from None
    for each in growing:
        require_folds(each.tolist(), recipe.scorer.folds, "scorer.folds")
    if grown is None and (pool.groups is not None or len(set(pool.keys)) < len(pool.keys)):
        units = find_units(pool)
        for each in rows:
            require_whole_units(pool.labels[each], recipe.scorer.folds, recipe.seed, units[each], "scorer.folds")
    height, width, channels = shape
    scorer, classifier = recipe.scorer, recipe.classifier
    for key, batch_size, network in (
        ("scorer", scorer.batch_size, scorer.network),
        ("classifier", classifier.batch_size, classifier.network),
    ):
        if batch_size == 1 and network.needs_two(max(height, width)):
            raise UserError(
                f"{key}.batch_size 1 is too small for images of {height} x {width} pixels, of which network:"
                f" {network.kind} keeps one place for a batch normalisation that needs two; write 2 or more"
            )
    check_external_networks(recipe.filter, workspace.root, class_names)
    check_reference_network(recipe.verdict.reference, workspace.root)
    check_scorer_of_imagination(recipe, workspace.root, class_names)
    KINDS[recipe.generator.kind].check(recipe.generator, workspace.root, grown_names, (channels, height, width))
    if recipe.prior is not None:
        _check_pool(workspace, expansion, recipe, (height, width, channels), known)
    return recipe


def require_validation(recipe: Recipe, images: int, path: Path | str) -> None:
    """UserError for arms whose settings are raced on too few validation images; a rehearsal decides nothing anyway."""
    asking = [] if recipe.verdict.rehearsal else list_automatic({**recipe.baselines, **recipe.expanded})
    if asking and images < LEAST_VALIDATION:
        raise UserError(
            f"{path}: auto of the arm {asking[0]!r} is chosen on validation images, of which there are {images}; at"
            f" least {LEAST_VALIDATION} are needed, or write a number in its place"
        )


def _check_pool(
    workspace: Workspace, expansion: str, recipe: Recipe, shape: Shape, known: Mapping[str, Collection[str]]
) -> None:
    """UserError or DamagedData for a pool that a prior of images of `shape` (height, width, channels) must not have.

    known: content ids of the labelled images of each split. The pool is read, unless the prior was trained on it.
    """
    settings, content = recipe.prior, read_content(workspace, recipe, PRIOR)
    assert isinstance(settings, PoolSettings) and content is not None
    channels = shape[2]
    KINDS[settings.kind].check(settings, workspace.root, (), (channels, *shape[:2]))
    folder, cache = workspace.output(expansion, PRIOR), workspace.hash_cache(expansion, PRIOR)
    try:
        fingerprint = identify(workspace, recipe, expansion, PRIOR, content)["fingerprint"]
    except (UserError, DamagedData):  # there are no real images yet, or they are made anew
        fingerprint = None
    if fingerprint is not None and is_intact(folder, fingerprint, cache):
        seen = read_seen_ids(folder)
    else:
        seen = try_pool(open_pool(workspace, settings.pool, recipe.source), shape, content)
    if isinstance(settings, InstanceSettings):
        check_pool(settings.encoder, len(seen))
    protected = list_protected(recipe.verdict.folds)
    require_unseen_pool(recipe, seen, {split: known[split] for split in protected})
    if recipe.verdict.folds is None:  # else no labelled image may be in it at all
        require_unlabelled(recipe, seen, known["train"])


def _require_variants(recipe: Recipe, trained: Sequence[np.ndarray], path: Path) -> None:
    """UserError for variants that need a study, or of which no class would be shown any.

    trained: training images of each class, of each fold.
    """
    arms = {**recipe.baselines, **recipe.expanded}
    if oracles := name_oracles(arms):
        raise UserError(
            f"{path}: variants by: oracle of the arm {oracles[0]!r} need the images from before the nuisance, which"
            " only a study has"
        )
    for sizes in trained:
        try:
            check_class_sizes(sizes, arms)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None


def _require_generated(recipe: Recipe, plan: ExpansionPlan, path: Path) -> None:
    """UserError for an arm with a ratio of its own that would see no generated image."""
    try:
        check_smallest_ratios(
            recipe.expanded, [entry.real for entry in plan.classes], [entry.wanted for entry in plan.classes]
        )
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
