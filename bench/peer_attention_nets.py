"""ViT-B/16, Swin-T and NAT-Mini in plain torch.nn, for 224 x 224 pictures and 1000 classes.

Written from their formulas as fast as eager PyTorch allows (fused attention, biases and masks gathered beforehand).
Parameter names are those of the published checkpoints; call `prepare` once the weights are there.
"""
import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 1000


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


def split_heads(qkv, heads: int):
    """[B, N, 3C] -> q, k, v, each [B, heads, N, C / heads]."""
    batch, count, width = qkv.shape
    return qkv.reshape(batch, count, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4).unbind(0)


def join_heads(x):
    """[B, heads, N, d] -> [B, N, heads * d]."""
    return x.transpose(1, 2).flatten(2)


# --- ViT-B/16 ---------------------------------------------------------------------------------------------------------

class Attention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = split_heads(self.qkv(x), self.heads)
        return self.proj(join_heads(F.scaled_dot_product_attention(q, k, v)))


class VitBlock(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, 4 * dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """[B, 3, H, W] -> [B, H / size, W / size, dim], with LayerNorm if `norm`."""

    def __init__(self, size: int, dim: int, norm: bool):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, size, size)
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()

    def forward(self, x):
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class Vit(nn.Module):
    def __init__(self, dim=768, heads=12, depth=12, patch=16):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + (224 // patch) ** 2, dim) * 0.02)
        self.patch_embed = PatchEmbed(patch, dim, norm=False)
        self.blocks = nn.Sequential(*(VitBlock(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, CLASSES)

    def forward(self, x):
        x = self.patch_embed(x).flatten(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


# --- Swin-T -----------------------------------------------------------------------------------------------------------

def relative_index(window: int):
    """[window^2, window^2] indices into a (2 window - 1)^2 table, by query - key."""
    at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"), -1).reshape(-1, 2)
    apart = at[:, None] - at[None] + window - 1
    return apart[..., 0] * (2 * window - 1) + apart[..., 1]


def shift_mask(side: int, window: int, shift: int):
    """[windows, window^2, window^2]: -100 between pixels that the roll brought together from different regions."""
    edge = torch.zeros(side, dtype=torch.long)
    edge[side - window : side - shift] = 1
    edge[side - shift :] = 2
    n = side // window
    region = (edge[:, None] * 3 + edge).reshape(n, window, n, window).transpose(1, 2).reshape(n * n, window**2)
    return (region[:, :, None] != region[:, None]).float() * -100


class WindowAttention(nn.Module):
    def __init__(self, dim: int, heads: int, side: int, window: int, shift: int):
        super().__init__()
        self.heads, self.side, self.window, self.shift = heads, side, window, shift
        self.relative_position_bias_table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads) * 0.02)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.register_buffer("bias", None, persistent=False)

    def prepare(self):
        size = self.window**2
        bias = self.relative_position_bias_table.detach()[relative_index(self.window).reshape(-1)]
        self.bias = bias.reshape(size, size, self.heads).permute(2, 0, 1)[None].contiguous()
        if self.shift:
            self.bias = self.bias + shift_mask(self.side, self.window, self.shift).to(self.bias.dtype)[:, None]

    def forward(self, x):
        batch, side, _, dim = x.shape
        n, w = side // self.window, self.window
        x = torch.roll(x, (-self.shift, -self.shift), (1, 2)) if self.shift else x
        x = x.reshape(batch, n, w, n, w, dim).transpose(2, 3).reshape(batch * n * n, w * w, dim)
        q, k, v = split_heads(self.qkv(x), self.heads)
        bias = self.bias.repeat(batch, 1, 1, 1) if self.shift and batch > 1 else self.bias
        x = self.proj(join_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=bias)))
        x = x.reshape(batch, n, n, w, w, dim).transpose(2, 3).reshape(batch, side, side, dim)
        return torch.roll(x, (self.shift, self.shift), (1, 2)) if self.shift else x


class SwinBlock(nn.Module):
    def __init__(self, dim, heads, side, window, shift):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, side, window, shift)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        batch, side, _, dim = x.shape
        x = x.reshape(batch, side // 2, 2, side // 2, 2, dim).permute(0, 1, 3, 4, 2, 5).flatten(3)
        return self.reduction(self.norm(x))


class SwinStage(nn.Module):
    def __init__(self, dim, heads, depth, side, window, merge):
        super().__init__()
        if merge:
            self.downsample = PatchMerging(dim // 2)
        self.merge = merge
        shift = window // 2 if side > window else 0
        self.blocks = nn.Sequential(
            *(SwinBlock(dim, heads, side, window, shift if i % 2 else 0) for i in range(depth))
        )

    def forward(self, x):
        return self.blocks(self.downsample(x) if self.merge else x)


class SwinHead(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.fc = nn.Linear(dim, CLASSES)

    def forward(self, x):
        return self.fc(x)


class Swin(nn.Module):
    def __init__(self, dim=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=7):
        super().__init__()
        self.patch_embed = PatchEmbed(4, dim, norm=True)
        self.layers = nn.Sequential(
            *(SwinStage(dim << i, heads[i], depths[i], 56 >> i, window, i > 0) for i in range(len(depths)))
        )
        self.norm = nn.LayerNorm(dim << (len(depths) - 1))
        self.head = SwinHead(dim << (len(depths) - 1))

    def forward(self, x):
        return self.head(self.norm(self.layers(self.patch_embed(x))).mean((1, 2)))


# --- NAT-Mini ---------------------------------------------------------------------------------------------------------

def neighborhood(side: int, window: int, tile: int):
    """Per axis, for queries in tiles of `tile`: keys [tiles, box] of a tile, and what they are to each of its queries.

    The box holds every window of the tile's queries.  The second table, [tiles, tile, box], is the relative index
    key - query + window - 1, or -1 where the key is outside the query's window.
    """
    box, start = min(tile + window - 1, side), torch.arange(0, side, tile)
    keys = (start - window // 2).clamp(0, side - box)[:, None] + torch.arange(box)
    query = torch.arange(side).reshape(-1, tile)
    first = (query - window // 2).clamp(0, side - window)[..., None]
    inside = (keys[:, None] >= first) & (keys[:, None] < first + window)
    return keys, torch.where(inside, keys[:, None] - query[..., None] + window - 1, -1)


class NeighborhoodAttention(nn.Module):
    """Dense attention of a tile of queries over the box of keys it can see, masked to each query's own window."""

    def __init__(self, dim: int, heads: int, side: int, window: int, tile: int):
        super().__init__()
        self.heads, self.side, self.window, self.tile = heads, side, window, tile
        self.rpb = nn.Parameter(torch.randn(heads, 2 * window - 1, 2 * window - 1) * 0.02)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        keys, _ = neighborhood(side, window, tile)
        flat = keys[:, None, :, None] * side + keys[None, :, None, :]
        self.register_buffer("keys", flat.reshape(-1), persistent=False)
        self.register_buffer("bias", None, persistent=False)

    def prepare(self):
        _, at = neighborhood(self.side, self.window, self.tile)
        n, tile, box = at.shape
        row, col = at[:, None, :, None, :, None], at[None, :, None, :, None, :]
        bias = self.rpb.detach()[:, row.clamp(min=0), col.clamp(min=0)]
        bias = bias.masked_fill((row < 0) | (col < 0), float("-inf"))
        self.bias = bias.reshape(self.heads, n * n, tile * tile, box * box).transpose(0, 1).contiguous()

    def forward(self, x):
        batch, side, _, dim = x.shape
        n, t = side // self.tile, self.tile
        head_dim = dim // self.heads
        qkv = self.qkv(x)
        q = qkv[..., :dim].reshape(batch, n, t, n, t, self.heads, head_dim)
        q = q.permute(0, 1, 3, 5, 2, 4, 6).reshape(batch * n * n, self.heads, t * t, head_dim)
        near = qkv[..., dim:].reshape(batch, side * side, 2 * dim).index_select(1, self.keys)
        near = near.reshape(batch * n * n, -1, 2, self.heads, head_dim)
        k, v = near.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.bias.repeat(batch, 1, 1, 1) if batch > 1 else self.bias
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out = out.reshape(batch, n, n, self.heads, t, t, head_dim).permute(0, 1, 4, 2, 5, 3, 6)
        return self.proj(out.reshape(batch, side, side, dim))


class NatBlock(nn.Module):
    def __init__(self, dim, heads, side, window):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = NeighborhoodAttention(dim, heads, side, window, tile=7)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 3 * dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class NatDownsample(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.reduction = nn.Conv2d(dim, 2 * dim, 3, 2, 1, bias=False)
        self.norm = nn.LayerNorm(2 * dim)

    def forward(self, x):
        return self.norm(self.reduction(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class NatStem(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.proj = nn.Sequential(nn.Conv2d(3, dim // 2, 3, 2, 1), nn.Conv2d(dim // 2, dim, 3, 2, 1))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class NatLevel(nn.Module):
    def __init__(self, dim, heads, depth, side, last):
        super().__init__()
        self.blocks = nn.Sequential(*(NatBlock(dim, heads, side, 7) for _ in range(depth)))
        self.downsample = nn.Sequential() if last else NatDownsample(dim)

    def forward(self, x):
        return self.downsample(self.blocks(x))


class Nat(nn.Module):
    def __init__(self, dim=64, depths=(3, 4, 6, 5), heads=(2, 4, 8, 16)):
        super().__init__()
        self.patch_embed = NatStem(dim)
        self.levels = nn.Sequential(
            *(NatLevel(dim << i, heads[i], depths[i], 56 >> i, i == len(depths) - 1) for i in range(len(depths)))
        )
        self.norm = nn.LayerNorm(dim << (len(depths) - 1))
        self.head = nn.Linear(dim << (len(depths) - 1), CLASSES)

    def forward(self, x):
        return self.head(self.norm(self.levels(self.patch_embed(x))).mean((1, 2)))


def prepare(model: nn.Module) -> nn.Module:
    """Gathers what depends on weights alone (biases with masks); returns the model, ready to run."""
    for part in model.modules():
        if isinstance(part, (WindowAttention, NeighborhoodAttention)):
            part.prepare()
    return model.eval()
