-- DaViT (Ding et al., arXiv:2204.03645), timm's parameter names. The paper ran large at 384 with window 12, which no
-- parameter depends on: img_size, window_size.                                                          maps: b h w c
local part = require "parts/davit"
local function net(width, heads, third)
  return { embed_dims = { width, 2 * width, 4 * width, 8 * width }, num_heads = { heads, 2 * heads, 4 * heads,
    8 * heads }, depths = { 1, 1, third, 1 } }
end
local o = settings({
  tiny  = net(96, 3, 3),
  small = net(96, 3, 9),
  base  = net(128, 4, 9),
  large = net(192, 6, 9),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, window_size = 7, mlp_ratio = 4, qkv_bias = true, norm_eps = 1e-5,
  attn_types = { "spatial", "channel" }, ffn = true, cpe_act = false, down_kernel_size = 2, channel_attn_v2 = false,
  head_norm_first = false, crop_pct = 0.95,
})

local function filled(x, n)                              -- zeros to the right and below, to a multiple of n
  if x.h % n + x.w % n == 0 then return x end
  return x:pad{ h = { 0, -x.h % n }, w = { 0, -x.w % n }, border = 0 }
end

local input, n, K = picture(o), levels(o, "depths embed_dims num_heads"), o.down_kernel_size
local x = conv2d(filled(input, 4), "stem.conv", { out = o.embed_dims[1], kernel = 7, stride = 4 })
x = layer_norm(x, "stem.norm", o.norm_eps):store()
for i = 1, n do
  local name = "stages." .. i - 1
  if i > 1 then                                          -- the zeros come after the norm
    x = layer_norm(x, name .. ".downsample.norm", o.norm_eps)
    x = conv2d(K % 2 == 0 and filled(x, 2) or x, name .. ".downsample.conv",
      { out = o.embed_dims[i], kernel = K, stride = 2, pad = K % 2 == 0 and 0 or K // 2 }):store()
  end
  for j = 1, o.depths[i] do
    for m, kind in ipairs(o.attn_types) do
      x = part.block(kind, x, ("%s.blocks.%d.%d"):format(name, j - 1, m - 1), { num_heads = o.num_heads[i],
        window_size = o.window_size, mlp_ratio = o.mlp_ratio, qkv_bias = o.qkv_bias, norm_eps = o.norm_eps,
        cpe_act = o.cpe_act, ffn = o.ffn, v2 = o.channel_attn_v2 })
    end
  end
end
local f
if o.head_norm_first then f = layer_norm(x, "norm_pre", o.norm_eps):mean"h w"
else f = layer_norm(x:mean"h w", "head.norm", o.norm_eps) end
o.preprocess = { crop_pct = o.crop_pct }
classify(input, f, "head.fc", o)
