-- The block of AttNet.    maps: b h w c;  o: glu_hidden, kernel_size (3), glu_dconv (true), glu_norm, use_layer_scale
local attentive = require "attention/attentive_conv"

local function gated(x, name, o) -- a gated perceptron; the gate is convolved
  local a, v = linear(x, name .. ".fc1", "part=2 c=" .. o.glu_hidden, { ones = 2 }):parts"part"
  if o.glu_dconv ~= false then a = conv2d(a, name .. ".dwconv", { kernel = 3, depthwise = true }) end
  local y = gelu(a) * v
  if o.glu_norm then y = rms_norm(y, name .. ".norm_layer", 1e-6) end
  return linear(y, name .. ".fc2", "c=" .. x.c, { ones = 2 })
end

local function block(x, name, o)
  local function scale(i) return o.use_layer_scale and ("%s.layer_scale_%d.gamma"):format(name, i) end
  x = residual(x, function(x)
    return attentive.module(layer_norm(x, name .. ".norm_1", 1e-6), name .. ".token_mixer", o)
  end, scale(1)):store()
  return residual(x, function(x)
    return gated(layer_norm(x, name .. ".norm_2", 1e-6), name .. ".channel_mixer", o)
  end, scale(2)):store()
end

return { block = block }
