"""Faster R-CNN (Ren et al. 2015) on a feature pyramid (Lin et al. 2017) over MobileNet-v2, all categories jointly.

Shapes in this module:
    H, W  height and width of the resized photo, its longest side SIDE
    D  detections
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from attributes.vocabulary import Vocabulary
from recognition.backbones import MobileNetV2

SIDE = 384  # longest side that the detector sees, pixels
N_PYRAMID = 128  # channels of every level
N_HIDDEN = 512  # units of the box head
# Sides of the anchors per stride, pixels: a shoe of a full-length street photo is about 25, a coat 200 at SIDE 384.
ANCHORS = {8: (16, 24, 36), 16: (48, 64, 84), 32: (112, 160, 240)}
RATIOS = (0.5, 1.0, 2.0)  # height to width


class Pyramid(nn.Module):
    """MobileNet-v2's maps of strides 8, 16 and 32 as a pyramid of equal channels."""

    out_channels = N_PYRAMID

    def __init__(self, start: Path | None) -> None:
        super().__init__()
        self.encoder = MobileNetV2(start)
        self.pyramid = FeaturePyramidNetwork([32, 96, 1280], N_PYRAMID)

    def forward(self, photos: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [-1, 1] to three maps of N_PYRAMID channels."""
        named = OrderedDict(zip(("8", "16", "32"), self.encoder.levels(photos), strict=True))
        maps: dict[str, Tensor] = self.pyramid(named)
        return maps


class BoxPredictor(nn.Module):
    """Class scores and box corrections of a region; class 0 is background, class i + 1 category i."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(N_HIDDEN, n_classes)
        self.bbox_pred = nn.Linear(N_HIDDEN, n_classes * 4)

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """(R, N_HIDDEN) to (R, n_classes) and (R, 4 n_classes)."""
        return self.cls_score(regions), self.bbox_pred(regions)


def make_faster_rcnn(vocabulary: Vocabulary, start: Path | None = None) -> FasterRCNN:
    """Return the detector, its encoder from `start`. It takes photos in [0, 1] already resized to SIDE."""
    n_classes = len(vocabulary.categories) + 1
    return FasterRCNN(
        Pyramid(start),
        min_size=SIDE,
        max_size=SIDE,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        rpn_anchor_generator=AnchorGenerator(tuple(ANCHORS.values()), (RATIOS,) * len(ANCHORS)),
        rpn_pre_nms_top_n_train=600,
        rpn_post_nms_top_n_train=400,
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_test=150,
        rpn_batch_size_per_image=128,
        box_roi_pool=MultiScaleRoIAlign(["8", "16", "32"], 7, 2),
        box_head=TwoMLPHead(N_PYRAMID * 7 * 7, N_HIDDEN),
        box_predictor=BoxPredictor(n_classes),
        box_score_thresh=0.01,
        box_batch_size_per_image=128,
        box_detections_per_img=100,
        _skip_resize=True,
    )


class ExportedDetector(nn.Module):
    """What is exported: one photo in, boxes, classes and scores out."""

    def __init__(self, detector: FasterRCNN) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """photo: (3, H, W) in [0, 1].  Returns boxes (D, 4), classes (D,) from 1, scores (D,), best first."""
        found = self.detector([photo])[0]
        return found["boxes"], found["labels"], torch.as_tensor(found["scores"])
