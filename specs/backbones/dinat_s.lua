-- DiNAT_s: dilated neighborhood attention in Swin's layout (Hassani and Shi, arXiv:2209.15001).       maps: b h w c
local nat = require "parts/nat"
local function net(width, heads, third, more)
  local r = with({ embed_dim = width, depths = { 2, 2, third, 2 },
    num_heads = { heads, 2 * heads, 4 * heads, 8 * heads } }, more)
  r.dilations = nat.alternate(r.depths, r.dilations or { 8, 4, 2, 1 })      -- window times dilation is the map of 224
  return r
end
local o = settings({
  tiny      = net(96, 3, 6),
  small     = net(96, 3, 18),
  base      = net(128, 4, 18),
  large     = net(192, 6, 18),
  large_384 = net(192, 6, 18, { img_size = 384, crop_pct = 1.0, dilations = { 13, 6, 3, 1 } }),
}, {
  img_size = 224, patch_size = 4, in_chans = 3, num_classes = 1000, kernel_size = 7, dilations = false, mlp_ratio = 4,
  qkv_bias = true, qk_scale = false, rel_pos_bias = true, patch_norm = true, norm_eps = 1e-5, crop_pct = 0.875,
})

local n = levels(o, "depths num_heads" .. (o.dilations and " dilations" or ""))
local input, P = picture(o), o.patch_size
nat.windows_fit(input, o, function(m) return (m + P - 1) // P end)
local x = input
if x.h % P + x.w % P > 0 then x = x:pad{ h = { 0, -x.h % P }, w = { 0, -x.w % P }, border = 0 } end
x = patch_embed(x, "patch_embed.proj", { patch = P, out = o.embed_dim })
if o.patch_norm then x = layer_norm(x, "patch_embed.norm", o.norm_eps) end
for i = 1, n do
  for j = 1, o.depths[i] do x = nat.layer(x, ("layers.%d.blocks.%d"):format(i - 1, j - 1), o, i, j) end
  if i < n then x = patch_merge(x, ("layers.%d.downsample"):format(i - 1), { eps = o.norm_eps }):store() end
end
o.preprocess = { crop_pct = o.crop_pct }
classify(input, layer_norm(x, "norm", o.norm_eps):mean "h w", "head", o)
