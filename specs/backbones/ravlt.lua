-- RAVLT (Fan et al., arXiv:2411.07635): linear attention on the first two levels, softmax on the others. maps: b h w c
local part = require "parts/ravlt"
local o = settings({
  t = { embed_dims = { 64, 128, 256, 512 }, depths = { 2, 2, 6, 2 },  num_heads = { 1, 2, 4, 8 } },
  s = { embed_dims = { 64, 128, 320, 512 }, depths = { 3, 5, 9, 3 },  num_heads = { 1, 2, 5, 8 } },
  b = { embed_dims = { 96, 192, 384, 512 }, depths = { 4, 6, 12, 6 }, num_heads = { 1, 2, 6, 8 } },
  l = { embed_dims = { 96, 192, 448, 640 }, depths = { 4, 7, 19, 8 }, num_heads = { 1, 2, 7, 10 } },
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, mlp_ratios = { 3.5, 3.5, 3.5, 3.5 },
  flagss = { "l", "l", "v", "v" }, layerscales = { true, true, true, true }, projection = 1024, rope_base = 10000,
  eps = 1e-6, bn_eps = 1e-5,
})
local forms = { l = "linear", v = "softmax" }

local function conv_bn(x, conv, bn, out, stride)
  return batch_norm(conv2d(x, conv, { out = out, kernel = 3, stride = stride }), bn, o.bn_eps)
end

local input, n = picture(o), levels(o, "embed_dims depths num_heads mlp_ratios flagss layerscales")
local x = input
for i = 0, 3 do                                          -- 3x3 convolutions, GELU between
  local width = i < 3 and o.embed_dims[1] // 2 or o.embed_dims[1]
  local at = "patch_embed.proj."
  x = conv_bn(x, at .. 3 * i, at .. 3 * i + 1, width, i % 3 == 0 and 2 or 1)
  x = (i < 3 and gelu(x) or x):store()
end
for i = 1, n do
  local name = "layers." .. i - 1
  local form = forms[o.flagss[i]]
  if not form then error(("flagss[%d] is 'l' (linear) or 'v' (softmax), not '%s'"):format(i - 1, o.flagss[i])) end
  for j = 1, o.depths[i] do
    x = part.block(x, ("%s.blocks.%d"):format(name, j - 1), { heads = o.num_heads[i], form = form, base = o.rope_base,
      hidden = math.floor(x.c * o.mlp_ratios[i]), layerscale = o.layerscales[i], eps = o.eps })
  end
  if i < n then
    x = conv_bn(x, name .. ".downsample.reduction", name .. ".downsample.norm", o.embed_dims[i + 1], 2):store()
  end
end
x = silu(batch_norm(linear(x, "proj", "c=" .. o.projection, { ones = 2 }), "norm", o.bn_eps))
local f = x:mean"h w"
answer(input, linear(f, "head", "c=" .. o.num_classes, { ones = 2 }), f, o)
