"""The kinds of generators, by name: each is one line here, and its keys are in `ops.recipe.generator`."""

from ops.generators.denoiser_kind import DenoiserKind, FlowKind
from ops.generators.foreign import Onnx
from ops.generators.kinds.ddpm import Ddpm
from ops.generators.kinds.edm import Edm
from ops.generators.protocol import Kind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (FlowKind(), DenoiserKind(Edm()), DenoiserKind(Ddpm()), Onnx())}
