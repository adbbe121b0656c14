"""The trained model: weights and their sidecar, read once, asked for one radiograph at a time."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor
from torch.nn import functional

from cds.dicom.radiograph import Pixels
from cds.errors import ConfigError, EvidenceError
from cds.features.xray.network import Architecture, PneumoniaNet, grad_cam
from cds.features.xray.prepare import equalised, squashed

FORMAT: Final = "cds-chest-xray-1"
SHIPPED: Final = Path(__file__).parents[1] / "weights" / "chest_xray.safetensors"
HEAT_MAP_SIDE: Final = 14
_PICTURE_SIDE: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """From mean logit to probability: ``sigmoid(scale * logit + offset)``.

    `absent_below` and `present_from` are the ends of the band in which the finding is uncertain;
    `prior` is the share of pneumonia for which the probability holds; `basis` says on what it was fitted.
    """

    scale: float = 1.0
    offset: float = 0.0
    prior: float = 0.5
    absent_below: float = 0.3
    present_from: float = 0.7
    basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Familiarity:
    """How far from the training images is too far.

    `distance` and `residual` are the limits of the root mean square of the embedding and of what it
    leaves out, `picture_distance` and `picture_residual` those of the picture itself, coarsely seen; an
    image beyond any is unlike the training images. `basis` says how they were set.
    """

    distance: float = math.inf
    residual: float = math.inf
    picture_distance: float = math.inf
    picture_residual: float = math.inf
    basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """The JSON file beside the weights."""

    version: str
    sha256: str
    architecture: Architecture
    calibration: Calibration
    familiarity: Familiarity
    training: Mapping[str, object]
    measured: Mapping[str, object]
    format: str = FORMAT

    def as_json(self) -> str:
        """Readable, with sorted keys."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a sidecar.

        Raises
        ------
        ConfigError
            When it is not there or not of this format.
        """
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            if table.pop("format", None) != FORMAT:
                raise ConfigError(f"{path.name} is not of the format {FORMAT}")
            shape = table.pop("architecture")
            architecture = Architecture(
                size=int(shape["size"]),
                depths=tuple(shape["depths"]),
                widths=tuple(shape["widths"]),
                members=int(shape["members"]),
            )
            calibration, familiarity = Calibration(**table.pop("calibration")), Familiarity(**table.pop("familiarity"))
            return cls(architecture=architecture, calibration=calibration, familiarity=familiarity, **table)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"the model file {path.name} cannot be read: {type(error).__name__}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the model says of one radiograph.

    Attributes
    ----------
    probability, interval
        Calibrated; the interval spans the members.
    embedding
        Whitened principal components of the members' features, shape (d,).
    unfamiliarity
        1 is the limit of what the training images look like, 2 is twice as far away.
    heat_map
        Grad-CAM, shape (14, 14), 0..1, over the whole image.
    """

    probability: float
    interval: tuple[float, float]
    embedding: tuple[float, ...]
    unfamiliarity: float
    heat_map: tuple[tuple[float, ...], ...]


class XrayModel:
    """An ensemble of `PneumoniaNet`, its projection and its calibration; safe to share by threads."""

    def __init__(self, sidecar: Sidecar, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        self.sidecar = sidecar
        self.device = device
        self._lock = threading.Lock()
        try:
            self._members = tuple(
                _member(sidecar.architecture, tensors, number).to(device)
                for number in range(sidecar.architecture.members)
            )
            self._centre, self._axes = tensors["projection.centre"].float(), tensors["projection.axes"].float()
            self._picture = tensors["picture.centre"].float(), tensors["picture.axes"].float()
        except (KeyError, RuntimeError) as error:
            raise ConfigError(f"the weights do not fit their sidecar: {type(error).__name__}") from None

    @classmethod
    def load(cls, weights: Path, device: str = "auto") -> Self:
        """Read weights and sidecar (same name, ``.json``) and check the one against the other.

        Raises
        ------
        ConfigError
            When one is not there, cut, or the sha256 is another one.
        """
        sidecar = Sidecar.read(weights.with_suffix(".json"))
        try:
            content = weights.read_bytes()
        except OSError as error:
            raise ConfigError(f"the weights {weights.name} cannot be read: {type(error).__name__}") from None
        digest = hashlib.sha256(content).hexdigest()
        if digest != sidecar.sha256:
            raise ConfigError(f"the weights {weights.name} have sha256 {digest}; the sidecar says {sidecar.sha256}")
        try:
            tensors = load_tensors(content)
        except SafetensorError:
            raise ConfigError(f"the weights {weights.name} are no safetensors file") from None
        return cls(sidecar, tensors, chosen_device(device))

    def read(self, pixels: Pixels) -> Reading:
        """Read one radiograph: shape (rows, columns), 0..1, bright = dense.

        Raises
        ------
        EvidenceError
            When a number that is none comes out.
        """
        image = squashed(pixels, self.sidecar.architecture.size)[None]
        with self._lock:
            logits, features = self.scored(image)
            heat = self._heat_map(image)
        embedding = self.embedded(features)
        distances = self.distances(image, features)
        chances = self.probabilities(logits)
        each = [float(chance) for chance in self.probabilities(logits.T)]
        if not all(torch.isfinite(part).all() for part in (chances, embedding, distances, heat)):
            raise EvidenceError("the chest X-ray model gave a number that is none")
        return Reading(
            probability=float(chances[0]),
            interval=(min(each), max(each)),
            embedding=tuple(embedding[0].tolist()),
            unfamiliarity=float(self.unfamiliarity(distances)[0]),
            heat_map=tuple(tuple(row) for row in heat.tolist()),
        )

    @torch.inference_mode()
    def scored(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, shape (n, members), and features, shape (n, members * widths[-1]).

        Each is the mean over an image and its mirror image; `images` is (n, 1, size, size) in 0..1.
        """
        ready = equalised(images).to(self.device)
        both = torch.cat([ready, ready.flip(-1)])
        answers = [member(both) for member in self._members]
        logits = torch.stack([answer[0] for answer in answers], 1)
        features = torch.cat([answer[1] for answer in answers], 1)
        half = len(images)
        return ((logits[:half] + logits[half:]) / 2).cpu(), ((features[:half] + features[half:]) / 2).cpu()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities, shape (n,), of logits (n, members)."""
        calibration = self.sidecar.calibration
        return torch.sigmoid(logits.mean(1) * calibration.scale + calibration.offset)

    def embedded(self, features: Tensor) -> Tensor:
        """Embeddings, shape (n, d), of features (n, members * widths[-1])."""
        return projected(features, self._centre, self._axes)[0]

    def distances(self, images: Tensor, features: Tensor) -> Tensor:
        """Distances from the training images, shape (n, 4): as `Familiarity` names them."""
        inner = projected(features, self._centre, self._axes)[1]
        return torch.cat([inner, projected(pictured(images), *self._picture)[1]], 1)

    def unfamiliarity(self, distances: Tensor) -> Tensor:
        """The largest distance in units of its limit, shape (n,)."""
        known = self.sidecar.familiarity
        limits = [known.distance, known.residual, known.picture_distance, known.picture_residual]
        return (distances / torch.tensor(limits)).amax(1)

    def _heat_map(self, image: Tensor) -> Tensor:
        ready = equalised(image).to(self.device)
        maps = [grad_cam(member, ready) for member in self._members]
        mean = torch.stack([part / part.amax().clamp_min(1e-6) for part in maps]).mean(0)[None]
        fine = functional.interpolate(mean, size=(HEAT_MAP_SIDE, HEAT_MAP_SIDE), mode="bilinear", align_corners=False)
        return (fine[0, 0] / fine.amax().clamp_min(1e-6)).clamp(0.0, 1.0).cpu()


def projected(features: Tensor, centre: Tensor, axes: Tensor) -> tuple[Tensor, Tensor]:
    """Project features (n, f) on whitening axes (f, d); distances are root mean squares.

    The off-projection distance is of what the axes cannot express.
    """
    moved = features - centre
    embedding = moved @ axes
    back = embedding @ torch.linalg.pinv(axes)
    off = (moved - back).square().mean(1).sqrt()
    return embedding, torch.stack([embedding.square().mean(1).sqrt(), off], 1)


def pictured(images: Tensor) -> Tensor:
    """What a picture looks like from afar: equalised and coarse, shape (n, side * side)."""
    side = (_PICTURE_SIDE, _PICTURE_SIDE)
    return functional.interpolate(equalised(images), size=side, mode="bilinear", antialias=True).flatten(1)


def chosen_device(name: str) -> torch.device:
    """``"auto"`` is CUDA where there is one, else the CPU.

    Raises
    ------
    ConfigError
        When torch does not know the device.
    """
    try:
        return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    except RuntimeError:
        raise ConfigError(f"there is no device {name!r}; known are auto, cpu, cuda, cuda:0") from None


def _member(architecture: Architecture, tensors: Mapping[str, Tensor], number: int) -> PneumoniaNet:
    prefix = f"{number}."
    network = PneumoniaNet(architecture)
    network.load_state_dict(
        {name.removeprefix(prefix): value.float() for name, value in tensors.items() if name.startswith(prefix)}
    )
    network.requires_grad_(requires_grad=False).eval()
    return network
