-- One head on a part of the channels; the rest goes past it (SHViT, Yun and Ro, arXiv:2401.16456).
-- As a spec: q, k: b n d; v: b n c; config: scale (d^-0.5)
-- require "attention/single_head": module(x, name, o)

-- x: b h w c; o: pdim (the channels that attend), qk_dim (16), gn_eps, bn_eps. The norm is one group's: its statistics
-- run over these channels and the whole map. name.pre_norm, name.qkv, name.proj.1
local function module(x, name, o)
  local p, d = o.pdim, o.qk_dim or 16
  local function product(x, name, out)
    return conv_bn(x, name, { out = out, kernel = 1, conv = "c", eps = o.bn_eps })
  end
  local y, rest = x:slices("c", p, x.c - p)
  y = layer_norm(y, name .. ".pre_norm", o.gn_eps, "c h w")
  local q, k, v = product(y, name .. ".qkv", 2 * d + p):slices("c", d, d, p)
  y = attend{ q = q:as"c=d", k = k:as"c=d", v = v, over = "h w", dot = "d" }
  return product(relu(concat("c", { y, rest })), name .. ".proj.1", x.c)
end

if ... then return { module = module } end
local q, k, v = input("q", "b n d"), input("k", "b n d"), input("v", "b n c")
output("o", attend{ q = q, k = k, v = v, over = "n", dot = "d", scale = config.scale or q.d^-0.5 }, "b n c")
