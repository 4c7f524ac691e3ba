# SPDX-License-Identifier: MIT
"""What a training began from: weights that others trained before it, on images that no erasure here reaches."""

from __future__ import annotations

from collections.abc import Iterator

from fedlethe.closed_form.features import BackboneFeatures, TorchScriptFeatures
from fedlethe.closed_form.joined import Joined
from fedlethe.closed_form.lite_features import LiteFeatures
from fedlethe.config import RunConfig
from fedlethe.models.efficientnet_lite0 import TRAINED_ON, EfficientNetLite0
from fedlethe.models.given import GivenModel
from fedlethe.models.resnet import ResNet18, ResNet50
from fedlethe.outside.deferred import FromOutside

ANEW = "no weights that were trained before"
CAUTION = (
    "images of the erased may have been among those that such weights were trained on; that was not looked at, and "
    "nothing of it is taken out here"
)


def began_from(config: RunConfig) -> str:
    """What a run's network and features began from, in words, with the caution that belongs to it.

    Weights of an earlier run of fedlethe are not meant: its erasures are on record.
    """
    found = [words for part in (config.model, config.learning.features) for words in _of(part)]
    return ANEW if not found else f"{'; '.join(found)}; {CAUTION}"


def _of(part: object) -> Iterator[str]:
    match part:
        case Joined():
            for one in part.parts.values():
                yield from _of(one)
        case LiteFeatures() | EfficientNetLite0(pretrained=True):
            yield f"efficientnet-lite0 with weights that were trained on {TRAINED_ON}"
        case BackboneFeatures() | TorchScriptFeatures():
            yield f"the file of weights {part.weights.name}, of which it is not known here what they were trained on"
        case ResNet18() | ResNet50() if part.weights is not None:
            yield f"the file of weights {part.weights.name}, of which it is not known here what they were trained on"
        case GivenModel():
            yield "the weights of the network that a Python program handed over, which may have been trained before"
        case _ if isinstance(part, FromOutside):
            yield f"{part.outside.where}, which may bring weights that were trained before"
