"""LoRA and DreamBooth: what changes, what does not, and what is on disk."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ops.errors import DamagedData
from ops.files.storage import read_json
from ops.generators.diffusion.adapter import add_adapter, load_adapter, save_adapter
from ops.generators.diffusion.classes import ClassTable
from ops.generators.diffusion.diffuser import Diffuser
from ops.generators.diffusion.fine_tuning import Denoising, Examples, fine_tune
from ops.generators.diffusion.fitting import fit_pipeline
from ops.generators.diffusion.folder import read_pipeline
from ops.generators.diffusion.generator import load_generator
from ops.generators.diffusion.numbers import Draw
from ops.generators.diffusion.opening import Parts, open_parts
from ops.generators.diffusion.preserving import draw_preserved
from ops.generators.folder import WEIGHTS
from ops.generators.protocol import Fitting
from ops.recipe.diffusion import LoraSettings, PreservationSettings
from ops.training.checkpoint import Checkpoints

RANK = 2


@pytest.fixture(scope="module")
def untouched(root: Path) -> Parts:
    return open_parts(read_pipeline(root / "sd", "stable-diffusion"), checked=False, precision="fp32")


@pytest.fixture
def parts(untouched: Parts) -> Parts:
    return replace(untouched, unet=copy.deepcopy(untouched.unet))


def make_examples(seed: int = 0) -> Examples:
    rng = torch.Generator().manual_seed(seed)
    texts = [torch.randn(1, 77, 32, generator=rng) for _ in range(2)]
    return Examples(torch.randn(4, 4, 16, 16, generator=rng), np.array([0, 0, 0, 1]), texts)


def read(unet: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in unet.state_dict().items()}


def lora(**keys: Any) -> LoraSettings:
    return LoraSettings(rank=RANK, batch_size=2, learning_rate=1e-3, **{"steps": 1, **keys})


def test_a_step_changes_exactly_the_adapter_lowers_the_loss_and_survives_save_and_load(
    parts: Parts, untouched: Parts, tmp_path: Path
) -> None:
    examples, before = make_examples(), read(parts.unet)
    torch.manual_seed(0)
    adapter = add_adapter(parts.unet, RANK, None)
    start = read(parts.unet)
    denoising = Denoising(parts, "fp32")
    latents, texts = examples.take(4, 0, 0, 0)
    fixed = (latents, texts, *denoising.draw(latents, 0, 0, 0))
    with torch.no_grad():
        bare, first = Denoising(untouched, "fp32").find_loss(*fixed), denoising.find_loss(*fixed)
    assert torch.equal(bare, first)  # an adapter begins as nothing
    fine_tune(parts, adapter, lora(steps=4), examples, None, seed=0, precision="fp32")
    with torch.no_grad():
        last = denoising.find_loss(*fixed)
    assert last < first
    after = read(parts.unet)
    changed = {name for name in after if not torch.equal(after[name], start[name])}
    added = {name for name in after if "lora_" in name}
    assert changed == added and len(added) == len(adapter.added) > 0
    bases = {name.replace(".base_layer", ""): value for name, value in after.items() if "lora_" not in name}
    assert bases.keys() == before.keys() and all(torch.equal(bases[name], before[name]) for name in before)

    save_adapter(tmp_path, parts.unet)
    again = replace(untouched, unet=copy.deepcopy(untouched.unet))
    load_adapter(tmp_path, again.unet, RANK, None)
    with torch.no_grad():
        assert torch.equal(Denoising(again, "fp32").find_loss(*fixed), last)
    assert not any(value.requires_grad for value in again.unet.parameters())


def test_the_first_step_alone_moves_the_adapter_and_nothing_else(parts: Parts) -> None:
    adapter = add_adapter(parts.unet, RANK, None)
    start = read(parts.unet)
    fine_tune(parts, adapter, lora(), make_examples(), None, seed=0, precision="fp32")
    changed = {name for name, value in read(parts.unet).items() if not torch.equal(value, start[name])}
    # Those that begin at 0 have a gradient at once; the others, which have none yet, are moved by the decay of weights.
    assert changed == {name for name in start if "lora_" in name}


def test_what_is_preserved_is_part_of_the_loss_by_its_weight(parts: Parts) -> None:
    losses = {}
    for weight in (1.0, 3.0, None):
        unet = copy.deepcopy(parts.unet)
        adapter = add_adapter(unet, RANK, None)
        keys = {} if weight is None else {"preservation": {"weight": weight, "templates": ["a {class}"]}}
        seen: list[float] = []
        kept = None if weight is None else make_examples(1)
        fine_tune(
            replace(parts, unet=unet), adapter, lora(**keys), make_examples(), kept, seed=0, precision="fp32",
            on_step=lambda step, loss, seen=seen: seen.append(loss),
        )  # fmt: skip
        losses[weight] = seen[0]
    assert losses[3.0] - losses[None] == pytest.approx(3 * (losses[1.0] - losses[None]), rel=1e-5)
    assert losses[1.0] > losses[None]


def test_velocity_is_learnt_where_the_schedule_says_so(parts: Parts) -> None:
    fixed = (torch.randn(1, 4, 16, 16), torch.randn(1, 77, 32), torch.randn(1, 4, 16, 16), torch.tensor([400]))
    noise, velocity = (
        Denoising(replace(parts, schedule={**parts.schedule, "prediction_type": kind}), "fp32")
        for kind in ("epsilon", "v_prediction")
    )
    latents, _, drawn, times = fixed
    scheduler = velocity._schedule
    share = scheduler.alphas_cumprod[times].view(-1, 1, 1, 1)
    wanted = share.sqrt() * drawn - (1 - share).sqrt() * latents
    with torch.no_grad():
        noisy = share.sqrt() * latents + (1 - share).sqrt() * drawn
        predicted = parts.unet(noisy, times, encoder_hidden_states=fixed[1], return_dict=False)[0]
        assert float(velocity.find_loss(*fixed)) == pytest.approx(float((predicted - wanted).square().mean()), rel=1e-4)
        assert float(noise.find_loss(*fixed)) == pytest.approx(float((predicted - drawn).square().mean()), rel=1e-4)


def test_a_killed_training_ends_with_the_same_weights(parts: Parts, tmp_path: Path) -> None:
    def run(folder: Path, stop: int | None = None) -> list[torch.Tensor]:
        unet = copy.deepcopy(parts.unet)
        torch.manual_seed(0)
        adapter = add_adapter(unet, RANK, None)

        def on_step(step: int, loss: float) -> None:
            if step == stop:
                raise KeyboardInterrupt

        try:
            fine_tune(
                replace(parts, unet=unet), adapter, lora(steps=4), make_examples(), None, seed=5, precision="fp32",
                checkpoints=Checkpoints(folder), on_step=on_step,
            )  # fmt: skip
        except KeyboardInterrupt:
            return run(folder)
        return [value.detach() for value in adapter.added]

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, resumed = run(tmp_path / "a"), run(tmp_path / "b", stop=3)
    assert all(torch.equal(one, other) for one, other in zip(whole, resumed, strict=True))


def test_a_killed_run_draws_what_is_to_be_preserved_once(untouched: Parts, tmp_path: Path) -> None:
    class Counting(Diffuser):
        def draw_texts(self, prompts: Any, draws: Any) -> torch.Tensor:
            drawn.extend(draws)
            if len(drawn) == stop:
                raise KeyboardInterrupt
            return torch.stack([draw.normal((4, 2, 2), "drawn") for draw in draws])

    diffuser, drawn, stop = Counting(untouched, 32, 2, "ddim", 1, 1.0), list[Draw](), 25
    table = ClassTable(("bag", "ankle_boot"), ("bag", "boot"), ("a {class}",))
    kept = PreservationSettings(images=10, templates=("a {class}", "one {class}"))
    seen: list[int] = []

    def draw(folder: Path, together: int = 1) -> torch.Tensor:
        keys = {"seed": 3, "folder": tmp_path / folder, "together": together, "on_image": seen.append}
        latents, labels = draw_preserved(diffuser, table, kept, **keys)
        assert labels.tolist() == [0] * 10 + [1] * 10
        return latents

    whole = draw(Path("a"))
    assert seen == [8, 10, 18, 20] and len(set(drawn)) == 20
    drawn.clear()
    stop = 15
    with pytest.raises(KeyboardInterrupt):
        draw(Path("b"))
    drawn.clear()
    assert torch.equal(draw(Path("b"), together=3), whole) and len(drawn) == 10  # the class whose part was lost
    drawn.clear()
    assert torch.equal(draw(Path("b")), whole) and not drawn


def test_fitting_writes_a_directory_that_draws_and_that_diffusers_reads(
    root: Path, settings: Callable[..., Any], untouched: Parts
) -> None:
    section = settings(
        lora={"rank": RANK, "alpha": 8.0, "steps": 2, "batch_size": 2, "learning_rate": 0.1,
              "preservation": {"images": 1, "templates": ["a {class}"]}},
        prompts={"templates": ["a sks {class}"]},
    )  # fmt: skip
    out, scratch = root / "fitted" / "out", root / "fitted" / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir()
    images = torch.randint(0, 256, (4, 1, 16, 16), dtype=torch.uint8)
    names = ("bag", "ankle_boot")
    metrics = fit_pipeline(section, Fitting(images, torch.tensor([0, 0, 0, 1]), names, 3, root, out, scratch))
    assert (metrics["steps"], metrics["training_images"], metrics["best_step"]) == (2, 4, 2)
    assert read_json(out / "config.json")["settings"]["lora"]["rank"] == RANK
    tuned = load_generator(out).open().opened
    assert tuned is not None
    fixed = (torch.randn(1, 4, 16, 16), torch.tensor([5]), torch.randn(1, 77, 32))
    with torch.no_grad():
        own, drawn = (each.unet(*fixed, return_dict=False)[0] for each in (untouched, tuned))
        assert not torch.allclose(own, drawn, atol=1e-4)
        from diffusers import StableDiffusionPipeline

        pipe = StableDiffusionPipeline.from_pretrained(root / "sd", safety_checker=None, local_files_only=True)
        pipe.load_lora_weights(out, weight_name=WEIGHTS)
        assert torch.allclose(pipe.unet(*fixed, return_dict=False)[0], drawn, atol=1e-5)
    tensors = load_file(out / WEIGHTS)
    save_file({name: value for name, value in list(tensors.items())[1:]}, out / WEIGHTS)
    with pytest.raises(DamagedData, match="does not fit the network"):
        load_generator(out).open()
    (out / WEIGHTS).unlink()
    with pytest.raises(DamagedData, match="holds no model.safetensors"):
        load_generator(out).open()
