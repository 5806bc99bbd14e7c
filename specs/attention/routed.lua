-- Bi-level routing attention (BiFormer, Zhu et al., arXiv:2303.08810).
-- As a spec: q, k, v: b head h w d; config: regions (7 by 7), top (4), scale (d^-0.5)
-- require "attention/routed": attention(q, k, v, o), module(x, name, o)

-- Each of the regions x regions parts of the map attends to the o.top regions whose mean key fits its mean query best;
-- one routing for all heads. Returns also the regions chosen: b hb wb top, row-major.
local function attention(q, k, v, o)
  local tile = split("h = hb hi, w = wb wi", { hb = o.regions, wb = o.regions })
  q, k, v = tile(q), tile(k), tile(v)
  local fit = contract(q:mean"hi wi", k:mean"hi wi":as"hb=rh wb=rw", "head d")
  local rh, rw = top(fit, "rh rw", o.top)
  local function routed(x) return x:gather{ hb = rh, wb = rw }:as"hi=ki wi=kj" end
  local y = attend{ q = q, k = routed(k), v = routed(v), over = "top ki kj", dot = "d", scale = o.scale or q.d^-0.5 }
  return y:merge"h = hb hi, w = wb wi", rh * o.regions + rw
end

-- With its projections, as published weights store it. x: b h w c; o: heads, regions, top, side (the kernel of the
-- positions, a depthwise convolution of v), scale (c^-0.5: the whole width), auto_pad (zeros before the projection:
-- padded tokens are q = k = v = bias and take part)
local function module(x, name, o)
  local S, H, W, c = o.regions, x.h, x.w, x.c
  if o.auto_pad then x = x:pad{ h = {0, -H % S}, w = {0, -W % S}, border = 0 } end
  local q, k, v = linear(x, name .. ".qkv.qkv", ("part=3 head=%d d=%d"):format(o.heads, c // o.heads)):parts"part"
  local y, chosen = attention(q, k, v, { regions = S, top = o.top, scale = o.scale or c^-0.5 })
  y = y:merge"c = head d" + conv2d(v:merge"c = head d", name .. ".lepe", { kernel = o.side, depthwise = true })
  return linear(y, name .. ".wo", "c=" .. c):slice{ h = {0, H}, w = {0, W} }, chosen
end

if ... then return { attention = attention, module = module } end
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
local y = attention(q, k, v, { regions = config.regions or 7, top = config.top or 4, scale = config.scale })
output("o", y, "b head h w d")
