"""Changes of colour for a whole batch at once: jitter, loss of colour, blur and solarisation, each with a probability.

Images are float [n, C, H, W] in -1..1, of one channel or of three. Jitter draws a factor for each image, as
torchvision's ColorJitter does; the order of its four operations is drawn for the batch. A grey image has no saturation
and no hue, so these two draw nothing there.
"""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in a grey level (ITU-R BT.601)
LEAST_BLUR, MOST_BLUR = 0.1, 2.0  # standard deviations in pixels
REACH = 4  # pixels of a blur to each side: two of the largest standard deviations


def jitter(images: Tensor, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Each image times a factor of brightness, contrast and saturation in 1 ± these, its hue turned by up to ± `hue`.

    Factors below 0 are 0. hue : as a share of the full circle, at most 0.5.
    """
    coloured, unit = images.shape[1] == 3, (images + 1) / 2
    operations = [(brighten, brightness), (change_contrast, contrast)]
    operations += [(saturate, saturation), (_turn_hue, hue)] if coloured else []
    for place in torch.randperm(len(operations)).tolist():
        change, most = operations[place]
        if most > 0:
            amount = ((2 * torch.rand(len(images), 1, 1, 1) - 1) * most).to(images.device)
            unit = change(unit, amount)
    return unit * 2 - 1


def grey_out(images: Tensor) -> Tensor:
    """Images of three channels without their colours; grey ones as they are."""
    return images if images.shape[1] == 1 else find_luma(images).expand_as(images)


def find_luma(images: Tensor) -> Tensor:
    """The grey level, [n, 1, H, W]; that of a grey image is the image."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)


def solarise(images: Tensor) -> Tensor:
    """The upper half of the levels inverted."""
    return torch.where(images >= 0, -images, images)


def draw_blur(images: Tensor) -> Tensor:
    """Each image blurred by a Gaussian with a standard deviation of LEAST_BLUR to MOST_BLUR pixels; edges repeated."""
    sd = LEAST_BLUR + (MOST_BLUR - LEAST_BLUR) * torch.rand(len(images))
    return blur(images, sd)


def blur(images: Tensor, sd: Tensor) -> Tensor:
    """Each image blurred by a Gaussian of standard deviation sd, float [n], in pixels; edges are repeated.

    A matrix product for the rows and one for the columns, which is faster than convolutions of so many groups.
    """
    rows, columns = (_smooth(sd, length).to(images)[:, None] for length in images.shape[2:])
    return rows @ images @ columns.transpose(2, 3)


def _smooth(sd: Tensor, length: int) -> Tensor:
    """Weights float [n, length, length] of old pixels in each new one."""
    offsets = torch.arange(-REACH, REACH + 1)
    kernel = torch.exp(-0.5 * (offsets / sd[:, None]).square())
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    places = (torch.arange(length)[:, None] + offsets).clamp(0, length - 1)
    found = torch.zeros(len(sd), length, length)
    return found.scatter_add_(2, places.expand(len(sd), -1, -1), kernel[:, None].expand(-1, length, -1))


def brighten(unit: Tensor, amount: Tensor) -> Tensor:
    """Levels in 0..1 times 1 + amount, float [n, 1, 1, 1], cut off at 0 and 1; so are the next two."""
    return (unit * (1 + amount).clamp(min=0)).clamp(0, 1)


def change_contrast(unit: Tensor, amount: Tensor) -> Tensor:
    """Differences from the mean grey level times 1 + amount."""
    mean = find_luma(unit).mean(dim=(2, 3), keepdim=True)
    return (mean + (unit - mean) * (1 + amount).clamp(min=0)).clamp(0, 1)


def saturate(unit: Tensor, amount: Tensor) -> Tensor:
    """Differences from the grey image times 1 + amount; a grey image stays."""
    luma = find_luma(unit)
    return (luma + (unit - luma) * (1 + amount).clamp(min=0)).clamp(0, 1)


def _turn_hue(unit: Tensor, amount: Tensor) -> Tensor:
    """The hue of HSV moved by `amount` of the circle; value and saturation stay."""
    value, low = unit.amax(dim=1, keepdim=True), unit.amin(dim=1, keepdim=True)
    chroma = value - low
    red, green, blue = unit.unbind(dim=1)
    divisor = torch.where(chroma > 0, chroma, 1.0)[:, 0]
    sector = torch.where(
        unit.argmax(dim=1) == 0,
        ((green - blue) / divisor) % 6,
        torch.where(unit.argmax(dim=1) == 1, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sector = (sector[:, None] + 6 * amount) % 6
    # A channel is value - chroma · clamp(min(k, 4 - k), 0, 1) with k = (n + hue / 60°) mod 6, n = 5, 3, 1.
    k = (sector + unit.new_tensor([5.0, 3.0, 1.0])[:, None, None]) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)
