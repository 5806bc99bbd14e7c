"""The Dilated Neighborhood Attention Transformer (DiNAT) in PyTorch, written from its formulas.

Parameter names, stored shapes and their order are those of the published checkpoints.  Neighborhood attention is done
by gathering: for every query the w x w key positions are listed once per grid (`window`), so any grid with
w * dilation <= length is exact, borders included (the window shifts, nothing is padded).
"""
import torch
from torch import nn
from torch.nn import functional as F


def window(length: int, kernel: int, dilation: int):
    """Per axis: key positions [length, kernel] and relative bias indices [length, kernel] of every query.

    Query i belongs to dilation group g = i mod dilation, at coordinate i' = i // dilation of that group.  Its window
    starts at clamp(i' - kernel // 2, 0, group_length - kernel); the bias index is k' - q' + kernel - 1.
    """
    if kernel * dilation > length:
        raise ValueError(f"kernel {kernel} x dilation {dilation} exceeds the axis length {length}")
    keys, bias = [], []
    for i in range(length):
        group, at = i % dilation, i // dilation
        group_length = len(range(group, length, dilation))
        start = min(max(at - kernel // 2, 0), group_length - kernel)
        keys.append([(start + t) * dilation + group for t in range(kernel)])
        bias.append([start + t - at + kernel - 1 for t in range(kernel)])
    return torch.tensor(keys), torch.tensor(bias)


def window_2d(height: int, width: int, kernel: int, dilation: int):
    """Flat key positions [height * width, kernel^2] and flat indices into a (2 kernel - 1)^2 bias table, same shape."""
    rows, row_bias = window(height, kernel, dilation)
    cols, col_bias = window(width, kernel, dilation)
    shape = (height * width, kernel * kernel)
    keys = rows[:, None, :, None] * width + cols[None, :, None, :]
    bias = row_bias[:, None, :, None] * (2 * kernel - 1) + col_bias[None, :, None, :]
    return keys.reshape(shape), bias.reshape(shape)


class NeighborhoodAttention(nn.Module):
    """x [B, H, W, C] -> [B, H, W, C].  qkv rows are ordered q, k, v, each head-major; q is scaled, the bias is not."""

    def __init__(self, dim: int, heads: int, kernel: int, dilation: int):
        super().__init__()
        self.heads, self.kernel, self.dilation = heads, kernel, dilation
        self.rpb = nn.Parameter(torch.zeros(heads, 2 * kernel - 1, 2 * kernel - 1))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.windows = {}

    def window(self, height: int, width: int):
        if (height, width) not in self.windows:
            self.windows[height, width] = window_2d(height, width, self.kernel, self.dilation)
        return self.windows[height, width]

    def forward(self, x):
        batch, height, width, dim = x.shape
        keys, bias_at = self.window(height, width)
        positions, size = keys.shape
        head_dim = dim // self.heads
        # Positions first, so that a gathered neighbour is one contiguous run over batch, heads and channels.
        qkv = self.qkv(x.reshape(batch, positions, dim).transpose(0, 1))
        q, k, v = qkv.reshape(positions, batch, 3, self.heads, head_dim).unbind(2)
        q = q * head_dim**-0.5

        def gather(t):
            near = t.reshape(positions, batch * dim).index_select(0, keys.reshape(-1))
            return near.reshape(positions, size, batch, self.heads, head_dim)

        bias = self.rpb.reshape(self.heads, -1)[:, bias_at.reshape(-1)].reshape(self.heads, positions, size)
        scores = (q[:, None] * gather(k)).sum(-1) + bias.permute(1, 2, 0)[:, :, None]
        out = (scores.softmax(1)[..., None] * gather(v)).sum(1)
        return self.proj(out.reshape(positions, batch, dim).transpose(0, 1)).reshape(x.shape)


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, kernel: int, dilation: int, mlp_ratio: float, eps: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = NeighborhoodAttention(dim, heads, kernel, dilation)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def channels_last(conv, x):
    """Applies `conv` to x [B, H, W, C]."""
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Stem(nn.Module):
    """Two 3x3 convolutions of stride 2 with nothing between them, then LayerNorm: [B, 3, H, W] -> [B, H/4, W/4, C]."""

    def __init__(self, channels: int, dim: int, eps: float):
        super().__init__()
        self.proj = nn.Sequential(
            nn.Conv2d(channels, dim // 2, 3, 2, 1),
            nn.Conv2d(dim // 2, dim, 3, 2, 1),
        )
        self.norm = nn.LayerNorm(dim, eps=eps)

    def forward(self, x):
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class Downsample(nn.Module):
    """[B, H, W, C] -> [B, H/2, W/2, 2C]."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.reduction = nn.Conv2d(dim, 2 * dim, 3, 2, 1, bias=False)
        self.norm = nn.LayerNorm(2 * dim, eps=eps)

    def forward(self, x):
        return self.norm(channels_last(self.reduction, x))


class Level(nn.Module):
    def __init__(self, dim, heads, kernel, dilations, mlp_ratio, eps, last):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, kernel, d, mlp_ratio, eps) for d in dilations)
        self.downsample = nn.Identity() if last else Downsample(dim, eps)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.downsample(x)


class Dinat(nn.Module):
    """Takes a configuration with the published argument names; input [B, in_chans, H, W] -> logits [B, num_classes].

    Without layer scale, as the published Mini and Tiny: a configuration that asks for one is refused.
    """

    def __init__(self, config: dict):
        super().__init__()
        for name, only in (("layer_scale", None), ("qkv_bias", True), ("rel_pos_bias", True)):
            if config[name] != only:
                raise ValueError(f"{name} must be {only}")
        dim, eps, count = config["embed_dim"], config["norm_eps"], len(config["depths"])
        self.patch_embed = Stem(config["in_chans"], dim, eps)
        self.levels = nn.ModuleList()
        for i in range(count):
            dilations = config["dilations"][i]
            if len(dilations) != config["depths"][i]:
                raise ValueError(f"level {i}: {config['depths'][i]} blocks, {len(dilations)} dilations")
            self.levels.append(Level(dim << i, config["num_heads"][i], config["kernel_size"], dilations,
                                     config["mlp_ratio"], eps, i == count - 1))
        self.norm = nn.LayerNorm(dim << (count - 1), eps=eps)
        self.head = nn.Linear(dim << (count - 1), config["num_classes"])

    def forward(self, x):
        x = self.patch_embed(x)
        for level in self.levels:
            x = level(x)
        return self.head(self.norm(x).mean((1, 2)))
