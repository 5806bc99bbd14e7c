-- HaloNet (Vaswani et al., arXiv:2103.12731) as timm builds and trained it; the paper released no weights and no table
-- of its own models H0 to H7. h1 is timm's reading of H1, untrained.                                     maps: b h w c
local halo = require "attention/halo"
local bottle, attn = "bottle", "self_attn"
local function net(types, o)                             -- o: what differs from timm's 26t
  o.block_types = types
  return o
end
local late = { "bottle bottle", "bottle bottle", "bottle self_attn", "self_attn self_attn" }
local o = settings({
  ["26t"] = net(late, { halo_size = 2, crop_pct = 0.95 }),
  ["50ts"] = net({ "bottle bottle bottle", "bottle bottle bottle self_attn",
    "bottle self_attn bottle self_attn bottle self_attn", "bottle self_attn bottle" },
    { activation = "silu", num_heads = { 8, 4, 8, 8 } }),
  h1 = net({ "self_attn self_attn self_attn", "self_attn self_attn self_attn", ("self_attn "):rep(10),
    "self_attn self_attn self_attn" }, { channels = { 64, 128, 256, 512 }, bottle_ratio = { 1.0, 1.0, 1.0, 1.0 },
    stem_type = "7x7", crop_pct = 0.95 }),
  sehalonet_33ts = net({ "bottle bottle", "bottle bottle self_attn", "bottle bottle self_attn", "self_attn self_attn" },
    { channels = { 256, 512, 1024, 1536 }, bottle_ratio = { 0.25, 0.25, 0.25, 0.333 }, activation = "silu",
    stem_pool = "none", attn_layer = "se", num_features = 1280 }),
  eca_halonext_26ts = net(late, { halo_size = 2, group_size = 16, activation = "silu", attn_layer = "eca",
    dim_head = 16 }),
}, {
  img_size = 256, in_chans = 3, num_classes = 1000, channels = { 256, 512, 1024, 2048 }, strides = { 1, 2, 2, 2 },
  bottle_ratio = { 0.25, 0.25, 0.25, 0.25 }, group_size = 0, stem_type = "tiered", stem_chs = 64, stem_pool = "maxpool",
  activation = "relu", attn_layer = "none", num_features = 0, block_size = 8, halo_size = 3, num_heads = { 8, 8, 8, 8 },
  dim_head = false, qk_ratio = 1.0, qkv_bias = false, avg_down = false, scale_pos_embed = false, bn_eps = 1e-5,
  crop_pct = 0.94,
})
local function one_of(key, t)
  return t[o[key]] or error(("%s is '%s'; it is one of: %s"):format(key, tostring(o[key]), t[1]))
end
local act = one_of("activation", { "relu, silu", relu = relu, silu = silu })

-- the gate after the 3x3 convolution of a block without halo attention
local gate = one_of("attn_layer", { "none, se, eca",
  none = function(x) return x end,
  se = function(x, name)
    return squeeze_excite(x, name, { reduced = divisible(x.c / 16, 0), reduce = "fc1", expand = "fc2" })
  end,
  eca = function(x, name)                                -- a convolution along the channels of the mean
    local t = math.floor(math.abs((math.log(x.c, 2) + 1) / 2))
    local w = param(name .. ".conv.weight", "1 1 t", { t = math.max(t % 2 == 1 and t or t + 1, 3) })
    return x * sigmoid(convolve(x:mean"h w", w, "", "c=t"))
  end })

local function conv(x, name, out, kernel, stride, groups)
  return conv_bn(x, name, { out = out, kernel = kernel, stride = stride, groups = groups, eps = o.bn_eps })
end
local middle = { bottle = function(x, name, stride)
  local groups = o.group_size > 0 and x.c // o.group_size or 1
  return gate(act(conv(x, name .. ".conv2_kxk", x.c, 3, stride, groups)), name .. ".attn")
end, self_attn = function(x, name, stride, level)
  local y = halo.module(x, name .. ".self_attn", { stride = stride, num_heads = o.num_heads[level],
    dim_head = o.dim_head, block_size = o.block_size, halo_size = o.halo_size, qk_ratio = o.qk_ratio,
    qkv_bias = o.qkv_bias, avg_down = o.avg_down, scale_pos_embed = o.scale_pos_embed })
  return act(batch_norm(y, name .. ".post_attn", o.bn_eps))
end }
local function block(kind, x, name, level, stride)
  local out, short = o.channels[level], x
  if stride > 1 or x.c ~= out then short = conv(x, name .. ".shortcut", out, 1, stride) end
  local y = act(conv(x, name .. ".conv1_1x1", divisible(out * o.bottle_ratio[level]), 1)):store()
  y = middle[kind](y, name, stride, level):store()
  return act(conv(y, name .. ".conv3_1x1", out, 1) + short):store()
end

local input, n = picture(o), levels(o, "block_types channels strides bottle_ratio num_heads")
local kinds = {}
for i, s in ipairs(o.block_types) do
  kinds[i] = words(s)
  for _, k in ipairs(kinds[i]) do
    if not middle[k] then error(("block_types has '%s'; a block is bottle or self_attn"):format(k)) end
  end
end
fitting(input, ("maps with halo attention consist of blocks of %d"):format(o.block_size), function(m)
  m = (m + 3) // 4
  for i = 1, n do
    for j, kind in ipairs(kinds[i]) do
      if kind == attn and m % o.block_size > 0 then return false end
      if j == 1 and o.strides[i] > 1 then m = kind == bottle and (m + 1) // 2 or m // 2 end
    end
  end
  return m > 0
end)

local pool, c = o.stem_pool == "maxpool", o.stem_chs     -- without pooling the last convolution has the second stride
local widths = one_of("stem_type", { "tiered, 7x7", tiered = { 3 * c // 8, c // 2, c }, ["7x7"] = { c } })
local x, side = input, o.stem_type == "7x7" and 7 or 3
for i, out in ipairs(widths) do
  local stride = (i == 1 or i == #widths and not pool) and 2 or 1
  x = act(conv(x, "stem.conv" .. i, out, side, stride)):store()
end
if pool then x = max_pool(x, 3, 2, "h w", { pad = 1 }):store() end
for i = 1, n do
  for j, kind in ipairs(kinds[i]) do
    x = block(kind, x, ("stages.%d.%d"):format(i - 1, j - 1), i, j == 1 and o.strides[i] or 1)
  end
end
if o.num_features > 0 then x = act(conv(x, "final_conv", o.num_features, 1)) end
o.preprocess = { crop_pct = o.crop_pct }
classify(input, x:mean"h w", "head.fc", o)
