-- HAT: hybrid attention transformer (Chen et al., arXiv:2205.04437): a picture, enlarged.               maps: b h w c
local part = require "parts/hat"
local function net(scale, width, compress, squeeze, groups)
  local r = { upscale = scale, embed_dim = width, compress_ratio = compress, squeeze_factor = squeeze, depths = {},
    num_heads = {} }
  for i = 1, groups do r.depths[i], r.num_heads[i] = 6, 6 end
  return r
end
local variants = {}
for scale = 2, 4 do
  variants["s_x" .. scale] = net(scale, 144, 24, 24, 6)
  variants["x" .. scale]   = net(scale, 180, 3, 30, 6)
  variants["l_x" .. scale] = net(scale, 180, 3, 30, 12)
end
local o = settings(variants, {
  img_size = 64, in_chans = 3, window_size = 16, conv_scale = 0.01, overlap_ratio = 0.5, mlp_ratio = 2,
  qkv_bias = true, qk_scale = false, patch_norm = true, img_range = 1.0, num_feat = 64, mask_value = -100.0, eps = 1e-5,
  lrelu_slope = 0.01, tile = 0, tile_pad = 32, -- tiles of pictures: 0 is the whole; published: 256 or 512
})

local input, n, M, c = picture(o), levels(o, "depths num_heads"), o.window_size, o.embed_dim
local H, W, S = input.h, input.w, o.upscale
local function shuffle(x, r) -- pixel shuffle: channels become r x r positions
  x = conv2d(x, ("upsample.%d"):format(r.at), { out = r.by * r.by * o.num_feat, kernel = 3 })
  return x:split("c = c dy dx", { dy = r.by, dx = r.by }):merge"h = h dy, w = w dx":store()
end

-- the border is reflected up to whole windows; what it adds is cut from the answer
fitting(input, ("the reflection that fills windows of %d needs a longer side"):format(M),
  function(m) return -m % M < m end)
local x = input
if H % M + W % M > 0 then x = x:pad{ h = {0, -H % M}, w = {0, -W % M}, border = "reflect" } end
local mean = o.in_chans == 3 and const("c=3", { 0.4488, 0.4371, 0.4040 }) or 0.0
local first = conv2d((x - mean) * o.img_range, "conv_first", { out = c, kernel = 3 }):store()
x = o.patch_norm and layer_norm(first, "patch_embed.norm", o.eps):store() or first
for i = 1, n do
  local name, y = ("layers.%d"):format(i - 1), x
  local p = { heads = o.num_heads[i], window = M, overlap = math.floor(M * o.overlap_ratio) + M,
    mlp_ratio = o.mlp_ratio, eps = o.eps, qkv_bias = o.qkv_bias, scale = o.qk_scale or nil, mask = o.mask_value,
    conv_scale = o.conv_scale, compress = o.compress_ratio, squeeze = o.squeeze_factor }
  for j = 1, o.depths[i] do
    p.shift = j % 2 == 0 and M // 2 or 0
    y = part.hybrid(y, ("%s.residual_group.blocks.%d"):format(name, j - 1), p)
  end
  y = part.cross(y, name .. ".residual_group.overlap_attn", p)
  x = (conv2d(y, name .. ".conv", { out = c, kernel = 3 }) + x):store()
end
x = conv2d(layer_norm(x, "norm", o.eps):store(), "conv_after_body", { out = c, kernel = 3 }) + first
x = conv2d(x:store(), "conv_before_upsample.0", { out = o.num_feat, kernel = 3 })
x = leaky_relu(x, o.lrelu_slope):store()
if S == 3 then x = shuffle(x, { at = 0, by = 3 })
elseif S == 2 or S == 4 then
  x = shuffle(x, { at = 0, by = 2 })
  if S == 4 then x = shuffle(x, { at = 2, by = 2 }) end
else error(("upscale is 2, 3 or 4, not %d"):format(S)) end
x = conv2d(x, "conv_last", { out = o.in_chans, kernel = 3 }) / o.img_range + mean
preprocess{ size = { H, W }, mean = { 0.0, 0.0, 0.0 }, std = { 1.0, 1.0, 1.0 }, crop_pct = 1.0,
  interpolation = "bicubic", fit = "own", answer = "output", tile = { size = o.tile, pad = o.tile_pad, multiple = M } }
output("output", x:slice{ h = {0, H * S}, w = {0, W * S} }, "b c h w")
