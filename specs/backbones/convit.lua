-- ConViT (d'Ascoli et al., arXiv:2103.10697), the published parameter names. embed_dim is the whole width (the
-- published constructor takes that of a head, 48).                           maps: b h w c, with the class token: b n c
local gated = require "attention/gated_position"
local function net(heads) return { embed_dim = 48 * heads, num_heads = heads } end
local o = settings({ tiny = net(4), small = net(9), base = net(16) }, {
  img_size = 224, patch_size = 16, in_chans = 3, num_classes = 1000, depth = 12, mlp_ratio = 4, qkv_bias = false,
  qk_scale = false, local_up_to_layer = 10, use_pos_embed = true, eps = 1e-6,
})

local function block(x, name, attention)
  x = residual(x, function(x)
    return attention(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn")
  end):store()
  return residual(x, function(x)
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", { hidden = math.floor(x.c * o.mlp_ratio) })
  end):store()
end
local function by_place(x, name)
  return gated.module(x, name, { num_heads = o.num_heads, qkv_bias = o.qkv_bias, qk_scale = o.qk_scale or nil })
end
local function plain(x, name)
  return self_attention(x, name, { heads = o.num_heads, qkv_bias = o.qkv_bias, scale = o.qk_scale or nil })
end

o.fixed = o.use_pos_embed
local input, P, c = picture(o), o.patch_size, o.embed_dim
fitting(input, "a side is a multiple of patch_size " .. P, function(n) return n % P == 0 end)
local x = patch_embed(input, "patch_embed.proj", { patch = P, out = c })
if o.use_pos_embed then x = x + param("pos_embed", "1 (h w) c", { h = x.h, w = x.w, c = c }) end
x = x:store()
if o.local_up_to_layer >= o.depth then error "local_up_to_layer is below depth: the class token joins there" end
for i = 0, o.depth - 1 do                                -- the class token joins before the first plain block
  if i == o.local_up_to_layer then
    x = concat("n", { param("cls_token", "1 n=1 c", { c = c }), x:merge"n = h w" }):store()
  end
  x = block(x, "blocks." .. i, i < o.local_up_to_layer and by_place or plain)
end
classify(input, layer_norm(x, "norm", o.eps){ n = 0 }, "head", o)
