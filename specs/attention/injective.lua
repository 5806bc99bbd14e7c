-- Injective linear attention (InLine, Han et al., arXiv:2412.06590): the weights q k - q mean(k) + 1 / n sum to one and
-- may be negative; a depthwise 3x3 whose kernels come from the mean token adds what is near.
-- As a spec: q, k, v: b head h w d; mean: b c
-- require "attention/injective": attention(q, k, v, mean, name, o), module(x, name, o)

-- name.residual makes the kernels from mean, in o.groups (the heads). Positions are h, w, or n: the last o.H x o.W of n
-- are a map, those before have no place. o.lepe: also a stored 3x3, name.get_v.
local function attention(q, k, v, mean, name, o)
  local over, c = q.ext.n and "n" or "h w", v.head * v.d
  local n, s = q.ext.n or q.h * q.w, q.d^-0.5
  local M = contract(k, v:as"d=e", over) * (s / n)                                        -- b head d e
  local kbar, vbar = k:mean(over), v:mean(over):as"d=e"
  local y = contract(q, M, "d") + outer(1 - s * contract(q, kbar, "d"), vbar)
  y, v = y:merge"c = head e", v:merge"c = head d"
  local size = { g = o.groups or q.head }
  local function grouped(x, which, out)
    return linear(x:split("c = g i", size), name .. which, "g c=" .. c // size.g .. out,
      { over = "i", shared = "g", ones = 1 }):merge"c = g c"
  end
  local K = grouped(gelu(grouped(mean, ".residual.0", "")), ".residual.2", " ky=3 kx=3")  -- b c ky kx
  local function near(v)
    local z = convolve(v, K, "", "h=ky w=kx")
    return o.lepe and z + conv2d(v, name .. ".get_v", { kernel = 3, depthwise = true }) or z
  end
  if over ~= "n" then return y + near(v) end
  local H, W = o.H, o.W
  local skip, rest = y:slices("n", n - H * W, H * W)
  v = v:slice{ n = { n - H * W, H * W } }:split("n = h w", { h = H, w = W })
  return concat("n", { skip, rest + near(v):merge"n = h w" })
end

-- o: heads, qkv_bias (true), apart (q and kv are stored apart), H, W
local function module(x, name, o)
  local function heads(which, parts)
    return linear(x, name .. which, ("part=%d head=%d d=%d"):format(parts, o.heads, x.c // o.heads),
      { bias = o.qkv_bias ~= false }):parts"part"
  end
  local q, k, v
  if o.apart then q, k, v = heads(".q", 1), heads(".kv", 2) else q, k, v = heads(".qkv", 3) end
  local mean = x:mean(x.ext.n and "n" or "h w")
  return linear(attention(q, k, v, mean, name, o), name .. ".proj", "c=" .. x.c)
end

if ... then return { attention = attention, module = module } end
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
output("o", attention(q, k, v, input("mean", "b c", { c = v.head * v.d }), "", {}), "b h w c")
