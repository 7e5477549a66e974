"""Stage `generator_onnx`: the generator as a self-contained directory that plain ONNX Runtime can run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ops.chain.parts.each import build_each
from ops.chain.parts.imagination_start import start_imagination, time_imagination, write_imagination
from ops.chain.parts.imagined_drawer import choose_device
from ops.chain.parts.precision import add_variant
from ops.chain.parts.units import take_seeds
from ops.chain.parts.usability import IMAGES, examine_usability
from ops.chain.parts.variant_gate import MOST, examine_variants
from ops.chain.parts.variant_strength import choose_strength
from ops.datasets.pixels import PixelDataset, read_split
from ops.datasets.shards import find_shards
from ops.files.outputs import IMAGINATION, PARITY
from ops.files.storage import write_json
from ops.generators.diffusion_kind import describe_weights, require_same_classes
from ops.generators.feeds import IMAGE, LABEL, NOISE, SeedImages
from ops.generators.folder import ORIGIN, PSEUDO, read_config, write_card
from ops.generators.mae_kind import describe_origin
from ops.generators.onnx.engine import Sampler, SamplerInfo
from ops.generators.onnx.parity import Parity, measure_parity
from ops.generators.prior_kind import SEEN
from ops.generators.protocol import Generator
from ops.generators.registry import KINDS
from ops.generators.repeats import measure_repeats
from ops.judging.expansion import find_judge
from ops.judging.scorer import load_scorer
from ops.recipe.sampler import SamplerSettings
from ops.stages.materialization import StageRun
from ops.stages.several import count_generators, derive_seed, read_part

FEW, FEW_PER_CLASS = 64, 8  # images that judge a generator without a graph, which draws slowly
PARITY_EVALUATIONS = 5_120  # images times network evaluations that parity is measured on


def build_generator_onnx(run: StageRun) -> dict[str, Any]:
    """Export each generator."""
    return build_each(run, _export_one, count_generators(run.inputs["generator"]), summed=("parity_images",))


def _export_one(run: StageRun) -> dict[str, Any]:
    """Export, measure parity on the CPU provider, try a faster variant, see whether and where it may be used, write the
    card.

    Checks read the figures. Parity and usability are those of the exported sampler; where the recipe imagines, the gate
    judges imagined variants, which are what is drawn.
    """
    source, settings = run.inputs["generator"], run.recipe.sampler
    device = "cpu"
    if settings.imagination is not None:  # before anything is computed
        allow = run.runtime.allow_cpu_fallback
        device = choose_device(source, run.runtime.provider, allow_fallback=allow)
    config = read_config(source)
    generator = KINDS[config["kind"]].load(source)
    real = run.inputs["real_images"]
    train, held_out = (read_split(real, split) for split in ("train", "validation"))
    require_same_classes(config, train.class_names, "real_images")
    start = None
    if settings.imagination is not None:
        shards = find_shards(real, "train")
        start = start_imagination(
            source,
            settings,
            run.inputs["scorer"],
            shards,
            train,
            root=run.workspace.root,
            scratch=run.scratch,
            sink=run.runtime.sink,
            device=device,
        )
        settings = start.sampler
    settings, tried = choose_strength(
        source,
        settings,
        run.inputs["scorer"],
        train,
        sink=run.runtime.sink,
        imagines=None if start is None else partial(start.place, source),
    )
    run.runtime.sink("generator_onnx: exporting the network")
    path = generator.export(run.out, settings, run.scratch)
    if path.suffix == ".onnx":
        examined, found = _Examination(), _compare_graph(run, generator, path, settings, train)
    else:
        examined = _choose_examination(run)
        found = _compare_repeats(run, examined.provider, train)
    parity, seeds = found.parity.to_dict(), found.seeds
    write_json(run.out / PARITY, parity)
    decision = None
    if settings.precision != "fp32":
        judge = find_judge(load_scorer(run.inputs["scorer"]), train, held_out)
        sink = run.runtime.sink
        decision = add_variant(
            run.out, path, settings.precision, judge, run.scratch, labels=held_out.labels, sink=sink, seeds=seeds
        )
    learnt = read_part(source)["metrics"]
    draws = learnt["training_images"]
    drawer = KINDS[config["kind"]].find_drawer(run.out)
    usability = examine_usability(
        run.out,
        drawer,
        run.inputs["scorer"],
        train,
        held_out,
        needed=settings.usable_from,
        steps=None if draws is None else learnt.get("steps", 0),
        seeds=seeds,
        sink=run.runtime.sink,
        count=examined.images,
        provider=examined.provider,
    )
    if start is not None:
        write_imagination(run.out, start, settings, train, seed=derive_seed(run.recipe.seed, run.generator))
        drawer = imagined = start.place(run.out, settings)
        run.runtime.sink(f"generator_onnx: {time_imagination(imagined, train, start).describe()}")
    gate = None
    if seeds is not None:
        gate = examine_variants(
            run.out,
            drawer,
            run.inputs["scorer"],
            train,
            seeds,
            moves=settings.moves,
            keeps=settings.keeps,
            sink=run.runtime.sink,
            tried=tried,
            most=examined.per_class,
            provider=examined.provider,
        )
    _write_card(run, config, settings, found, draws, decision)
    return {
        **{f"parity_{name}": value for name, value in parity.items()},
        "precision": settings.precision if decision and decision["accepted"] else found.precision,
        "precision_ratio": decision.get("ratio") if decision else None,
        "usable": usability["usable"],
        "position": usability["position"],
        **_measure_gate(gate),
    }


@dataclass(frozen=True)
class _Comparison:
    """How closely images are drawn again.

    told: what was compared, for the card. precision: of the drawer. seeds: images of which variants are made; None if
    none are.
    """

    info: SamplerInfo
    parity: Parity
    told: str
    precision: str
    seeds: SeedImages | None
    has_graph: bool


def _compare_graph(
    run: StageRun, generator: Generator, path: Path, settings: SamplerSettings, train: PixelDataset
) -> _Comparison:
    """The exported sampler with the generator itself, on the CPU."""
    run.runtime.sink("generator_onnx: measuring parity with the eager sampler")
    sampler = Sampler(path, provider="cpu")
    images = max(128, len(sampler.info.class_names), PARITY_EVALUATIONS // (sampler.info.evaluations or 1))
    seeds = _find_seeds(sampler.info, train)
    parity = measure_parity(generator, sampler, settings, images=min(1024, images), seeds=seeds)
    return _Comparison(sampler.info, parity, "parity with the generator itself, fp32", "fp32", seeds, has_graph=True)


def _compare_repeats(run: StageRun, provider: str, train: PixelDataset) -> _Comparison:
    """A drawer without a graph with itself."""
    run.runtime.sink(f"generator_onnx: drawing a few images twice, on {provider}")
    drawer = KINDS[read_config(run.out)["kind"]].find_drawer(run.out)
    info = drawer.read_info()
    seeds = _find_seeds(info, train)
    parity, precision = measure_repeats(drawer, provider, seeds=seeds)
    return _Comparison(info, parity, "opened and drawn twice", precision, seeds, has_graph=False)


def _find_seeds(info: SamplerInfo, train: PixelDataset) -> SeedImages | None:
    return take_seeds(train) if IMAGE in info.inputs else None


@dataclass(frozen=True)
class _Examination:
    """How a generator is judged: where, by how many images, and by variants of how many images of each class."""

    provider: str = "cpu"
    images: int = IMAGES
    per_class: int = MOST


def _choose_examination(run: StageRun) -> _Examination:
    """Of a generator without a graph; EnvironmentFault for a provider that is not available."""
    drawer = KINDS[read_config(run.out)["kind"]].find_drawer(run.out)
    allow = run.runtime.allow_cpu_fallback
    return _Examination(drawer.choose_provider(run.runtime.provider, allow_fallback=allow), FEW, FEW_PER_CLASS)


def _write_card(
    run: StageRun,
    config: dict[str, Any],
    settings: SamplerSettings,
    found: _Comparison,
    draws: int | None,
    decision: dict[str, Any] | None,
) -> None:
    """draws: training images that the generator was shown here; decision: about a faster variant, if one was tried."""
    info, parity = found.info, found.parity
    evaluations = info.evaluations or 1
    steps = f"{settings.solver}, {settings.steps} steps, {evaluations} evaluations; " if settings.solver else ""
    guidance = f"guidance {settings.guidance:g}; " if settings.guidance != 1.0 else ""
    strength = "" if settings.strength is None else f"strength {settings.strength:g}; "
    truncation = "" if settings.truncation is None else f"truncation {settings.truncation:g}; "
    write_card(
        run.out,
        config,
        {
            **describe_weights(config),
            **describe_origin(config),
            "trained on": _describe_training(config, draws, has_graph=found.has_graph),
            "sampler": f"{steps}{guidance}{strength}{truncation}inputs {_describe_inputs(info)}; output"
            f" `{'variant' if IMAGE in info.inputs else 'image'}` uint8 [n, height, width, channels]",
            found.told: f"{parity.share_equal:.4%} of pixels equal,"
            f" {parity.share_beyond_one:.4%} differ by more than one grey level, at most {parity.max_difference},"
            f" on {parity.images} images",
            **_describe_precision(decision),
            **_describe_imagination(settings),
        },
    )


def _describe_training(config: dict[str, Any], draws: int | None, *, has_graph: bool) -> str:
    """What a generator saw; draws: training images that it was shown here."""
    if draws is None:
        exported = has_graph and ORIGIN not in config
        return f"not known: it was {'exported' if exported else 'trained'} elsewhere"
    seen = f"{draws} draws from {_name_images(config)}"
    return seen if has_graph else f"not known, elsewhere; fine-tuned on {seen}"


def _name_images(config: dict[str, Any]) -> str:
    """The images that a generator was trained on."""
    if (seen := config.get(SEEN)) is not None:
        return f"{seen['images']} unlabelled images of {seen['pool']}"
    pool = config.get(PSEUDO)
    return "the real training images" + (
        "" if pool is None else f" and from {pool['images']} images of {pool['pool']} that a probe labelled"
    )


def _measure_gate(gate: dict[str, Any] | None) -> dict[str, Any]:
    """The gate's figures; none for a generator whose images are not variants."""
    if gate is None:
        return {}
    refused = sum(entry["why"] is not None for entry in gate["classes"])
    return {"variants_moved": gate["moved"], "variants_kept": gate["kept"], "classes_refused": refused}


def _describe_inputs(info: SamplerInfo) -> str:
    """The inputs of a sampler, with types and shapes."""
    kinds = {
        NOISE: f"float32 [n, {', '.join(map(str, info.shape))}]",
        LABEL: "int64 [n]",
        IMAGE: "uint8 [n, height, width, channels]",
    }
    return ", ".join(f"`{name}` {kinds[name]}" for name in info.inputs)


def _describe_imagination(settings: SamplerSettings) -> dict[str, str]:
    """For the card; empty where the recipe does not imagine."""
    if settings.imagination is None:
        return {}
    told = f"mode {settings.imagination.mode}, preset {settings.imagination.preset}; `{IMAGINATION}` has all of it"
    return {"imagination, in torch, of the images in the dataset": told}


def _describe_precision(decision: dict[str, Any] | None) -> dict[str, str]:
    """The gate's decision, for the card; empty if there was none."""
    if decision is None:
        return {}
    verdict = "accepted" if decision["accepted"] else "rejected, fp32 draws"
    return {f"{decision['precision']} variant": f"{verdict}: {decision['reason']}"}
