"""The kinds of generators by name. Each is one line here; its recipe keys are in `ops.recipe.kinds`."""

from pathlib import Path

from ops.generators.adversarial_kind import AdversarialKind
from ops.generators.dcgan.design import Dcgan
from ops.generators.denoiser_kind import DenoiserKind, FlowKind
from ops.generators.diffusion_kind import DiffusionKind
from ops.generators.drawers import DrawerSpec
from ops.generators.folder import read_config
from ops.generators.foreign import Onnx
from ops.generators.geometry_kind import GeometryKind
from ops.generators.instance_kind import InstanceKind
from ops.generators.kinds.ddpm import Ddpm
from ops.generators.kinds.edm import Edm
from ops.generators.latent_kind import LatentKind
from ops.generators.mae_kind import MaeKind
from ops.generators.munit_kind import MunitKind
from ops.generators.prior_kind import PriorKind
from ops.generators.protocol import Kind
from ops.generators.stylegan2.design import StyleGan2
from ops.recipe.kinds import PRIORS

_ALL: tuple[Kind, ...] = (
    FlowKind(),
    DenoiserKind(Edm()),
    DenoiserKind(Ddpm()),
    LatentKind(),
    InstanceKind(),
    MaeKind(),
    GeometryKind(),
    MunitKind(),
    AdversarialKind(Dcgan()),
    AdversarialKind(StyleGan2()),
    DiffusionKind("stable-diffusion"),
    DiffusionKind("unclip"),
    Onnx(),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
KINDS[PriorKind.name] = PriorKind({name: KINDS[name] for name in PRIORS})


def find_drawer(folder: Path) -> DrawerSpec:
    """The drawer of the generator that was exported to `folder`; DamagedData if there is none."""
    return KINDS[read_config(folder)["kind"]].find_drawer(folder)
