-- OverLoCK: overview first, look closely next (Lou and Yu, arXiv:2502.20087).                           maps: b c h w
local part = require "parts/overlock"
local o = settings({
  xt = { depth = { 2, 2, 3, 2 },  sub_depth = { 6, 2 },  embed_dim = { 56, 112, 256, 336 }, sub_num_heads = { 4, 6 },
    crop_pct = 0.925 },
  t  = { depth = { 4, 4, 6, 2 },  sub_depth = { 12, 2 }, embed_dim = { 64, 128, 256, 512 }, sub_num_heads = { 4, 8 } },
  s  = { depth = { 6, 6, 8, 3 },  sub_depth = { 16, 3 }, embed_dim = { 64, 128, 320, 512 }, sub_num_heads = { 8, 16 } },
  b  = { depth = { 8, 8, 10, 4 }, sub_depth = { 20, 4 }, embed_dim = { 80, 160, 384, 576 }, sub_num_heads = { 6, 9 },
    crop_pct = 0.975 },
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, kernel_size = { 17, 15, 13, 7 }, mlp_ratio = { 4, 4, 4, 4 },
  sub_mlp_ratio = { 3, 3 }, ls = { false, false, true, true }, smk_size = 5, projection = 1024, deploy = false,
  norm_eps = 1e-6, bn_eps = 1e-5, crop_pct = 0.95,
})

local function conv_bn(x, name, at, out, stride) -- 3x3, batch norm
  x = conv2d(x, ("%s.%d"):format(name, at), { out = out, kernel = 3, stride = stride, bias = false })
  return batch_norm(x, ("%s.%d"):format(name, at + 1), o.bn_eps):store()
end
local function level(x, i) -- base and overview
  for j = 1, o.depth[i] do
    x = part.rep_conv(x, ("blocks%d.%d"):format(i, j - 1), { kernel = o.kernel_size[i], mlp_ratio = o.mlp_ratio[i],
      ls = o.ls[i], eps = o.norm_eps, bn_eps = o.bn_eps, deploy = o.deploy })
  end
  return x
end
local function look(x, context, long, i) -- focus
  for j = 1, o.sub_depth[i] do
    x, context = part.focus(x, context, long, ("sub_blocks%d.%d"):format(i + 2, j - 1), { kernel = o.kernel_size[i + 2],
      small = o.smk_size, heads = o.sub_num_heads[i], mlp_ratio = o.sub_mlp_ratio[i], first = i == 1 and j == 1,
      eps = o.norm_eps, bn_eps = o.bn_eps, deploy = o.deploy })
  end
  return x, context
end

local input, dims = picture(o), o.embed_dim
local n, sub = levels(o, "depth embed_dim kernel_size mlp_ratio ls"), levels(o, "sub_depth sub_num_heads sub_mlp_ratio")
if n ~= 4 or sub ~= 2 then
  error "the base has two levels, overview and focus have one on each of the last two: four levels in all"
end
local x = input
for i = 0, 3 do
  x = conv_bn(x, "patch_embed1", 3 * i, i < 2 and dims[1] // 2 or dims[1], i % 2 == 0 and 2 or 1)
  if i < 3 then x = gelu(x):store() end
end
x = level(x, 1)
x = level(conv_bn(x, "patch_embed2", 0, dims[2], 2), 2)
x = level(conv_bn(x, "patch_embed3", 0, dims[3], 2), 3)
local overview = level(conv_bn(x, "patch_embed4", 0, dims[4], 2), 4)
local long = linear(overview, "high_level_proj", "c=" .. dims[4] // 4, { ones = 2 }):store()
local fine = resize(long, ("h=%d w=%d"):format(x.h, x.w)):store()
local context
x, context = look(x, fine, fine, 1)
x = conv_bn(x, "patch_embedx.x_proj", 0, dims[4], 2)
context = conv_bn(context, "patch_embedx.h_proj", 0, dims[4] // 4, 2)
x, context = look(x, context, long, 2)
x = linear(concat("c", { x, context }), "head.0", "c=" .. o.projection, { bias = false, ones = 2 })
local f = silu(batch_norm(x, "head.1", o.bn_eps)):mean"h w"
o.preprocess = { crop_pct = o.crop_pct }
answer(input, linear(f, "head.4", "c=" .. o.num_classes, { ones = 2 }), f, o)
