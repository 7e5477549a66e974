"""The keys of a recipe: type, range, default and meaning. Larger sections have files of their own beside this one.

The models are strict (pydantic): an unknown key, a wrong type or a value out of range is an error.
Only settings that change data are here; device, workers and other settings of speed are options of the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from ops.recipe.arms import ONLY_EXPANDED, Arm
from ops.recipe.automatic import check_automatic
from ops.recipe.automation import AutomationSettings
from ops.recipe.classifiers import ClassifierSettings, ScorerSettings
from ops.recipe.contrastive_arms import check_contrastive
from ops.recipe.counterparts import check_guidance
from ops.recipe.data import DataSettings
from ops.recipe.denoisers import asks_for_policy
from ops.recipe.design import LEAST_SEEDS, refuse_generators
from ops.recipe.filtering import FilterSettings
from ops.recipe.generator import KindSettings
from ops.recipe.grid import read_numbers, set_numbers
from ops.recipe.ingredients.pairings import check_pairing
from ops.recipe.kinds import DEFAULT_KIND, KINDS, PRIORS
from ops.recipe.pool_arms import check_pool_arms
from ops.recipe.profiles import check_profile
from ops.recipe.ratios import check_ratios
from ops.recipe.sampler import SamplerSettings
from ops.recipe.scorers import check_features
from ops.recipe.sections import MixSettings, PlanSettings, PublishSettings, ReportSettings, VerdictSettings
from ops.recipe.tuning import TuningSettings
from ops.recipe.unlabelled import check_unlabelled
from ops.recipe.variants import check_batch, check_variants
from ops.settings.section import Section

if TYPE_CHECKING:
    GeneratorSettings = KindSettings
    PriorSettings = KindSettings
else:

    def choose_by_kind(kinds: Mapping[str, type[KindSettings]]) -> Any:
        """The type of a section whose key `kind` decides which other keys it has."""
        return Annotated[
            reduce(or_, (Annotated[settings, Tag(name)] for name, settings in kinds.items())),
            Discriminator(
                lambda keys: find_kind(keys),
                custom_error_type="kind",
                custom_error_message=f"unknown kind; choose one of {', '.join(kinds)}",
            ),
        ]

    GeneratorSettings, PriorSettings = choose_by_kind(KINDS), choose_by_kind(PRIORS)


def find_kind(keys: Any) -> Any:
    """The kind that a section `generator` or `prior` names, or the default kind."""
    return keys.get("kind", DEFAULT_KIND) if isinstance(keys, Mapping) else getattr(keys, "kind", None)


ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.-]*$", max_length=100)]  # part of names of files


class Recipe(Section):
    """A whole recipe. Every section that a stage reads must be present, so that DVC tracks its keys; `{}` is fine."""

    source: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="name of a file in sources/, without .yaml"
    )
    seed: int = Field(ge=0, le=2**31 - 1, description="seed of every random choice in the chain")
    on_new_images: Literal["retrain", "keep_generator"] = Field(
        description="if the source gains images: keep_generator draws more from the existing generator and filters all"
        " generated images again"
    )
    data: DataSettings
    plan: PlanSettings
    tuning: TuningSettings
    scorer: ScorerSettings
    prior: PriorSettings | None = Field(
        description="a generator that learns from a pool of images without labels; null: none"
    )
    generator: GeneratorSettings
    sampler: SamplerSettings
    filter: FilterSettings
    mix: MixSettings
    classifier: ClassifierSettings
    baselines: dict[ArmName, Arm] = Field(min_length=1, description="arms without generated images; must have `real`")
    expanded: dict[ArmName, Arm] = Field(min_length=1, description="arms on the mixed dataset")
    verdict: VerdictSettings
    report: ReportSettings
    publish: PublishSettings
    automation: AutomationSettings | None = None

    @field_validator("generator")
    @classmethod
    def _take_prior(cls, generator: KindSettings, info: ValidationInfo) -> KindSettings:
        """The generator beside the prior, which is absent here if it is invalid itself."""
        return generator.take_prior(info.data["prior"]) if "prior" in info.data else generator

    @field_validator("sampler")
    @classmethod
    def _resolve_sampler(cls, sampler: SamplerSettings, info: ValidationInfo) -> SamplerSettings:
        """The generator's kind decides which values the sampler's keys may have, and their defaults."""
        generator = info.data.get("generator")  # absent if it is invalid itself
        if generator is None:
            return sampler
        if sampler.truncation is not None and not generator.truncates:
            raise ValueError(f"truncation has no effect with kind: {generator.kind}, which has no styles; remove it")
        return generator.resolve_sampler(generator.take_profile(sampler))

    @model_validator(mode="after")
    def _check_looks(self) -> Recipe:
        if self.verdict.looks == 2 and self.classifier.seeds < LEAST_SEEDS:
            raise ValueError(
                f"verdict.looks 2 needs classifier.seeds of {LEAST_SEEDS} or more, not {self.classifier.seeds}:"
                " the first look could not decide"
            )
        return self

    @model_validator(mode="after")
    def _check_curve(self) -> Recipe:
        if self.verdict.curve_seeds > self.classifier.seeds:
            raise ValueError(
                f"verdict.curve_seeds {self.verdict.curve_seeds} is above classifier.seeds {self.classifier.seeds}: the"
                " curve ends at the networks of these seeds"
            )
        return self

    @model_validator(mode="after")
    def _check_folds(self) -> Recipe:
        if self.verdict.folds is None:
            return self
        if self.verdict.looks == 2:
            raise ValueError("verdict.looks 2 has no effect with verdict.folds; remove one of them")
        if self.verdict.curve_seeds:
            raise ValueError(
                f"verdict.curve_seeds {self.verdict.curve_seeds} has no effect with verdict.folds, which trains all"
                " arms anew in each fold; set it to 0, or remove the folds"
            )
        if self.verdict.rehearsal:
            raise ValueError("verdict.rehearsal has no effect with verdict.folds; remove one of them")
        for key in ("images_per_class", "long_tail", "nuisance", "label_noise"):
            if getattr(self.data, key) != DataSettings.model_fields[key].default:
                raise ValueError(
                    f"verdict.folds divides all images of the source again, so that data.{key} would change images that"
                    " the verdict is about; remove one of them"
                )
        return self

    @model_validator(mode="after")
    def _check_worth(self) -> Recipe:
        if self.report.worth is None:
            return self
        if self.data.unlabelled is not None:
            raise ValueError(
                "report.worth tells gains in labels of training images, and data.unlabelled expands images without"
                " labels; remove one of them"
            )
        if self.verdict.folds is not None:
            raise ValueError(
                "report.worth has no effect with verdict.folds: its curve is that of the one split, and folds have"
                " other training images; remove one of them"
            )
        if self.verdict.metric == "worst_class":
            raise ValueError(
                "report.worth has no effect with verdict.metric: worst_class, whose curve is too noisy to read; take"
                " balanced_accuracy, or remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _check_parents(self) -> Recipe:
        """Keys about variants need a generator that takes an image."""
        if "image" in self.generator.list_inputs(self.sampler):
            return self
        idle = {"filter.near_parent": self.filter.near_parent is None}
        for key in ("moves", "keeps"):
            idle[f"sampler.{key}"] = getattr(self.sampler, key) == SamplerSettings.model_fields[key].default
        idle["plan.seeds"] = self.plan.seeds == "all"
        if used := [key for key, is_idle in idle.items() if not is_idle]:
            raise ValueError(
                f"{used[0]} has no effect with generator.kind: {self.generator.kind}, whose images have no parent;"
                " remove it"
            )
        return self

    @model_validator(mode="after")
    def _check_imagination(self) -> Recipe:
        imagination, precision = self.sampler.imagination, self.sampler.precision
        if imagination is None:
            return self
        if (prior := self.generator.find_prior()) is None:
            raise ValueError(
                "sampler.imagination needs generator: {kind: prior}, and a prior, or kind: stable-diffusion or unclip;"
                f" kind: {self.generator.kind} cannot imagine"
            )
        prior.check_imagination(imagination)
        check_features(imagination.scorer, prior.kind)
        if precision != "fp32":
            raise ValueError(
                f"sampler.precision: {precision} has no effect with sampler.imagination, which draws in fp32; remove it"
            )
        drawing = {"generator": self.generator, **({} if self.prior is None else {"prior": self.prior})}
        check_profile(imagination, self.sampler, drawing, self.scorer.augmentation)
        return self

    @model_validator(mode="after")
    def _check_prior(self) -> Recipe:
        if self.prior is not None and self.on_new_images == "keep_generator":
            raise ValueError(
                "on_new_images: keep_generator has no effect with a prior, which no labelled image trains; write"
                " on_new_images: retrain"
            )
        return self

    @model_validator(mode="after")
    def _check_generators(self) -> Recipe:
        generators, classifiers = self.generator.seeds, self.classifier.seeds
        if generators > classifiers:
            raise ValueError(
                f"generator.seeds {generators} is above classifier.seeds {classifiers}: no classifier would learn from"
                " the last generator"
            )
        if refusal := refuse_generators(generators, classifiers):
            raise ValueError(f"generator.seeds {generators}: {refusal}")
        return self

    @model_validator(mode="after")
    def _check_arms(self) -> Recipe:
        if "real" not in self.baselines:
            raise ValueError("baselines must contain an arm called 'real': the verdict compares against it")
        if self.baselines["real"] != Arm():
            raise ValueError("the arm 'real' is plain training and takes no keys; give your arm another name")
        if both := sorted(set(self.baselines) & set(self.expanded)):
            raise ValueError(f"arm {both[0]!r} is in baselines and in expanded; names must differ")
        plain = Arm()
        for name, arm in self.baselines.items():
            for key in ONLY_EXPANDED:
                if getattr(arm, key) != getattr(plain, key):
                    raise ValueError(f"{key} has no effect in the baseline {name!r}, which has no generated images")
        if all(arm.placebo.kind != "none" for arm in self.expanded.values()):
            raise ValueError("every arm of expanded is a placebo; one must learn from generated images")
        check_contrastive({**self.baselines, **self.expanded})
        check_automatic(self.baselines, self.expanded, self.classifier)
        check_guidance(self.baselines, self.expanded)
        check_ratios(self.expanded, self.plan.ratio if self.plan.balance == "keep" else None)
        check_pool_arms(self.baselines, self.expanded, self.prior)
        smoothing = self.classifier.label_smoothing
        for name, arm in {**self.baselines, **self.expanded}.items():
            if smoothing and arm.loss.kind == "ldam":
                raise ValueError(
                    f"loss: ldam of the arm {name!r} needs hard labels, and classifier.label_smoothing {smoothing:g}"
                    " spreads them; remove one"
                )
            check_pairing(name, arm.pairing, batch_size=self.classifier.batch_size, finish=arm.finish)
        if self.classifier.batch_size == 1 and self.classifier.network.kind == "mlp":
            raise ValueError(
                "classifier.batch_size 1 is too small for network: mlp, whose batch normalisation needs two images"
            )
        return self

    @model_validator(mode="after")
    def _check_unlabelled(self) -> Recipe:
        if self.data.unlabelled is not None:
            check_unlabelled(self)
        return self

    @model_validator(mode="after")
    def _check_seeds(self) -> Recipe:
        if self.plan.seeds != "hard":
            return self
        for key in ("wrong_label", "atypical"):
            if getattr(self.filter, key) is not None:
                raise ValueError(
                    f"plan.seeds: hard and filter.{key} work against each other: the network that learns an image worst"
                    f" would reject its variants; write filter: {{{key}: null}}, or plan.seeds: all"
                )
        for name, arm in {**self.baselines, **self.expanded}.items():
            if getattr(arm.variants, "source", None) == "drawn":
                raise ValueError(
                    f"variants of the arm {name!r} with source: drawn are made of every image, whatever plan.seeds"
                    " says; write source: stored, or plan.seeds: all"
                )
        return self

    @model_validator(mode="after")
    def _check_variants(self) -> Recipe:
        check_variants(
            self.baselines,
            self.expanded,
            kind=self.generator.kind,
            inputs=self.generator.list_inputs(self.sampler),
            imagines=self.sampler.imagination is not None,
            in_torch=self.generator.in_torch,
            nuisance=self.data.nuisance,
            batch_size=self.classifier.batch_size,
        )
        return self

    @model_validator(mode="after")
    def _check_tuning(self) -> Recipe:
        arms = {**self.baselines, **self.expanded}
        asking = [f"the arm {name!r}" for name, arm in arms.items() if arm.augmentation.kind == "auto"]
        asking += ["the scorer"] * (self.scorer.augmentation.kind == "auto")
        asking += ["the generator"] * asks_for_policy(self.generator)
        if asking and not self.tuning.policy:
            raise ValueError(f"augmentation: auto of {asking[0]} needs tuning: {{policy: true}}")
        if self.tuning.policy and not asking:
            raise ValueError("tuning.policy chooses an augmentation, but no arm says augmentation: auto")
        fixed = [("classifier.network", self.classifier.network.standardise), ("scorer", self.scorer.standardise)]
        for place, value in fixed:
            if self.tuning.policy and value != "none":
                raise ValueError(f"tuning.policy chooses {place}.standardise; remove {value!r}")
        most = self.tuning.most_steps
        if most is not None and self.classifier.grid.steps is not None:
            raise ValueError("tuning.most_steps and classifier.grid.steps both choose the steps; remove one of them")
        if most is not None and most < self.classifier.steps:
            raise ValueError(f"tuning.most_steps {most} is below classifier.steps {self.classifier.steps}")
        return self

    @model_validator(mode="after")
    def _check_grid(self) -> Recipe:
        """Each key of the grid belongs to some arm, each value is allowed there, and each arm's own value is tried."""
        grid = self.classifier.grid
        arms = [(name, arm, False) for name, arm in self.baselines.items()]
        arms += [(name, arm, True) for name, arm in self.expanded.items()]
        tried = {key for _, arm, expanded in arms for key in grid.list_settings(arm, is_expanded=expanded)[0].keys}
        if unused := [key for key in grid.axes if key not in tried]:
            raise ValueError(f"classifier.grid tries {unused[0]}, which no arm has")
        for name, arm, expanded in arms:
            settings = grid.list_settings(arm, is_expanded=expanded)
            for key, value in read_numbers(arm, settings[0], self.mix.real_weight).items():
                if value not in grid.axes[key]:
                    raise ValueError(f"classifier.grid must include {key} {value!r}, the value of the arm {name!r}")
            for setting in settings:
                try:
                    changed = set_numbers(arm, setting)
                    check_pairing(name, changed.pairing, batch_size=self.classifier.batch_size, finish=arm.finish)
                    check_batch(name, changed, self.classifier.batch_size)
                except ValueError as error:
                    raise ValueError(f"classifier.grid has a value that arm {name!r} cannot have: {error}") from None
        return self
