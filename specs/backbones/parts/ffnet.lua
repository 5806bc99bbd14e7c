-- The block and the downsampling of FFNet.                                                              maps: b c h w
-- o of all: bn_eps, fused (batch norms and parallel branches are stored folded)
local meta = require "attention/metamixer"

-- x + f(x), the latter times a stored factor per channel where o.layer_scale is set (never folded)
local function added(x, name, o, f)
  local gamma = o.layer_scale and param(name .. ".layer_scale", "c 1 1", { c = x.c })
  local y = f(x, name .. ".main", o)
  return (x + (gamma and y * gamma or y)):store()
end
-- o: kernel, hidden
local function channel_mixer(x, name, o)
  local y
  if o.kernel == 3 then y = meta.conv_bn(x, name .. ".conv", o, { kernel = 3, depthwise = true })
  else y = meta.large(x, name .. ".conv", o.kernel, o) end
  y = gelu(linear(y:store(), name .. ".fc1", "c=" .. o.hidden, { ones = 2 })):store()
  return linear(y, name .. ".fc2", "c=" .. x.c, { ones = 2 })
end
local function block(x, name, o) -- o: also kernels, layer_scale
  return added(added(x, name .. ".token_mixer.0", o, meta.mixer), name .. ".channel_mixer", o, channel_mixer)
end
-- each channel makes out / c of the next; then x plus a product of its batch norm
local function merging(x, name, out, o)
  local y = meta.large(x, name .. ".0", 7, o, { stride = 2, out = out }):store()
  if o.fused then return linear(y, name .. ".1", "c=" .. out, { bias = true, ones = 2 }) end
  local z = batch_norm(y, name .. ".1.conv.bn", o.bn_eps)
  return (y + linear(z, name .. ".1.conv.c", "c=" .. out, { bias = false, ones = 2 })):store()
end

return { block = block, merging = merging, conv_bn = meta.conv_bn }
