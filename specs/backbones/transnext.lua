-- TransNeXt (Shi, arXiv:2311.17132).                                                                    maps: b h w c
local part = require "parts/transnext"
local function net(width, depths, more)
  return with({ embed_dims = { width, 2 * width, 4 * width, 8 * width }, depths = depths }, more)
end
local o = settings({
  micro = net(48, { 2, 2, 15, 2 }),
  tiny  = net(72, { 2, 2, 15, 2 }),
  small = net(72, { 5, 5, 22, 5 }),
  base  = net(96, { 5, 5, 23, 5 }),
  micro_aaaa = net(48, { 2, 2, 15, 2 }, { img_size = 256, sr_ratios = { 16, 8, 4, 2 } }),
}, {
  img_size = 224, pretrain_size = false, in_chans = 3, num_classes = 1000, head_dim = 24, window_size = 3,
  mlp_ratios = { 8, 8, 4, 4 }, sr_ratios = { 8, 4, 2, 1 }, fixed_pool_size = false, qkv_bias = true, cpb_hidden = 512,
  norm_eps = 1e-6, patch_norm_eps = 1e-5, pool_norm_eps = 1e-5, l2_eps = 1e-12,
})

-- The pooled map has 1 / sr_ratio of each level's extent, or fixed_pool_size. Offsets are measured on the grid of
-- pretraining: pretrain_size, else the picture.
local input, n = picture(o), levels(o, "embed_dims depths mlp_ratios sr_ratios")
local x = input
for i = 1, n do
  local name = "patch_embed" .. i
  x = conv2d(x, name .. ".proj", { out = o.embed_dims[i], kernel = i == 1 and 7 or 3, stride = i == 1 and 4 or 2 })
  x = layer_norm(x, name .. ".norm", o.patch_norm_eps):store()
  local sr, pool, pre = o.sr_ratios[i], o.fixed_pool_size, o.pretrain_size
  pre = { pre or input.h, pre or input.w }
  if sr > 1 and not pool then pool = { math.max(x.h // sr, 1), math.max(x.w // sr, 1) } end
  if type(pool) == "number" then pool = { pool, pool } end
  for j = 1, o.depths[i] do
    x = part.block(x, ("block%d.%d"):format(i, j - 1), { heads = x.c // o.head_dim, window = o.window_size,
      pool = sr > 1 and pool, grid = { pre[1] // (2 << i), pre[2] // (2 << i) }, cpb_hidden = o.cpb_hidden,
      qkv_bias = o.qkv_bias, mlp_ratio = o.mlp_ratios[i], eps = o.norm_eps, pool_eps = o.pool_norm_eps,
      l2_eps = o.l2_eps })
  end
  x = layer_norm(x, "norm" .. i, o.norm_eps):store()
end
classify(input, x:mean "h w", "head", o)
