-- Swin transformer (Liu et al., arXiv:2103.14030), timm's parameter names.                               maps: b h w c
local function net(width, third, heads, window, size)
  return { embed_dim = width, depths = { 2, 2, third, 2 }, num_heads = { heads, 2 * heads, 4 * heads, 8 * heads },
    window_size = window, img_size = size, crop_pct = size == 384 and 1.0 or 0.9 }
end
local o = settings({
  tiny_patch4_window7_224   = net(96, 6, 3, 7, 224),
  small_patch4_window7_224  = net(96, 18, 3, 7, 224),
  base_patch4_window7_224   = net(128, 18, 4, 7, 224),
  base_patch4_window12_384  = net(128, 18, 4, 12, 384),
  large_patch4_window7_224  = net(192, 18, 6, 7, 224),
  large_patch4_window12_384 = net(192, 18, 6, 12, 384),
}, {
  img_size = 224, patch_size = 4, in_chans = 3, num_classes = 1000, mlp_ratio = 4, qkv_bias = true, patch_norm = true,
  mask_value = -100.0, eps = 1e-5, crop_pct = 0.9,
})

local function block(x, name, heads, shift)
  x = residual(x, function(x)
    return window_attention(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn",
      { heads = heads, window = o.window_size, shift = shift, mask = o.mask_value, qkv_bias = o.qkv_bias })
  end):store()
  return residual(x, function(x)
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", { hidden = math.floor(x.c * o.mlp_ratio) })
  end):store()
end

local n, input = levels(o, "depths num_heads"), picture(o)
local x = patch_embed(input, "patch_embed.proj", { patch = o.patch_size, out = o.embed_dim })
if o.patch_norm then x = layer_norm(x, "patch_embed.norm", o.eps) end
x = x:store()
for i = 1, n do
  local name = "layers." .. i - 1
  if i > 1 then x = patch_merge(x, name .. ".downsample", { eps = o.eps }):store() end
  for j = 1, o.depths[i] do                             -- every second block is shifted
    x = block(x, name .. ".blocks." .. j - 1, o.num_heads[i], j % 2 == 0 and o.window_size // 2 or 0)
  end
end
o.preprocess = { crop_pct = o.crop_pct }
classify(input, layer_norm(x, "norm", o.eps):mean "h w", "head.fc", o)
