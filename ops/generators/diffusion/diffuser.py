"""Draw with an opened pipeline: text to latents, image to latents, image embedding to latents, and latents to images.

The loops are those of diffusers' pipelines, which get embedded texts and every random number from here. So an image is
a function of its prompt, its seed image and its `Draw`. Images are float [n, 3, side, side] in 0..1. Latents are scaled
to a variance of about 1, as the networks take them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ops.errors import UserError
from ops.generators.diffusion.numbers import Draw, stack_normals
from ops.generators.diffusion.opening import Embedder, Parts, Seer, quiet
from ops.generators.diffusion.tokens import find_limit, require_short

NOISE, EMBEDDING = "diffusion", "diffusion embedding"  # uses of random numbers
SCHEDULE = (  # keys of a scheduler's configuration that say how the network was trained, and which steps are taken
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
    "set_alpha_to_one",
    "timestep_spacing",
    "steps_offset",
    "lambda_min_clipped",
)


@dataclass(frozen=True, eq=False)
class Diffuser:
    """Parts, and how to draw with them at `side` pixels.

    solver, steps, guidance : as in the recipe's `sampler`. negative : what guidance leads away from. texts : the cache
    of embedded texts, which copies share.
    """

    parts: Parts
    side: int
    factor: int
    solver: str
    steps: int
    guidance: float
    negative: str = ""
    texts: dict[str, Tensor] = field(default_factory=dict)
    pipelines: dict[str, Any] = field(default_factory=dict)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Of one image."""
        places = self.side // self.factor
        return int(self.parts.unet.config.in_channels), places, places

    @property
    def embedder(self) -> Embedder:
        """Of unCLIP; ValueError for another pipeline."""
        if self.parts.embedder is None:
            raise ValueError("this pipeline has no image encoder")
        return self.parts.embedder

    def copy(self) -> Diffuser:
        """The same networks for another thread: a schedule remembers the step that it is at."""
        return replace(self, pipelines={})

    def draw_texts(self, prompts: Sequence[str], draws: Sequence[Draw]) -> Tensor:
        """Latents of images that fit the prompts, float32 [n, *latent_shape]."""
        noise = stack_normals(draws, self.latent_shape, NOISE).to(self.parts.device, self.parts.dtype)
        called = self._open("StableDiffusionPipeline")
        drawn = called(**self._tell(prompts), latents=noise, height=self.side, width=self.side, **self._how())
        return drawn.images.float()

    def vary(self, images: Tensor, prompts: Sequence[str], draws: Sequence[Draw], strength: float) -> Tensor:
        """Latents of variants of `images`: noised up to `strength` in 0..1 and denoised under their prompts."""
        latents, generators = self.encode(images).to(self.parts.dtype), [draw.start_generator(NOISE) for draw in draws]
        called = self._open("StableDiffusionImg2ImgPipeline")
        drawn = called(**self._tell(prompts), image=latents, strength=strength, generator=generators, **self._how())
        return drawn.images.float()

    def draw_embedded(self, embeddings: Tensor, draws: Sequence[Draw], noise_level: int) -> Tensor:
        """Latents of images that CLIP would see like `embeddings` [n, d], float32 [n, *latent_shape] (unCLIP)."""
        noise = stack_normals(draws, self.latent_shape, NOISE).to(self.parts.device)
        noised = self.noise_embeddings(embeddings, draws, noise_level)
        with torch.no_grad():
            return self.denoise_embedded(self.scale_embeddings(noised), noise, noise_level)

    def see(self, images: Tensor) -> Tensor:
        """What unCLIP's image encoder sees in images, float32 [n, d]."""
        seer = self.embedder.encoder
        with torch.no_grad():
            found: Tensor = seer.network(pixel_values=_prepare(seer, images)).image_embeds.float()
        return found

    def scale_embeddings(self, embeddings: Tensor) -> Tensor:
        """Embeddings [n, d] with mean 0 and variance 1 over natural images, by the pipeline's own statistics."""
        return (embeddings - self.embedder.mean) / self.embedder.deviation

    def noise_embeddings(self, embeddings: Tensor, draws: Sequence[Draw], noise_level: int) -> Tensor:
        """Embeddings [n, d] with noise of a level in 0..999 on them, by their own schedule."""
        own, scaled = self.embedder, self.scale_embeddings(embeddings)
        noise = stack_normals(draws, tuple(scaled.shape[1:]), EMBEDDING).to(scaled)
        levels = torch.full((len(scaled),), noise_level, device=scaled.device)
        noised: Tensor = own.noising.add_noise(scaled, noise, levels)
        return noised * own.deviation + own.mean

    def denoise_embedded(self, scaled: Tensor, noise: Tensor, noise_level: int) -> Tensor:
        """Latents from noise [n, *latent_shape] under scaled embeddings [n, d], differentiable in these.

        The loop of StableUnCLIPImg2ImgPipeline, which itself gives no gradients. For a gradient each evaluation of the
        network is computed again, so that the memory is that of one and not of all steps.
        """
        from diffusers.models.embeddings import get_timestep_embedding
        from torch.utils.checkpoint import checkpoint

        parts, own, schedule = self.parts, self.embedder, _build_schedule(self.parts, self.solver)
        levels = torch.full((len(scaled),), noise_level, device=scaled.device)
        told = get_timestep_embedding(levels, scaled.shape[1], flip_sin_to_cos=True, downscale_freq_shift=0)
        seen = torch.cat([scaled * own.deviation + own.mean, told], dim=1).to(parts.dtype)
        texts = self._embed([""] * len(scaled))
        if guided := self.guidance > 1:
            seen, texts = torch.cat([torch.zeros_like(seen), seen]), torch.cat([texts, texts])
        schedule.set_timesteps(self.steps, device=parts.device)
        latents = noise.to(parts.device, parts.dtype) * schedule.init_noise_sigma

        def evaluate(given: Tensor, t: Tensor) -> Tensor:
            found = parts.unet(given, t, encoder_hidden_states=texts, class_labels=seen, return_dict=False)
            predicted: Tensor = found[0]
            return predicted

        for t in schedule.timesteps:
            given = schedule.scale_model_input(torch.cat([latents, latents]) if guided else latents, t)
            if torch.is_grad_enabled() and seen.requires_grad:
                predicted = checkpoint(evaluate, given, t, use_reentrant=False, preserve_rng_state=False)
            else:
                predicted = evaluate(given, t)
            if guided:
                bare, led = predicted.chunk(2)
                predicted = bare + self.guidance * (led - bare)
            latents = schedule.step(predicted, t, latents, return_dict=False)[0]
        return latents.float()

    def encode(self, images: Tensor) -> Tensor:
        """Latents of images, float32 [n, *latent_shape]: the mean of the autoencoder's posterior, scaled."""
        vae = self.parts.vae
        with torch.no_grad():
            found = vae.encode((images.to(self.parts.device) * 2 - 1).to(vae.dtype)).latent_dist.mode()
        return found.float() * vae.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents, differentiable; UserError for numbers that are not finite, which clamping would hide."""
        vae = self.parts.vae
        found = vae.decode((latents / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0]
        if not bool(found.isfinite().all()):
            hint = "set generator.precision: fp32" if self.parts.precision != "fp32" else "the weights are damaged"
            raise UserError(f"the pipeline draws numbers that are not finite in {self.parts.precision}; {hint}")
        return (found.float() / 2 + 0.5).clamp(0, 1)

    @property
    def is_checked(self) -> bool:
        """Whether a safety checker of the pipeline looks at its images."""
        return self.parts.checker is not None

    def find_flagged(self, images: Tensor) -> Tensor:
        """Which images the pipeline's safety checker flags, bool [n]; none where nobody looks."""
        if self.parts.checker is None:
            return torch.zeros(len(images), dtype=torch.bool, device=images.device)
        seer, blank = self.parts.checker, [torch.zeros(1) for _ in images]  # it would blacken these
        with quiet(), torch.no_grad():
            _, flagged = seer.network(clip_input=_prepare(seer, images), images=blank)
        return torch.tensor(flagged, dtype=torch.bool, device=images.device)

    def embed_text(self, text: str) -> Tensor:
        """An embedded prompt [1, tokens, d]; UserError for one that is longer than the text encoder reads."""
        if text not in self.texts:
            tokenizer, encoder = self.parts.tokenizer, self.parts.text_encoder
            limit = find_limit(encoder.config, tokenizer)
            require_short(text, len(tokenizer(text).input_ids), limit)
            told = tokenizer([text], padding="max_length", max_length=limit, return_tensors="pt").to(self.parts.device)
            mask = told.attention_mask if getattr(encoder.config, "use_attention_mask", False) else None
            with torch.no_grad():
                self.texts[text] = encoder(told.input_ids, attention_mask=mask)[0].to(self.parts.dtype)
        return self.texts[text]

    def _embed(self, texts: Sequence[str]) -> Tensor:
        return torch.cat([self.embed_text(text) for text in texts])

    def _tell(self, prompts: Sequence[str]) -> dict[str, Any]:
        """Embedded texts as a pipeline takes them."""
        told = {"prompt_embeds": self._embed(prompts)}
        if self.guidance > 1:
            told["negative_prompt_embeds"] = self._embed([self.negative] * len(prompts))
        return told

    def _how(self) -> dict[str, Any]:
        return {"num_inference_steps": self.steps, "guidance_scale": self.guidance, "output_type": "latent"}

    def _open(self, name: str) -> Any:
        """A pipeline of diffusers around the networks, with a schedule of its own."""
        if name not in self.pipelines:
            import diffusers

            with quiet():
                made = getattr(diffusers, name)(
                    vae=self.parts.vae,
                    text_encoder=self.parts.text_encoder,
                    tokenizer=self.parts.tokenizer,
                    unet=self.parts.unet,
                    scheduler=_build_schedule(self.parts, self.solver),
                    safety_checker=None,  # `find_flagged` looks, at images in float32
                    feature_extractor=None,
                    requires_safety_checker=False,
                )
            made.set_progress_bar_config(disable=True)
            self.pipelines[name] = made
        return self.pipelines[name]


def _build_schedule(parts: Parts, solver: str) -> Any:
    """The solver on the pipeline's own noise schedule; neither draws a random number.

    Of the folder's configuration only what describes the schedule is taken: a folder may ask for a stochastic solver.
    """
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    made = {"ddim": DDIMScheduler, "dpmpp": DPMSolverMultistepScheduler}[solver]
    kept = {key: value for key, value in parts.schedule.items() if key in SCHEDULE}
    mended: dict[str, Any] = {"clip_sample": False}  # latents have no range to be clipped to
    if parts.embedder is None:
        mended["steps_offset"] = 1  # old folders lack it, and the pipelines of Stable Diffusion set it with a warning
    return made.from_config({**kept, **mended})


def _prepare(seer: Seer, images: Tensor) -> Tensor:
    """Images in 0..1 as the network takes them, by way of grey levels, as the folder's processor does it."""
    return seer.preprocessing.apply((images * 255).round().to(torch.uint8))
