-- Rank-augmented linear attention and its softmax twin (RALA, Fan et al., arXiv:2411.07635): both with rotary
-- positions, a local term and a gate.
-- As a spec: q, k, v: b head h w d; config: linear (true), rope_base (10000)
-- require "attention/rank_augmented": linear(q, k, v, base), softmax(q, k, v, base), module(x, name, o)

-- rotary positions of a map: neighbours in d are pairs, its first half turns by the row, its second by the column
local function rope(x, base)
  local i, n = x:index"d", x.d // 4                      -- n frequencies in each half
  local place = float(where(lt(i, 2 * n), x:index"h", x:index"w"))
  local t = outer(base^(0 - float(i % (2 * n) // 2) / math.max(n - 1, 1)), place)
  local other = x{ d = i // 2 * 2 + 1 - i % 2 }
  return x * cos(t) + other * sin(t) * (i % 2 * 2 - 1)
end

local forms = {}
-- keys are weighted by their fit to the mean query (mean weight 1), which raises the rank of the sum over them
function forms.linear(q, k, v, base)
  q, k = elu(q) + 1, elu(k) + 1
  local n = q.h * q.w
  k = k * softmax(contract(q:mean"h w", k, "d") * q.d^-0.5, "h w") * n
  local z = 1 / (contract(q, k:mean"h w", "d") + 1e-6)
  local S = contract(rope(k, base), v:as"d=e", "h w") / n
  return (contract(rope(q, base), S, "d") * z):as"e=d"
end
function forms.softmax(q, k, v, base)
  return attend{ q = rope(q, base), k = rope(k, base), v = v, over = "h w", dot = "d" }
end

-- x: b h w c; o: heads, form ("linear" or "softmax"), base
function forms.module(x, name, o)
  if x.c % (4 * o.heads) > 0 then error(("the head width %d / %d is no multiple of 4"):format(x.c, o.heads)) end
  local size = ("part=4 head=%d d=%d"):format(o.heads, x.c // o.heads)
  local q, k, v, gate = linear(x, name .. ".qkvo", size, { ones = 2 }):parts"part"
  local y = forms[o.form](q, k, v, o.base):merge"c = head d"
  y = y + conv2d(v:merge"c = head d", name .. ".lepe", { kernel = 5, depthwise = true })
  return linear(y * gate:merge"c = head d", name .. ".proj", "c=" .. x.c, { ones = 2 })
end

if ... then return forms end
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
local form = config.linear == false and forms.softmax or forms.linear
output("o", form(q, k, v, config.rope_base or 10000), "b head h w d")
