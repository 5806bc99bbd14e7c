-- The blocks of HAT.                                                                                    maps: b h w c
-- o of both blocks: heads, window, mlp_ratio, eps, qkv_bias, scale
local overlapping = require "attention/overlapping"

-- conv, GELU, conv, then a gate per channel from the mean over the whole map. o: compress, squeeze
local function channel_attention(x, name, o)
  local y = gelu(conv2d(x, name .. ".cab.0", { out = x.c // o.compress, kernel = 3 })):store()
  y = conv2d(y, name .. ".cab.2", { out = x.c, kernel = 3 }):store()
  return squeeze_excite(y, name .. ".cab.3", { reduced = x.c // o.squeeze, reduce = "attention.1",
    expand = "attention.3" })
end
local function feed(x, name, o)
  return residual(x, function(x)
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", { hidden = math.floor(x.c * o.mlp_ratio) })
  end):store()
end

-- hybrid: windows beside channel attention, both on the same norm. o: shift, mask, conv_scale, compress, squeeze
local function hybrid(x, name, o)
  local y = layer_norm(x, name .. ".norm1", o.eps):store()
  local z = window_attention(y, name .. ".attn", { heads = o.heads, window = o.window, shift = o.shift, mask = o.mask,
    whole = true, keep = true, qkv_bias = o.qkv_bias, scale = o.scale })
  x = x + z + o.conv_scale * channel_attention(y, name .. ".conv_block", o)
  return feed(x:store(), name, o)
end
-- o: overlap
local function cross(x, name, o)
  return feed((x + overlapping.module(layer_norm(x, name .. ".norm1", o.eps), name, o)):store(), name, o)
end

return { channel_attention = channel_attention, hybrid = hybrid, cross = cross }
