-- The blocks of InLine's four networks. x: tokens b n c or maps b h w c
local injective = require "attention/injective"

local function feed(x, name, o) -- o: mlp_ratio, eps
  return residual(x, function(x)
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", { hidden = math.floor(x.c * o.mlp_ratio) })
  end):store()
end
-- DeiT, PVT and Swin. o: also heads, qkv_bias, apart, H, W; window, shift: softmax in windows instead
local function block(x, name, o)
  x = residual(x, function(x)
    local mix = o.window and window_attention or injective.module
    return mix(layer_norm(x, name .. ".norm1", o.eps):store(), name .. ".attn", o)
  end):store()
  return feed(x, name, o)
end

-- CSWin: softmax in stripes, with a 3x3 of v inside each stripe
local function striped(q, k, v, name, tall, wide)
  local tile = split("h = hb hi, w = wb wi", { hi = tall, wi = wide })
  q, k, v = tile(q), tile(k), tile(v)
  local y = attend{ q = q, k = k, v = v, over = "hi wi", dot = "d" }:merge"c = head d"
  local lepe = conv(v:merge"c = head d", name .. ".get_v", { over = "hi wi", kernel = 3, depthwise = true })
  return (y + lepe):merge"h = hb hi, w = wb wi"
end
-- o: also stripe (its width; false: injective attention over the map). The mean is that of x before the norm.
local function cross_block(x, name, o)
  local d, y = x.c // o.heads, nil
  local z = layer_norm(x, name .. ".norm1", o.eps):store()
  local q, k, v = linear(z, name .. ".qkv", ("part=3 head=%d d=%d"):format(o.heads, d),
    { bias = o.qkv_bias ~= false }):parts"part"
  if not o.stripe then
    y = injective.attention(q, k, v, x:mean"h w", name .. ".attns.0", { lepe = true })
  elseif math.max(x.h, x.w) <= o.stripe then y = striped(q, k, v, name .. ".attns.0", x.h, x.w)
  else                                                   -- half of the heads along columns, half along rows
    local half = o.heads // 2
    local function part(first, i, tall, wide)
      local own = slice{ head = { first, half } }
      return striped(own(q), own(k), own(v), name .. ".attns." .. i, tall, wide)
    end
    y = concat("c", { part(0, 0, x.h, o.stripe), part(half, 1, o.stripe, x.w) })
  end
  return feed((x + linear(y, name .. ".proj", "c=" .. x.c)):store(), name, o)
end

return { block = block, cross_block = cross_block }
