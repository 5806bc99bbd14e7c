-- Overlapping cross attention (HAT, Chen et al., arXiv:2205.04437): each block of queries attends to a larger block of
-- keys around it.
-- As a spec: q, k, v: b head h w d; config: window (16), overlap (24: the side of a block of keys)
-- require "attention/overlapping": attention(q, k, v, name, o), module(x, name, o)

-- o: window, overlap, scale (d^-0.5). Keys outside the map are zeros and take part.
-- name.relative_position_bias_table: (window + overlap - 1)^2 by head, read at an index that wraps below 0.
local function attention(q, k, v, name, o)
  local M, O = o.window, o.overlap
  local T = M + O - 1
  local near = window{ h = "hb u=" .. O, w = "wb v=" .. O, stride = M, pad = (O - M) // 2, border = 0 }
  local bias = param(name .. ".relative_position_bias_table", "t head", { t = T * T, head = q.head })
  local i, j, u, v_ = axis("hi", M), axis("wi", M), axis("u", O), axis("v", O)
  local t = (u - i + M - O + 1) * T + (v_ - j + M - O + 1)
  q = q:split("h = hb hi, w = wb wi", { hi = M, wi = M })
  local y = attend{ q = q, k = near(k), v = near(v), over = "u v", dot = "d", scale = o.scale or q.d^-0.5,
    score = function(s) return s + bias{ t = t, border = "wrap" } end }
  return y:merge"h = hb hi, w = wb wi"
end

local function module(x, name, o) -- x: b h w c; o: also heads, qkv_bias (true)
  local order = ("part=3 head=%d d=%d"):format(o.heads, x.c // o.heads)
  local q, k, v = linear(x, name .. ".qkv", order, { bias = o.qkv_bias ~= false }):parts"part"
  return linear(attention(q, k, v, name, o):merge"c = head d", name .. ".proj", "c=" .. x.c)
end

if ... then return { attention = attention, module = module } end
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
output("o", attention(q, k, v, "", { window = config.window or 16, overlap = config.overlap or 24 }), "b head h w d")
