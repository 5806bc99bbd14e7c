-- ViT: vision transformer (Dosovitskiy et al., arXiv:2010.11929), timm's parameter names.                tokens: b n c
local function net(width, depth, heads, patch, size)
  return { embed_dim = width, depth = depth, num_heads = heads, patch_size = patch, img_size = size,
    crop_pct = size == 384 and 1.0 or 0.9 }
end
local o = settings({
  tiny_patch16_224  = net(192, 12, 3, 16, 224),
  small_patch16_224 = net(384, 12, 6, 16, 224),
  small_patch16_384 = net(384, 12, 6, 16, 384),
  small_patch32_224 = net(384, 12, 6, 32, 224),
  base_patch16_224  = net(768, 12, 12, 16, 224),
  base_patch16_384  = net(768, 12, 12, 16, 384),
  base_patch32_224  = net(768, 12, 12, 32, 224),
  large_patch16_224 = net(1024, 24, 16, 16, 224),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, mlp_ratio = 4, qkv_bias = true, qk_norm = false,
  init_values = false,
  class_token = true, reg_tokens = 0, no_embed_class = false, pre_norm = false, global_pool = "token",
  eps = 1e-6, crop_pct = 0.9,
})

local function block(x, name)
  local function norm(x, i) return layer_norm(x, name .. ".norm" .. i, o.eps) end
  local function scale(i) return o.init_values and ("%s.ls%d.gamma"):format(name, i) end
  x = residual(x, function(x)
    return self_attention(norm(x, 1), name .. ".attn",
      { heads = o.num_heads, qkv_bias = o.qkv_bias, qk_norm = o.qk_norm and o.eps })
  end, scale(1)):store()
  return residual(x, function(x)
    return mlp(norm(x, 2), name .. ".mlp", { hidden = math.floor(x.c * o.mlp_ratio) })
  end, scale(2)):store()
end

-- patches, class and register tokens, positions
o.fixed = true
local input, P, c = picture(o), o.patch_size, o.embed_dim
fitting(input, ("a side is a multiple of patch_size %d"):format(P), function(n) return n % P == 0 end)
local x = patch_embed(input, "patch_embed.proj", { patch = P, out = c, bias = not o.pre_norm }):merge "n = h w"
local first, prefix = {}, 0
if o.class_token then first[1], prefix = param("cls_token", "1 n=1 c", { c = c }), 1 end
if o.reg_tokens > 0 then
  first[#first + 1], prefix = param("reg_token", "1 n c", { n = o.reg_tokens, c = c }), prefix + o.reg_tokens
end
local function position(x) return x + param("pos_embed", "1 n c", { n = x.n, c = c }) end
local function join(x) return prefix > 0 and concat("n", { first[1], first[2] or x, first[2] and x }) or x end
x = o.no_embed_class and join(position(x)) or position(join(x))
x = x:store()
if o.pre_norm then x = layer_norm(x, "norm_pre", o.eps) end

for i = 0, o.depth - 1 do x = block(x, "blocks." .. i) end

-- the head reads the class token, or the mean of the patches; its norm comes before or (fc_norm) after
local mean = o.global_pool == "avg"
if not mean and (o.global_pool ~= "token" or not o.class_token) then
  error 'global_pool is "token" (with class_token) or "avg"'
end
local fc_norm = config.fc_norm
if fc_norm == nil then fc_norm = mean end
local function pool(x) return mean and x:slice{ n = { prefix, x.n - prefix } }:mean "n" or x{ n = 0 } end
local f = fc_norm and layer_norm(pool(x), "fc_norm", o.eps) or pool(layer_norm(x, "norm", o.eps))
o.preprocess = { crop_pct = o.crop_pct, mean = { 0.5, 0.5, 0.5 }, std = { 0.5, 0.5, 0.5 } }
classify(input, f, "head", o)
