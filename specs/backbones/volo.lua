-- VOLO: vision outlooker (Yuan et al., arXiv:2106.13112).                                maps: b h w c, tokens: b n c
-- crop_pct is timm's for pictures of 224 (the published code takes 1.15 for d4 and d5: a small picture in a frame).
local outlook = require "attention/outlook"
local function net(width, layers, heads, more)
  return with({ embed_dims = { width, 2 * width, 2 * width, 2 * width }, layers = layers, num_heads = heads }, more)
end
local o = settings({
  d1 = net(192, { 4, 4, 8, 2 },    { 6, 12, 12, 12 }),
  d2 = net(256, { 6, 4, 10, 4 },   { 8, 16, 16, 16 }),
  d3 = net(256, { 8, 8, 16, 4 },   { 8, 16, 16, 16 }),
  d4 = net(384, { 8, 8, 16, 4 },   { 12, 16, 16, 16 }),
  d5 = net(384, { 12, 12, 20, 4 }, { 12, 16, 16, 16 }, { mlp_ratios = { 4, 4, 4, 4 }, stem_hidden_dim = 128 }),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, patch_size = 8, stem_hidden_dim = 64, mlp_ratios = { 3, 3, 3, 3 },
  qkv_bias = false, out_kernel = 3, out_stride = 2, post_layers = 2, return_dense = true, eps = 1e-5, bn_eps = 1e-5,
})

local function block(x, name, mix, ratio)
  x = residual(x, function(x) return mix(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn") end):store()
  return residual(x, function(x)
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", { hidden = math.floor(x.c * ratio) })
  end):store()
end
-- only the class token asks, and only it is changed; keys and values are all tokens and itself
local function class_attention(x, name, heads)
  local size = ("head=%d d=%d"):format(heads, x.c // heads)
  local q = linear(x{ n = 0 }, name .. ".q", size, { bias = o.qkv_bias })
  local k, v = linear(x, name .. ".kv", "part=2 " .. size, { bias = o.qkv_bias }):parts"part"
  local y = attend{ q = q, k = k, v = v, over = "n", dot = "d" }
  return linear(y:merge"c = head d", name .. ".proj", "c=" .. x.c)
end

o.fixed = true
local input, n = picture(o), levels(o, "layers embed_dims num_heads mlp_ratios")
local P = o.patch_size
fitting(input, ("it is a multiple of twice patch_size, %d"):format(2 * P), function(m) return m % (2 * P) == 0 end)
local x = input
for i = 0, 2 do
  x = conv2d(x, "patch_embed.conv." .. 3 * i,
    { out = o.stem_hidden_dim, kernel = i == 0 and 7 or 3, stride = i == 0 and 2 or 1, bias = false })
  x = relu(batch_norm(x, "patch_embed.conv." .. 3 * i + 1, o.bn_eps)):store()
end
x = patch_embed(x, "patch_embed.proj", { patch = P // 2, out = o.embed_dims[1] }):store()
for j = 1, o.layers[1] do                               -- outlook on the fine map
  x = block(x, "network.0." .. j - 1, function(x, name)
    return outlook(x, name, { heads = o.num_heads[1], kernel = o.out_kernel, stride = o.out_stride,
      qkv_bias = o.qkv_bias })
  end, o.mlp_ratios[1])
end
x = patch_embed(x, "network.1.proj", { patch = 2, out = o.embed_dims[2] })
x = (x + param("pos_embed", "1 h w c", { h = x.h, w = x.w, c = x.c })):merge"n = h w":store()
for i = 2, n do
  for j = 1, o.layers[i] do
    x = block(x, ("network.%d.%d"):format(i, j - 1), function(x, name)
      return self_attention(x, name, { heads = o.num_heads[i], qkv_bias = o.qkv_bias })
    end, o.mlp_ratios[i])
  end
end
local class, tokens = param("cls_token", "1 1 c", { c = x.c }), x
for j = 0, o.post_layers - 1 do
  local name = "post_network." .. j
  local y = layer_norm(concat("n", { class:along"n=1", tokens }), name .. ".norm1", o.eps):store()
  class = (class + class_attention(y, name .. ".attn", o.num_heads[n])):store()
  class = residual(class, function(x)
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", { hidden = math.floor(x.c * o.mlp_ratios[n]) })
  end):store()
end
-- half of the best patch adds to the class token's answer
local f = layer_norm(class, "norm", o.eps)
local y = linear(f, "head", "c=" .. o.num_classes)
if o.return_dense then
  y = y + 0.5 * linear(layer_norm(tokens, "norm", o.eps), "aux_head", "c=" .. o.num_classes):max"n"
end
o.preprocess = { crop_pct = 0.96 }
answer(input, y, f, o)
