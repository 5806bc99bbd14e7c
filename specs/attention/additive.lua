-- Convolutional additive attention (CAS-ViT, Zhang et al., arXiv:2408.03703): gates of place and of channel on q and on
-- k, their sum times v; no matrix of scores.
-- require "attention/additive": module(x, name, o); as a spec: x: b c h w; config: what o takes

-- z times one gate per place, then one per channel; the second reads the mean of what the first left
local function gated(z, name, o)
  local s = conv2d(z, name .. ".0.block.0", { kernel = 3, depthwise = true })
  s = relu(batch_norm(s, name .. ".0.block.1", o.bn_eps))
  z = z * sigmoid(linear(s, name .. ".0.block.3", "", { bias = false, ones = 2 }))
  return z * sigmoid(linear(z:mean"h w", name .. ".1.block.1", "c=" .. z.c, { bias = false, ones = 2 }))
end
-- o: attn_bias (false), bn_eps
local function module(x, name, o)
  local q, k, v = linear(x, name .. ".qkv", "part=3 c=" .. x.c, { bias = o.attn_bias or false, ones = 2 }):parts"part"
  local y = gated(q, name .. ".oper_q", o) + gated(k, name .. ".oper_k", o)
  y = conv2d(y, name .. ".dwc", { kernel = 3, depthwise = true }) * v
  return conv2d(y, name .. ".proj", { kernel = 3, depthwise = true })
end

if ... then return { module = module } end
output("output", module(input("x", "b c h w"), "", config), "b c h w")
