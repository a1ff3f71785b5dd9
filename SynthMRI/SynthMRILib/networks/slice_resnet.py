"""A residual network for slices whose weights a user brings: ResNet-18, -34, -50 or -101 without its classifier.

After He et al. 2016. Names and shapes of the weights are those in which such networks are passed on (conv1, bn1,
layer1.0.conv1, ...), so that a safetensors file of one trained on ImageNet or on radiological images can be used as it
is; SynthMRI brings none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Blocks in each of the four stages, and whether they are bottlenecks.
DEPTHS = {18: ((2, 2, 2, 2), False), 34: ((3, 4, 6, 3), False), 50: ((3, 4, 6, 3), True), 101: ((3, 4, 23, 3), True)}
WIDTHS = (64, 128, 256, 512)
#: Mean and deviation of the color channels that such networks were trained with.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALLEST = 32


class Block(nn.Module):
    """Two convolutions (basic) or three (bottleneck) with a skip around them."""

    def __init__(self, inputs: int, width: int, *, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = width * (4 if bottleneck else 1)
        shapes = [(1, 1, 0), (3, stride, 1), (1, 1, 0)] if bottleneck else [(3, stride, 1), (3, 1, 1)]
        self.count = len(shapes)
        for number, (kernel, step, padding) in enumerate(shapes, start=1):
            a = inputs if number == 1 else width
            b = outputs if number == self.count else width
            setattr(self, f"conv{number}", nn.Conv2d(a, b, kernel, stride=step, padding=padding, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(b))
        self.downsample = None
        if stride > 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = y if number == self.count else torch.relu(y)
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class SliceResNet(nn.Module):
    """Maps slices (n, 1, slices, rows, columns) to features (n, slices, 512 or 2048).

    Args:
        depth: 18, 34, 50 or 101.
    """

    def __init__(self, *, depth: int = 50) -> None:
        super().__init__()
        blocks, bottleneck = DEPTHS[depth]
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = WIDTHS[0]
        for stage, (count, width) in enumerate(zip(blocks, WIDTHS), start=1):
            layers = []
            for number in range(count):
                stride = 2 if number == 0 and stage > 1 else 1
                layers.append(Block(inputs, width, stride=stride, bottleneck=bottleneck))
                inputs = width * (4 if bottleneck else 1)
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.size = inputs
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n, _, slices, rows, columns = x.shape
        gray = x.transpose(1, 2).reshape(n * slices, 1, rows, columns).clamp(0, 1)
        y = (gray.expand(-1, 3, -1, -1) - self.mean) / self.deviation
        y = self.pool(torch.relu(self.bn1(self.conv1(y))))
        for stage in (1, 2, 3, 4):
            y = getattr(self, f"layer{stage}")(y)
        return y.mean(dim=(2, 3)).reshape(n, slices, -1)
