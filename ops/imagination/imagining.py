"""Imagine K variants of each seed image: guided, at random, or as the prior makes them.

The three modes are an ablation of one factor each. They share the prior's own noise, the numbers z and b, the groups,
the ball and the decoder:

| mode | z and b | steps |
|---|---|---|
| `guided` | drawn | the preset's |
| `random` | the same | none |
| `prior` | 0 | none |

So guided minus random is what the scorer's gradient is worth, and random minus prior what the perturbation is worth. A
prior that only encodes and decodes gives K equal images in mode `prior`.

A variant is a function of (prior, scorer, preset, seed, round, seed image, k), and of K unless the preset is nested
(`ops.imagination.presets`). Seed images are worked on one after another, so any division of them among workers gives
the same bits (`ops.imagination.guide`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from ops.generators.units import Unit
from ops.imagination.ascent import climb
from ops.imagination.guide import Guide, NotFinite, cut, fill, make_guide
from ops.imagination.imagined import Imagined, join_imagined
from ops.imagination.perturbation import Perturbation, draw_perturbation, find_shape, no_perturbation
from ops.imagination.presets import Preset, find_statistics
from ops.imagination.projection import measure_clamped
from ops.imagination.protocols import Prior, Request, Scorer, Statistics, VaryingPrior

Mode = Literal["guided", "random", "prior"]
ROWS = 5  # divides the usual ratios 5, 10 and 20, so that no call has to be filled up


@dataclass(frozen=True, eq=False)
class Imagination:
    """Everything that makes variants but the seed images.

    Parameters
    ----------
    seed, round_ : of the draws.
    data : statistics of the data, for presets that normalise by them.
    rows : variants in each call of prior and scorer. Another number gives the same images up to rounding (a sign step
        can magnify the rounding of a gradient near 0), so a run keeps its number.
    """

    prior: Prior
    scorer: Scorer
    preset: Preset
    mode: Mode = "guided"
    seed: int = 0
    round_: int = 0
    data: Statistics | None = None
    rows: int = ROWS
    noise_shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode is one of {', '.join(get_args(Mode))}, not {self.mode!r}")
        if self.rows < 1:
            raise ValueError(f"a call needs 1 row or more, not {self.rows}")
        for wanted in (self.preset.seed_input, self.preset.variant_input):
            find_statistics(wanted, self.data)
            if self.scorer.reads == "latents" and wanted != "own":
                raise ValueError("a scorer of latents sees no image to normalise; set the preset's inputs to 'own'")
        shape = find_shape(self.prior.latent_shape, self.preset.granularity)
        object.__setattr__(self, "noise_shape", shape)

    def imagine(self, images: Tensor, units: Sequence[Unit], count: int) -> Iterator[Imagined]:
        """Exactly `count` variants of each seed image, float32 [n, C, H, W] in 0..1, in their order.

        `units` name the images; a unit's key decides its draws, and its label the class. ValueError before the first
        variant for images that do not fit their units, repeated keys, or no variant; while they are made, for a label
        that the scorer does not know, and `NotFinite`.
        """
        if count < 1:
            raise ValueError(f"a seed image needs 1 variant or more, not {count}")
        if images.dim() != 4 or len(images) != len(units):
            raise ValueError(f"images of shape {tuple(images.shape)} do not fit {len(units)} units")
        if len({unit.key for unit in units}) < len(units):
            raise ValueError("two seed images have the same key; their variants would be drawn alike")
        return (self._imagine(image, unit, count) for image, unit in zip(images, units, strict=True))

    def imagine_group(self, image: Tensor, unit: Unit, ks: Sequence[int]) -> Imagined:
        """The consecutive variants `ks` of one seed image [C, H, W] as a group by themselves, whatever the preset's."""
        latents = self.encode(image, unit, ks)
        return self._imagine_group(self.guide(image, unit, ks), latents, self.draw(unit, ks, latents), None)

    def ask(self, unit: Unit, ks: Sequence[int]) -> list[Request]:
        """What names the variants `ks` of a seed image."""
        return [Request(unit.key, unit.label, k, self.seed, self.round_) for k in ks]

    def encode(self, image: Tensor, unit: Unit, ks: Sequence[int]) -> Tensor:
        """The prior's latents f of the variants `ks` of a seed image [C, H, W], float32 [len(ks), ...]."""
        with torch.no_grad():
            if not isinstance(self.prior, VaryingPrior):
                # A copy, because gradients cannot be taken through what a prior made in inference mode.
                latents = self.prior.encode(image[None]).float().clone()
                return latents.expand(len(ks), *latents.shape[1:])
            parts = []
            for part in cut(len(ks), self.rows):
                asked = self.ask(unit, ks[part])
                filled = asked + asked[-1:] * (self.rows - len(asked))
                parts.append(self.prior.vary(fill(image[None], self.rows), filled)[: len(asked)].float())
            return torch.cat(parts)

    def draw(self, unit: Unit, ks: Sequence[int], like: Tensor) -> Perturbation:
        """z and b of the consecutive variants `ks` before any step, on the device of `like`."""
        if self.mode == "prior":
            drawn = no_perturbation(self.noise_shape, len(ks))
        else:
            drawn = draw_perturbation(
                self.noise_shape, seed=self.seed, round_=self.round_, key=unit.key, start=ks[0], count=len(ks)
            )
        return Perturbation(*(value.to(like.device) for value in drawn))

    def guide(self, image: Tensor, unit: Unit, ks: Sequence[int]) -> Guide:
        """The guide for the variants `ks` of one seed image [C, H, W]."""
        asked = self.ask(unit, ks)
        return make_guide(self.prior, self.scorer, self.preset, unit, image, self.data, self.rows, asked)

    def _imagine(self, image: Tensor, unit: Unit, count: int) -> Imagined:
        guide, parts, earlier = self.guide(image, unit, ()), [], None
        for ks in self.preset.groups.split(count):
            latents, own = self.encode(image, unit, ks), replace(guide, requests=tuple(self.ask(unit, ks)))
            parts.append(self._imagine_group(own, latents, self.draw(unit, ks, latents), earlier))
            if self.preset.groups.remembers:
                earlier = torch.cat([part.answer.features for part in parts])
        return join_imagined(parts).take(slice(count))

    def _imagine_group(self, guide: Guide, latents: Tensor, start: Perturbation, earlier: Tensor | None) -> Imagined:
        end, before, length = start, None, torch.zeros(len(latents), device=latents.device)
        if self.mode == "guided":
            end, first = climb(start, lambda here: guide.find_slope(latents, here, earlier), self.preset.ascent)
            # The first slope has seen the start already, if it looked inside the ball.
            seen = first.answer if self.preset.scored == "projected" else guide.judge(guide.place(latents, start))
            before = guide.rate(seen, earlier)
            length = torch.cat([value.flatten(1) for value in first.gradient], dim=1).norm(dim=1)
        placed = guide.place(latents, end)
        if not bool(placed.isfinite().all()):
            raise NotFinite(f"the latents of the seed image {guide.unit.key} are not finite")
        images, flagged = guide.finish(placed)
        answer = guide.judge(placed, images)
        images = images.masked_fill(flagged.view(-1, 1, 1, 1), 0.0)
        after = guide.rate(answer, earlier)
        clamped = measure_clamped(end.apply(latents), guide.project(latents, end))
        before = after if before is None else before
        return Imagined(
            guide.unit, guide.target, placed, images, start, end, before, after, answer, flagged, clamped, length
        )
