-- CrossViT (Chen et al., arXiv:2103.14899), the published parameter names. The picture has the first of the two sizes;
-- the second branch gets it resized, bicubic, without antialias.                                       branches: b n c
local part = require "parts/crossvit"
local function net(width, heads, deep, ratio, more)
  return with({ embed_dim = { width, 2 * width }, num_heads = { heads, heads }, mlp_ratio = { ratio, ratio, 1 },
    depth = { { 1, deep, 0 }, { 1, deep, 0 }, { 1, deep, 0 } }, img_size = { 240, 224 },
    multi_conv = more ~= nil }, more)
end
local large = { img_size = { 408, 384 }, crop_pct = 1.0 }
local o = settings({
  tiny_224  = net(96, 3, 4, 4),
  small_224 = net(192, 6, 4, 4),
  base_224  = net(384, 12, 4, 4),
  ["9_224"]  = net(128, 4, 3, 3),
  ["15_224"] = net(192, 6, 5, 3),
  ["18_224"] = net(224, 7, 6, 3),
  ["9_dagger_224"]  = net(128, 4, 3, 3, {}),
  ["15_dagger_224"] = net(192, 6, 5, 3, {}),
  ["15_dagger_384"] = net(192, 6, 5, 3, large),
  ["18_dagger_224"] = net(224, 7, 6, 3, {}),
  ["18_dagger_384"] = net(224, 7, 6, 3, large),
}, {
  patch_size = { 12, 16 }, in_chans = 3, num_classes = 1000, qkv_bias = true, qk_scale = false, eps = 1e-6,
  crop_pct = 0.875,
})

-- the patches of branch i: one convolution, or (dagger) three with relu between
local strides = { [12] = { 4, 3, 1 }, [16] = { 4, 2, 2 } }
local function patches(x, i)
  local name, P, c = "patch_embed." .. i - 1 .. ".proj", o.patch_size[i], o.embed_dim[i]
  if not o.multi_conv then return patch_embed(x, name, { patch = P, out = c }) end
  local s = strides[P] or error(("multi_conv makes patches of 12 or 16, not %d"):format(P))
  x = relu(conv2d(x, name .. ".0", { out = c // 4, kernel = 7, stride = s[1] })):store()
  x = relu(conv2d(x, name .. ".2", { out = c // 2, kernel = 3, stride = s[2], pad = P == 12 and 0 or 1 })):store()
  return conv2d(x, name .. ".4", { out = c, kernel = 3, stride = s[3] })
end

local n = levels(o, "img_size patch_size embed_dim num_heads")
if n ~= 2 then error "img_size, patch_size, embed_dim, num_heads: two branches" end
for i = 1, n do
  if o.img_size[i] % o.patch_size[i] > 0 then
    local S, P = o.img_size[i], o.patch_size[i]
    error(("img_size[%d] %d is no multiple of patch_size %d; the nearest: %d and %d"):format(i - 1, S, P,
      math.max(S // P, 1) * P, (math.max(S // P, 1) + 1) * P))
  end
end
local input, x = picture{ in_chans = o.in_chans, img_size = o.img_size[1], fixed = true }, {}
for i, S in ipairs(o.img_size) do
  local y = S ~= input.h and cubic(input, "h w", { h = S, w = S }) or input
  y = patches(y, i):merge"n = h w"
  y = concat("n", { param("cls_token." .. i - 1, "1 n=1 c", { c = y.c }), y })
  x[i] = (y + param("pos_embed." .. i - 1, "1 n c", { n = y.n, c = y.c })):store()
end
for i, deep in ipairs(o.depth) do
  x = part.multiscale(x, "blocks." .. i - 1, { depth = deep, num_heads = o.num_heads, mlp_ratio = o.mlp_ratio,
    qkv_bias = o.qkv_bias, qk_scale = o.qk_scale, eps = o.eps })
end
local f, y = {}, 0
for i = 1, n do                                          -- the mean of the two answers
  f[i] = layer_norm(x[i]{ n = 0 }, "norm." .. i - 1, o.eps)
  y = y + linear(f[i], "head." .. i - 1, "c=" .. o.num_classes) / n
end
o.preprocess = { crop_pct = o.crop_pct }
answer(input, y, concat("c", f), o)
