-- The block of TransNeXt and its convolutional gated linear unit.                                       maps: b h w c
local attention = require "attention/window_pooled"

local function conv_glu(x, name, hidden)
  local a, g = linear(x, name .. ".fc1", "part=2 c=" .. hidden):parts"part"
  a = gelu(conv2d(a, name .. ".dwconv.dwconv", { kernel = 3, depthwise = true }))
  return linear(a * g, name .. ".fc2", "c=" .. x.c)
end

-- o: as attention's, mlp_ratio, eps; o.pool = false: the whole map
local function block(x, name, o)
  local mix = o.pool and attention.aggregated or attention.global
  x = residual(x, function(x) return mix(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn", o) end):store()
  return residual(x, function(x)
    return conv_glu(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", 2 * math.floor(x.c * o.mlp_ratio) // 3)
  end):store()
end

return { conv_glu = conv_glu, block = block }
