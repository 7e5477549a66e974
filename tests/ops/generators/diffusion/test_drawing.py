"""Images are functions of prompt, seed image and draw alone; the loops are those of diffusers."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ops.chain.parts.rounds import hash_sampler
from ops.drawing.pieces import Draws, Piece, draw_rows, fill_pieces
from ops.errors import EnvironmentFault, UserError
from ops.files.manifests import MANIFEST, describe_output
from ops.files.storage import read_json, write_json
from ops.generators.diffusion.diffuser import Diffuser, _build_schedule
from ops.generators.diffusion.drawer import PipelineDrawer, PipelineFile
from ops.generators.diffusion.folder import read_pipeline
from ops.generators.diffusion.numbers import Draw, name_draws, stack_normals
from ops.generators.diffusion.opening import choose_precision, open_parts
from ops.generators.diffusion.sizes import enlarge, reduce
from ops.generators.diffusion_kind import find_precision, require_same_classes
from ops.generators.drawers import RecordingDrawer
from ops.generators.feeds import SeedImages, cut_feeds, make_feeds, spread_draws
from ops.generators.folder import CARD, CONFIG
from ops.generators.registry import KINDS, find_drawer
from ops.generators.repeats import measure_repeats
from ops.generators.units import list_classes
from ops.recipe.sampler import SamplerSettings

X, Y = Draw("x", 3, seed=1), Draw("y", 0, seed=1)
PROMPTS = ["a photo of a bag.", "a photo of a boot."]


def open_diffuser(root: Path, name: str = "sd", **keys: Any) -> Diffuser:
    folder = read_pipeline(root / name, "unclip" if name == "unclip" else "stable-diffusion")
    parts = open_parts(folder, checked=True, precision="fp32")
    return Diffuser(parts, folder.side, folder.factor, **{"solver": "ddim", "steps": 3, "guidance": 4.0, **keys})


@pytest.fixture(scope="module")
def diffuser(root: Path) -> Diffuser:
    return open_diffuser(root)


@pytest.fixture(scope="module")
def unclip(root: Path) -> Diffuser:
    return open_diffuser(root, "unclip")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_random_numbers_follow_from_the_draw_and_its_use() -> None:
    drawn = X.normal((4, 8), "diffusion")
    assert torch.equal(drawn, Draw("x", 3, seed=1).normal((4, 8), "diffusion"))
    others = [Draw("x", 4, 1), Draw("z", 3, 1), Draw("x", 3, 2), Draw("x", 3, 1, 1)]
    assert not any(torch.equal(drawn, other.normal((4, 8), "diffusion")) for other in others)
    assert not torch.equal(drawn, X.normal((4, 8), "another use"))
    noise = torch.from_numpy(make_feeds(("noise",), (1, 4, 4), spread_draws("u", np.zeros(3, int)), seed=0)["noise"])
    assert len(set(name_draws(noise))) == 3 and name_draws(noise)[2] == name_draws(noise[2:])[0]
    counts = np.bincount([Draw("x", k).choose(3, "template") for k in range(300)], minlength=3)
    assert counts.min() > 70


def test_text_to_image_is_that_of_diffusers_with_our_noise(diffuser: Diffuser) -> None:
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    parts = diffuser.parts
    pipe = StableDiffusionPipeline(
        vae=parts.vae, text_encoder=parts.text_encoder, tokenizer=parts.tokenizer, unet=parts.unet,
        scheduler=DDIMScheduler.from_config(parts.schedule), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    noise = stack_normals([X, Y], diffuser.latent_shape, "diffusion")
    wanted = pipe(PROMPTS, latents=noise, num_inference_steps=3, guidance_scale=4.0, output_type="pt").images
    drawn = diffuser.decode(diffuser.draw_texts(PROMPTS, [X, Y]))
    assert drawn.std() > 0.01 and torch.allclose(drawn, wanted, atol=1e-5)


@pytest.mark.parametrize("solver", ["dpmpp", "ddim"])
def test_a_folder_that_asks_for_a_stochastic_solver_is_drawn_without_chance(diffuser: Diffuser, solver: str) -> None:
    asked = {"algorithm_type": "sde-dpmsolver++", "clip_sample": True, "thresholding": True, "solver_order": 3}
    plain, asking = (
        replace(diffuser, parts=replace(diffuser.parts, schedule={**diffuser.parts.schedule, **more}), solver=solver,
                pipelines={})
        for more in ({}, asked)
    )  # fmt: skip
    drawn = plain.draw_texts(PROMPTS, [X, Y])
    for seed in (1, 2):
        torch.manual_seed(seed)
        assert torch.equal(asking.draw_texts(PROMPTS, [X, Y]), drawn)


def test_neither_kind_clips_latents(diffuser: Diffuser, unclip: Diffuser) -> None:
    for each in (diffuser, unclip):
        parts = replace(each.parts, schedule={**each.parts.schedule, "clip_sample": True})
        assert not _build_schedule(parts, "ddim").config.clip_sample


def test_dpmpp_is_that_of_diffusers(diffuser: Diffuser) -> None:
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    parts = diffuser.parts
    pipe = StableDiffusionPipeline(
        vae=parts.vae, text_encoder=parts.text_encoder, tokenizer=parts.tokenizer, unet=parts.unet,
        scheduler=DPMSolverMultistepScheduler.from_config(parts.schedule), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    noise = stack_normals([X, Y], diffuser.latent_shape, "diffusion")
    wanted = pipe(
        PROMPTS, negative_prompt=["a bad photo"] * 2, latents=noise, num_inference_steps=3, guidance_scale=4.0,
        output_type="latent",
    ).images  # fmt: skip
    ours = replace(diffuser, solver="dpmpp", negative="a bad photo", pipelines={})
    drawn = ours.draw_texts(PROMPTS, [X, Y])
    assert torch.allclose(drawn, wanted, atol=1e-5)
    assert not torch.allclose(replace(ours, negative="").draw_texts(PROMPTS, [X, Y]), wanted, atol=1e-3)


def test_images_that_are_not_finite_are_an_error_and_not_unsafe(diffuser: Diffuser) -> None:
    half = replace(diffuser, parts=replace(diffuser.parts, precision="fp16"))
    for bad in (float("nan"), float("inf")):
        with pytest.raises(UserError, match=r"not finite in fp16; set generator\.precision: fp32"):
            half.decode(torch.full((1, *diffuser.latent_shape), bad))


def test_the_autoencoder_computes_in_fp32_beside_fp16(root: Path) -> None:
    parts = open_parts(read_pipeline(root / "sd", "stable-diffusion"), checked=False, precision="fp16")
    assert (parts.vae.dtype, parts.unet.dtype) == (torch.float32, torch.float16)


def test_image_to_image_keeps_more_of_the_image_at_a_lower_strength(diffuser: Diffuser, images: torch.Tensor) -> None:
    start = diffuser.encode(images)
    moved = [
        float((diffuser.vary(images, PROMPTS, [X, Y], strength) - start).square().mean()) for strength in (0.4, 1.0)
    ]
    assert 0 < moved[0] < moved[1]
    other = diffuser.vary(images, PROMPTS, [X, X], 0.4)
    again = diffuser.copy().vary(images, PROMPTS, [X, Y], 0.4)
    assert torch.equal(again, diffuser.vary(images, PROMPTS, [X, Y], 0.4)) and not torch.allclose(other[1], again[1])


def test_unclip_is_that_of_diffusers_with_our_noise(
    unclip: Diffuser, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import DDIMScheduler, StableUnCLIPImg2ImgPipeline
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    parts, own, level = unclip.parts, unclip.embedder, 20
    normalizer = StableUnCLIPImageNormalizer(16)
    normalizer.mean.data, normalizer.std.data = own.mean, own.deviation
    pipe = StableUnCLIPImg2ImgPipeline(
        feature_extractor=None, image_encoder=own.encoder.network, image_normalizer=normalizer,
        image_noising_scheduler=own.noising, tokenizer=parts.tokenizer, text_encoder=parts.text_encoder,
        unet=parts.unet, scheduler=DDIMScheduler.from_config(parts.schedule), vae=parts.vae,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    noised = pipe.noise_image_embeddings  # draws by a generator of torch, unless it is given noise
    noise = stack_normals([X, Y], (16,), "diffusion embedding")
    monkeypatch.setattr(
        pipe, "noise_image_embeddings", lambda image_embeds, noise_level, **_: noised(image_embeds, level, noise)
    )
    seen = unclip.see(images)
    latents = stack_normals([X, Y], unclip.latent_shape, "diffusion")
    wanted = pipe(
        prompt=["", ""], image_embeds=seen, latents=latents, num_inference_steps=3, guidance_scale=4.0,
        noise_level=level, output_type="latent",
    ).images  # fmt: skip
    assert torch.allclose(unclip.draw_embedded(seen, [X, Y], level), wanted, atol=1e-4)
    assert float((seen[0] - seen[1]).abs().max()) > 1e-3


def test_the_checker_decides_which_images_are_flagged(root: Path, images: torch.Tensor, diffuser: Diffuser) -> None:
    assert diffuser.find_flagged(images).tolist() == [False, False]
    assert open_diffuser(root, "flagging").find_flagged(images).tolist() == [True, True]


def test_sizes_and_channels_go_both_ways() -> None:
    grey, colour = torch.rand(2, 1, 8, 8), torch.rand(2, 3, 32, 32, requires_grad=True)
    assert torch.equal(enlarge(grey, 8), grey.expand(-1, 3, -1, -1)) and enlarge(grey, 32).shape == (2, 3, 32, 32)
    flat = torch.full((1, 3, 32, 32), 0.25)
    assert torch.allclose(reduce(flat, (1, 8, 8)), torch.full((1, 1, 8, 8), 0.25))
    small = reduce(colour, (1, 8, 8))
    small.sum().backward()
    assert colour.grad is not None and colour.grad.abs().min() > 0
    assert torch.equal(reduce(colour, (3, 32, 32)), colour)


def test_an_image_does_not_depend_on_batch_drawer_or_neighbours(make_generator: Callable[..., Any]) -> None:
    generator, _ = make_generator(prompts={"templates": ["a {class}", "one {class}"]})
    spec, shape = find_drawer(generator.folder), (1, 16, 16)
    assert spec == PipelineFile(generator.folder / CONFIG) and spec.uses_torch
    draws = Draws(list_classes(("bag", "ankle_boot")), (3, 2))
    drawn = draw_rows(0, 5, draws, spec.open("cpu", 5), 0)
    feeds = make_feeds(("noise", "label"), shape, draws.runs(0, 5), seed=0)
    other = spec.open("cpu", 2).with_batch_size(1)
    alone = [other.draw(cut_feeds(feeds, slice(i, i + 1)))[0] for i in (4, 0, 3, 2, 1)]
    assert np.array_equal(drawn[[4, 0, 3, 2, 1]], np.stack(alone)) and len({image.tobytes() for image in drawn}) == 5
    parity, precision = measure_repeats(spec, "cpu")
    assert parity.passed and parity.share_equal == 1.0 and precision == "fp32"


@pytest.mark.slow  # two processes that load torch and transformers
@pytest.mark.parametrize("workers", [1, 2])
def test_one_process_and_two_draw_the_same(
    make_generator: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("ops.drawing.pieces.WORKER_SHARE", 1)
    generator, _ = make_generator()
    spec, draws = find_drawer(generator.folder), Draws(list_classes(("bag", "ankle_boot")), (3, 2))
    pieces = [Piece(0, 2), Piece(2, 5)]
    keys = {"draws": draws, "seed": 0, "provider": "cpu", "batch_size": 4}
    assert len(list(fill_pieces(tmp_path, pieces, spec, workers=workers, **keys))) == 2
    stored = np.concatenate([np.load(tmp_path / piece.file_name) for piece in pieces])
    drawn = draw_rows(0, 5, draws, spec.open("cpu", 5), 0)
    assert np.array_equal(stored.reshape(drawn.shape), drawn)


def test_variants_have_the_inputs_of_their_kind(make_generator: Callable[..., Any]) -> None:
    seeds = SeedImages(np.arange(512, dtype=np.uint8).reshape(2, 16, 16, 1), ["a", "b"], np.array([0, 1]))
    for name, keys, inputs in (
        ("sd", {"sampler": {"strength": 0.5}, "mode": "image"}, ("noise", "label", "image")),
        ("unclip", {"noise_level": 50}, ("noise", "image")),
    ):
        generator, _ = make_generator(name, **keys)
        spec = PipelineFile(generator.folder / CONFIG)
        info = spec.read_info()
        assert info.inputs == inputs and (info.solver, info.steps) == ("ddim", 2)
        feeds = make_feeds(inputs, (1, 16, 16), spread_draws("u", np.array([0, 1, 0]), seeds), seed=0, seeds=seeds)
        drawn = spec.open("cpu", 3).draw(feeds)
        assert drawn.shape == (3, 16, 16, 1) and not np.array_equal(drawn[0], drawn[2])


def test_a_flagged_image_comes_back_black(make_generator: Callable[..., Any]) -> None:
    feeds = make_feeds(("noise", "label"), (1, 16, 16), spread_draws("u", np.array([0, 1])), seed=0)
    flagging, _ = make_generator("flagging")
    unwatched, _ = make_generator("flagging", safety_checker=False)
    assert (PipelineFile(flagging.folder / CONFIG).open("cpu", 2).draw(feeds) == 0).all()
    assert (PipelineFile(unwatched.folder / CONFIG).open("cpu", 2).draw(feeds) > 0).any()
    assert flagging.config["flags_unsafe"] and not unwatched.config["flags_unsafe"]


def test_only_the_flagged_image_is_made_black_and_the_checkers_answer_is_recorded(
    make_generator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, _ = make_generator("flagging", prompts={"templates": ["a {class}"]})
    feeds = make_feeds(("noise", "label"), (1, 16, 16), spread_draws("u", np.array([0, 1, 1])), seed=0)
    answers, levels, decode = iter((True, False, False)), iter((1.0, 1.0, 0.0)), Diffuser.decode
    monkeypatch.setattr(Diffuser, "find_flagged", lambda self, images: torch.tensor([next(answers)]))
    # The last image is black by itself.
    monkeypatch.setattr(Diffuser, "decode", lambda self, latents: decode(self, latents) * next(levels))
    spec = find_drawer(generator.folder)
    drawer = spec.open("cpu", 3)
    assert spec.read_info().records and isinstance(drawer, RecordingDrawer)
    drawn, told = drawer.draw_recorded(feeds)
    assert [bool(image.any()) for image in drawn] == [False, True, False]
    assert told["flagged"].tolist() == [True, False, False]
    assert told["prompt"].tolist() == ["a bag", "a ankle boot", "a ankle boot"]


def test_a_colour_dataset_at_another_side_of_the_pipeline(make_generator: Callable[..., Any]) -> None:
    generator, sampler = make_generator(size=64)
    config = {**generator.config, "channels": 3, "height": 40, "width": 40}
    opened = replace(generator, config=config).open()
    assert opened.make_diffuser(sampler).latent_shape == (4, 32, 32)
    feeds = make_feeds(("noise", "label"), (3, 40, 40), spread_draws("u", np.array([0])), seed=0)
    drawn = opened.sample({name: torch.from_numpy(values) for name, values in feeds.items()}, sampler)
    assert drawn.shape == (1, 40, 40, 3) and not torch.equal(drawn[..., 0], drawn[..., 1])


def test_images_follow_from_the_weights_and_not_from_their_place_or_licence(
    make_generator: Callable[..., Any], tmp_path: Path
) -> None:
    generator, _ = make_generator()
    places, config = [], read_json(generator.folder / CONFIG)
    identity: dict[str, Any] = {
        "stage": "generator_onnx",
        "version": 1,
        "fingerprint": "",
        "settings": {},
        "inputs": {},
    }
    changes: list[dict[str, Any]] = [{}, {"model": "elsewhere", "licence": "another"}, {"sha256": "0" * 64}]
    for number, change in enumerate(changes):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_json(folder / CONFIG, {**config, "settings": {**config["settings"], **change}})
        (folder / CARD).write_text(f"card {number}")
        write_json(folder / MANIFEST, describe_output(folder, identity, {}))
        places.append(hash_sampler(folder))
    assert places[0] == places[1] != places[2]


def test_the_precision_is_that_of_where_it_is_drawn(make_generator: Callable[..., Any]) -> None:
    half, auto = (make_generator(precision=precision)[0].config for precision in ("bf16", "auto"))
    assert [find_precision(config, "cpu") for config in (half, auto, {"kind": "flow"})] == ["bf16", "fp32", None]


def test_labels_of_other_classes_are_refused(make_generator: Callable[..., Any]) -> None:
    config = make_generator()[0].config
    require_same_classes(config, ["bag", "ankle_boot"], "real_images")
    with pytest.raises(UserError, match="real_images has the classes in another order"):
        require_same_classes(config, ["ankle_boot", "bag"], "real_images")
    require_same_classes({"class_names": ["bag"]}, ["other"], "real_images")  # of another kind, which learnt labels


def test_no_drawer_outlives_the_filling_of_its_pieces(
    make_generator: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, draws = find_drawer(make_generator()[0].folder), Draws(list_classes(("bag", "ankle_boot")), (1, 1))
    opened: list[Any] = []

    def keep(self: PipelineFile, provider: str, batch_size: int) -> PipelineDrawer:
        drawer = open_file(self, provider, batch_size)
        opened.append(weakref.ref(drawer))
        return drawer

    open_file = PipelineFile.open
    monkeypatch.setattr(PipelineFile, "open", keep)
    keys = {"draws": draws, "seed": 0, "provider": "cpu", "batch_size": 2}
    assert len(list(fill_pieces(tmp_path, [Piece(0, 1), Piece(1, 2)], spec, workers=1, **keys))) == 2
    gc.collect()
    assert len(opened) == 1 and opened[0]() is None


def test_a_directory_whose_classes_were_put_in_another_order_is_refused(make_generator: Callable[..., Any]) -> None:
    generator, _ = make_generator()
    path = generator.folder / CONFIG
    write_json(path, {**read_json(path), "class_names": ["ankle_boot", "bag"]})
    feeds = make_feeds(("noise", "label"), (1, 16, 16), spread_draws("u", np.array([0])), seed=0)
    with pytest.raises(UserError, match=r"config\.json has the classes in another order"):
        PipelineFile(path).open("cpu", 1).draw(feeds)


def test_weights_that_were_replaced_are_noticed_when_they_are_opened(
    make_generator: Callable[..., Any], root: Path
) -> None:
    generator, _ = make_generator()
    config = read_json(generator.folder / CONFIG)
    config["settings"]["model"] = "flagging"
    write_json(generator.folder / CONFIG, config)
    with pytest.raises(UserError, match="sha256 does not fit"):
        PipelineFile(generator.folder / CONFIG).open("cpu", 1)


def test_providers_and_precisions(make_generator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    generator, _ = make_generator()
    spec = PipelineFile(generator.folder / CONFIG)
    assert [choose_precision(wanted, "cpu") for wanted in ("auto", "fp16")] == ["fp32", "fp16"]
    assert spec.choose_provider("auto", allow_fallback=False) == "cpu"
    assert spec.choose_provider("cuda", allow_fallback=True) == "cpu"
    with pytest.raises(EnvironmentFault, match="torch finds no CUDA device"):
        spec.choose_provider("cuda", allow_fallback=False)


def test_bf16_draws_nearly_the_same(make_generator: Callable[..., Any]) -> None:
    feeds = make_feeds(("noise", "label"), (1, 16, 16), spread_draws("u", np.array([0, 1])), seed=0)
    drawn = [
        PipelineFile(make_generator(precision=precision)[0].folder / CONFIG).open("cpu", 2).draw(feeds).astype(int)
        for precision in ("fp32", "bf16")
    ]
    assert 0 < np.abs(drawn[0] - drawn[1]).mean() < 5


def test_a_plan_counts_the_products_of_the_networks(root: Path, settings: Callable[..., Any]) -> None:
    kind, section = KINDS["stable-diffusion"], settings(lora={"steps": 7, "batch_size": 2})
    sampler = section.resolve_sampler(SamplerSettings(guidance=1.0, steps=10))
    guided = section.resolve_sampler(SamplerSettings(guidance=2.0, steps=10))
    one, two = (kind.guess(section, each, (1, 16, 16), root, 1.0, 1) for each in (sampler, guided))
    assert two.image_seconds - one.image_seconds == pytest.approx(10 * one.step_seconds / (3 * 2))
    assert one.fit_seconds == 7 * one.step_seconds
    assert kind.guess(section, sampler, (1, 16, 16), root, 2.0, 1).image_seconds == one.image_seconds / 2
