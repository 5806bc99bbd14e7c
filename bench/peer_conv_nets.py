"""ResNet-50 and ConvNeXt-T in plain torch.nn, for 224 x 224 pictures and 1000 classes.

Written from their formulas; parameter names are those of the published checkpoints.
"""
import torch
from torch import nn
from torch.nn import functional as F

from peer_attention_nets import CLASSES, Mlp


class Bottleneck(nn.Module):
    """Version 1.5: the stride is on the 3x3 convolution."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = nn.Sequential()
        if stride > 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)).add_(self.downsample(x)), inplace=True)


class Resnet(nn.Module):
    def __init__(self, depths=(3, 4, 6, 3)):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        for i, depth in enumerate(depths):
            blocks = []
            for j in range(depth):
                blocks.append(Bottleneck(channels, 64 << i, 2 if i and not j else 1))
                channels = 256 << i
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of [B, C, H, W]."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))
        self.conv_dw = nn.Conv2d(dim, dim, 7, 1, 3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, 4 * dim)

    def forward(self, x):
        y = self.mlp(self.norm(self.conv_dw(x).permute(0, 2, 3, 1)))
        return x + (y * self.gamma).permute(0, 3, 1, 2)


class ConvNextStage(nn.Module):
    def __init__(self, dim: int, depth: int, first: bool):
        super().__init__()
        self.downsample = nn.Sequential()
        if not first:
            self.downsample = nn.Sequential(ChannelNorm(dim // 2, eps=1e-6), nn.Conv2d(dim // 2, dim, 2, 2))
        self.blocks = nn.Sequential(*(ConvNextBlock(dim) for _ in range(depth)))

    def forward(self, x):
        return self.blocks(self.downsample(x))


class ConvNextHead(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.fc = nn.Linear(dim, CLASSES)

    def forward(self, x):
        return self.fc(self.norm(x))


class ConvNext(nn.Module):
    def __init__(self, dim=96, depths=(3, 3, 9, 3)):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, dim, 4, 4), ChannelNorm(dim, eps=1e-6))
        self.stages = nn.Sequential(*(ConvNextStage(dim << i, n, i == 0) for i, n in enumerate(depths)))
        self.head = ConvNextHead(dim << (len(depths) - 1))

    def forward(self, x):
        return self.head(self.stages(self.stem(x)).mean((2, 3)))
