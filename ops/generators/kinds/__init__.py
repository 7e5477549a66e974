"""The kinds of generators, by name: a kind is one file here and one name in this tuple."""

from ops.generators.kinds.ddpm import Ddpm
from ops.generators.kinds.edm import Edm
from ops.generators.kinds.flow import Flow
from ops.generators.kinds.onnx import Onnx
from ops.generators.kinds.protocol import Kind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Flow(), Edm(), Ddpm(), Onnx())}
