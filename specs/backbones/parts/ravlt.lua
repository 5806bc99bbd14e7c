-- The block of RAVLT.                                                                                   maps: b h w c
local attention = require "attention/rank_augmented"

local function ffn(x, name, hidden)
  local y = gelu(linear(x, name .. ".fc1", "c=" .. hidden, { ones = 2 })):store()
  y = y + conv2d(y, name .. ".dwconv", { kernel = 3, depthwise = true })
  return linear(y, name .. ".fc2", "c=" .. x.c, { ones = 2 })
end

-- o: heads, form, base, hidden, layerscale, eps
local function block(x, name, o)
  local function scaled(y, i) -- a factor per channel, stored as a map of 1 x 1
    return o.layerscale and y * param(name .. ".gamma_" .. i, "1 c 1 1", { c = x.c }) or y
  end
  x = (x + conv2d(x, name .. ".pos", { kernel = 3, depthwise = true })):store()
  x = residual(x, function(x)
    return scaled(attention.module(layer_norm(x, name .. ".norm1.norm", o.eps), name .. ".attn", o), 1)
  end):store()
  return residual(x, function(x)
    return scaled(ffn(layer_norm(x, name .. ".norm2.norm", o.eps), name .. ".ffn", o.hidden), 2)
  end):store()
end

return { block = block }
