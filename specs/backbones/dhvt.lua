-- DHVT (Lu et al., arXiv:2210.05958), the published parameter names; its authors released no weights. Of the CIFAR
-- variants the classes are those of CIFAR-100. No positions.                         tokens: b n c, token 0 is the class
local head_tokens, feed = require "attention/head_tokens", require "parts/dhvt"
local function net(width, heads, patch, more)
  return with({ embed_dim = width, num_heads = heads, patch_size = patch }, more)
end
local cifar = { img_size = 32, num_classes = 100, crop_pct = 1.0 }
local o = settings({
  tiny_imagenet_patch16  = net(192, 3, 16),
  small_imagenet_patch16 = net(384, 6, 16),
  tiny_cifar_patch4  = net(192, 4, 4, cifar),
  small_cifar_patch4 = net(384, 8, 4, cifar),
  tiny_cifar_patch2  = net(192, 4, 2, cifar),
  small_cifar_patch2 = net(384, 8, 2, cifar),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, depth = 12, mlp_ratio = 4, qkv_bias = true, squeeze_ratio = 4,
  eps = 1e-6, ht_norm_eps = 1e-5, bn_eps = 1e-5, crop_pct = 0.875,
})

local function affine(x, name) -- per channel
  local function p(s) return param(name .. s, "1 c 1 1", { c = x.c }) end
  return x * p ".alpha" + p ".beta"
end
local stems = { [16] = { 8, 4, 2, 1 }, [4] = { 2, 1 }, [2] = { 1 } }
local input = picture(o)
local x = affine(input, "patch_embed.pre_affine")
local parts = stems[o.patch_size] or error(("patch_size is 2, 4 or 16, not %d"):format(o.patch_size))
for i, part in ipairs(parts) do                          -- gelu between, and after the only one
  local y = conv_bn(x, "patch_embed.proj." .. 2 * i - 2, { out = o.embed_dim // part, kernel = 3, stride = 2,
    conv = "0", bn = "1", eps = o.bn_eps })
  x = ((i < #parts or #parts == 1) and gelu(y) or y):store()
end
x = affine(x, "patch_embed.post_affine")
o.grid = { x.h, x.w }
x = concat("n", { param("cls_token", "1 n=1 c", { c = x.c }), x:merge"n = h w" }):store()
for i = 0, o.depth - 1 do
  local name = "blocks." .. i
  x = residual(x, function(x)
    return head_tokens.module(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn", o)
  end):store()
  x = residual(x, function(x)
    return feed.forward(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", o)
  end):store()
end
o.preprocess = { crop_pct = o.crop_pct }
classify(input, layer_norm(x, "norm", o.eps){ n = 0 }, "head", o)
