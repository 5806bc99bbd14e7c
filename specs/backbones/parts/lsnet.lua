-- The blocks of LSNet and the attention of its last stage.                             maps: b h w c;  o of all: bn_eps
local large_small = require "attention/large_small"

local function conv(x, name, o, more)
  return conv_bn(x, name, with({ conv = "c", eps = o.bn_eps, kernel = 1 }, more))
end
local function depthwise(x, name, o, kernel, stride)
  return conv(x, name, o, { kernel = kernel, depthwise = true, stride = stride })
end

-- o: num_heads, key_dim, d_v (c / heads). q alone is convolved; the bias belongs to the distance (|dy|, |dx|); relu
-- before the projection
local function attention(x, name, o)
  local heads, d = o.num_heads, o.key_dim
  local dv = o.d_v or x.c // heads
  local by_head = split("c = head d", { head = heads })
  local q, k, v = conv(x, name .. ".qkv", o, { out = heads * (2 * d + dv) })
    :slices("c", heads * d, heads * d, heads * dv)
  q = depthwise(q, name .. ".dw", o, 3)
  local bias = param(name .. ".attention_biases", "head (y x)", { head = heads, y = x.h, x = x.w })
  local h, m = x:pair"h"
  local w, n = x:pair"w"
  local y = attend{ q = by_head(q), k = by_head(k), v = by_head(v), over = "h w", dot = "d",
    score = function(s) return s * d^-0.5 + bias{ y = abs(h - m), x = abs(w - n) } end }
  return conv(relu(y:merge"c = head d"), name .. ".proj.1", o, { out = x.c })
end

-- Block number `index` (from 0) of a stage: even: two depthwise convolutions and a gate; odd: o.kind, "large_small" or
-- "attention". o: ffn_ratio (2), se_ratio (0.25)
local function block(x, name, index, o)
  local mix = name .. ".mixer"
  if index % 2 == 0 then
    x = depthwise(x, mix .. ".conv", o, 3) + depthwise(x, mix .. ".conv1", o, 1) + x
    x = squeeze_excite(x:store(), name .. ".se", { reduced = divisible(x.c * (o.se_ratio or 0.25), 0), reduce = "fc1",
      expand = "fc2" })
  elseif o.kind == "attention" then x = x + attention(x, mix .. ".m", o)
  else x = large_small.module(x, mix, o) end
  x = x:store()
  local y = relu(conv(x, name .. ".ffn.m.pw1", o, { out = math.floor(x.c * (o.ffn_ratio or 2)) }))
  return (x + conv(y, name .. ".ffn.m.pw2", o, { out = x.c })):store()
end

return { conv = conv, depthwise = depthwise, attention = attention, block = block }
