-- CAS-ViT (Zhang et al., arXiv:2408.03703), the published parameter names. t is the largest.             maps: b h w c
local part = require "parts/cas-vit"
local function net(layers, dims) return { layers = layers, embed_dims = dims } end
local o = settings({
  xs = net({ 2, 2, 4, 2 }, { 48, 56, 112, 220 }),
  s  = net({ 3, 3, 6, 3 }, { 48, 64, 128, 256 }),
  m  = net({ 3, 3, 6, 3 }, { 64, 96, 192, 384 }),
  t  = net({ 3, 3, 6, 3 }, { 96, 128, 256, 512 }),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, mlp_ratios = 4, attn_bias = false, distillation = true,
  bn_eps = 1e-5,
})

local input, n = picture(o), levels(o, "layers embed_dims")
local x = input
for i = 0, 1 do                                          -- to half the width, then to the width
  x = conv2d(x, "patch_embed." .. 3 * i, { out = o.embed_dims[1] >> 1 - i, kernel = 3, stride = 2 })
  x = relu(batch_norm(x, "patch_embed." .. 3 * i + 1, o.bn_eps)):store()
end
for i = 1, n do                                          -- a reduction counts as a module of the published list
  local down = "network." .. 2 * i - 3
  if i > 1 then
    x = conv2d(x, down .. ".proj", { out = o.embed_dims[i], kernel = 3, stride = 2 })
    x = batch_norm(x, down .. ".norm", o.bn_eps):store()
  end
  for j = 1, o.layers[i] do
    x = part.block(x, ("network.%d.%d"):format(2 * i - 2, j - 1), { mlp_ratio = o.mlp_ratios, attn_bias = o.attn_bias,
      bn_eps = o.bn_eps })
  end
end
local f = batch_norm(x, "norm", o.bn_eps):mean"h w"
local y = linear(f, "head", "c=" .. o.num_classes)
if o.distillation then y = (y + linear(f, "dist_head", "c=" .. o.num_classes)) / 2 end
answer(input, y, f, o)
