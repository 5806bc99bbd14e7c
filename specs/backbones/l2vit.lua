-- L2ViT (Zheng, arXiv:2501.16182), the published parameter names: windows and linear attention in turn.  maps: b h w c
local part = require "parts/l2vit"
local function net(width, heads, third, more)
  return with({ dims = { width, 2 * width, 4 * width, 8 * width }, depths = { 2, 2, third, 2 },
    num_heads = { heads, 2 * heads, 4 * heads, 8 * heads } }, more)
end
local o = settings({
  tiny  = net(96, 3, 6),
  small = net(96, 3, 18),
  base  = net(128, 4, 18),
  base_384 = net(128, 4, 18, { img_size = 384, window_size = 12, crop_pct = 1.0, fit = "squash" }),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, mlp_ratio = { 4, 4, 4, 4 }, window_size = 7, qkv_bias = true,
  cpe_act = false, clamp_min = 100.0, eps = 1e-5, bn_eps = 1e-5, crop_pct = 0.875, fit = "crop",
})

local input, n = picture(o), levels(o, "dims depths num_heads mlp_ratio")
local function filled(x, n)                              -- zeros to the right and below, to a multiple of n
  if x.h % n + x.w % n == 0 then return x end
  return x:pad{ h = { 0, -x.h % n }, w = { 0, -x.w % n }, border = 0 }
end
local stem, x = "downsample_layers.0.proj.proj.", filled(input, 4)
for i = 1, 2 do
  x = conv2d(x, stem .. 3 * i - 3, { out = o.dims[1] * i // 2, kernel = 3, stride = 2 })
  x = batch_norm(x, stem .. 3 * i - 2, o.bn_eps)
  if i == 1 then x = relu(x):store() end
end
x = layer_norm(x, "downsample_layers.0.norm", o.eps):store()
for i = 1, n do
  local down = "downsample_layers." .. i - 1
  if i > 1 then
    x = filled(layer_norm(x, down .. ".norm", o.eps), 2)  -- the zeros come after the norm
    x = conv2d(x, down .. ".proj", { out = o.dims[i], kernel = 2, stride = 2, pad = 0 }):store()
  end
  for j = 1, o.depths[i] do
    local block = j % 2 == 1 and part.windows or part.global
    x = block(x, ("stages.%d.%d"):format(i - 1, j - 1), { num_heads = o.num_heads[i], mlp_ratio = o.mlp_ratio[i],
      window_size = o.window_size, qkv_bias = o.qkv_bias, cpe_act = o.cpe_act, clamp_min = o.clamp_min, eps = o.eps,
      bn_eps = o.bn_eps })
  end
end
o.preprocess = { crop_pct = o.crop_pct, fit = o.fit }
classify(input, layer_norm(x, "norm", o.eps):mean"h w", "head", o)
