-- The block of SHViT and its reduction between stages.          maps: b h w c;  o: bn_eps, and what is said below
local single = require "attention/single_head"

local function conv(x, name, o, more)
  return conv_bn(x, name, with({ conv = "c", eps = o.bn_eps, kernel = 1 }, more))
end
local function depthwise(x, name, o, stride)
  return conv(x, name, o, { kernel = 3, depthwise = true, stride = stride })
end
local function place(x, name, o) return (x + depthwise(x, name, o)):store() end
local function perceptron(x, name, o) -- o: ffn_ratio
  local y = relu(conv(x, name .. ".pw1", o, { out = math.floor(x.c * o.ffn_ratio) }))
  return (x + conv(y, name .. ".pw2", o, { out = x.c })):store()
end

local function block(x, name, o) -- o.type: "s" with attention (o: pdim, qk_dim, gn_eps), "i" without
  x = place(x, name .. ".conv.m", o)
  if o.type == "s" then x = (x + single.module(x, name .. ".mixer.m", o)):store() end
  return perceptron(x, name .. ".ffn.m", o)
end
local function merging(x, name, o, out) -- o.hid_dim (4 c), o.se_rd_ratio (0.25)
  local wide = o.hid_dim or 4 * x.c
  x = relu(conv(x, name .. ".conv1", o, { out = wide })):store()
  x = relu(depthwise(x, name .. ".conv2", o, 2)):store()
  x = squeeze_excite(x, name .. ".se", { reduced = divisible(wide * (o.se_rd_ratio or 0.25), 0), reduce = "fc1",
    expand = "fc2" })
  return conv(x, name .. ".conv3", o, { out = out }):store()
end

return { conv = conv, place = place, perceptron = perceptron, block = block, merging = merging }
