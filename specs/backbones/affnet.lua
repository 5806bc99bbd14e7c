-- AFFNet: adaptive frequency filters (Huang et al., arXiv:2307.14008), swish and GroupNorm(1).          maps: b c h w
-- The published recipe is not in its repository; the pictures are those of the recipe that the library it uses has for
-- MobileViT, which this net alters: 0 to 1, not normalised, bilinear.
local part = require "parts/affnet"
local o = settings({
  xx_small = { mv_expand_ratio = 2, layer1_layer2 = { 32, 48 }, aff_dims = { 64, 104, 144 } },
  x_small  = { mv_expand_ratio = 4, layer1_layer2 = { 32, 48 }, aff_dims = { 96, 160, 192 } },
  small    = { mv_expand_ratio = 4, layer1_layer2 = { 32, 64 }, aff_dims = { 128, 256, 320 } },
}, {
  img_size = 256, in_chans = 3, num_classes = 1000, stem = 16, mv2_blocks = { 1, 3 }, transformer_blocks = { 2, 4, 3 },
  ffn_multiplier = 2, num_blocks = 8, sparsity_threshold = 0.01, last_channels = 960, bn_eps = 1e-5, gn_eps = 1e-5,
})

local input = picture(o)
levels(o, "layer1_layer2 mv2_blocks")
levels(o, "aff_dims transformer_blocks")
local function conv_bn(x, name, more) return part.conv_bn(x, name, o.bn_eps, more) end
local function mbconv(x, name, out, stride)
  local hidden = math.max(8, math.floor(x.c * o.mv_expand_ratio + 4) // 8 * 8)
  return part.mbconv(x, name .. ".block", o.bn_eps, { hidden = hidden, out = out, stride = stride })
end
-- mixers, joined with what came in
local function aff(x, name, n)
  local y = x
  for j = 0, n - 1 do
    y = part.mixer(y, ("%s.global_rep.%d"):format(name, j), { hidden = x.c * o.ffn_multiplier, blocks = o.num_blocks,
      threshold = o.sparsity_threshold, eps = o.gn_eps, bn_eps = o.bn_eps })
  end
  y = group_norm(y, ("%s.global_rep.%d"):format(name, n), o.gn_eps, 1):store()
  y = conv_bn(y, name .. ".conv_proj", { out = x.c })
  return silu(conv_bn(concat("c", { x, y }), name .. ".fusion", { out = x.c })):store()
end

local x = silu(conv_bn(input, "conv_1", { out = o.stem, kernel = 3, stride = 2 })):store()
for i, out in ipairs(o.layer1_layer2) do
  for j = 1, o.mv2_blocks[i] do x = mbconv(x, ("layer_%d.%d"):format(i, j - 1), out, i > 1 and j == 1 and 2 or 1) end
end
for i, out in ipairs(o.aff_dims) do
  local name = "layer_" .. #o.layer1_layer2 + i
  x = aff(mbconv(x, name .. ".0", out, 2), name .. ".1", o.transformer_blocks[i])
end
x = silu(conv_bn(x, "conv_1x1_exp", { out = math.min(4 * x.c, o.last_channels) }))
o.preprocess = { crop_pct = 256 / 288, mean = { 0.0, 0.0, 0.0 }, std = { 1.0, 1.0, 1.0 }, interpolation = "bilinear" }
classify(input, x:mean"h w", "classifier.fc", o)
