-- Channel attention (DaViT, Ding et al., arXiv:2204.03645): channels attend to the channels of their head; a score is a
-- sum over all tokens.
-- As a spec: q, k, v: b head n d; config: scale (n^-0.5)
-- require "attention/channel": module(x, name, o)

-- As published weights store it: name.qkv, (part head d) by c, and name.proj. x: b n c, or a map b h w c
-- o: num_heads, qkv_bias (true), v2 (Florence-2's form: q asks k, scale tokens^-0.5). The first form asks v with k,
-- scale d^-0.5, and reads q.
local function module(x, name, o)
  local tokens = x.ext.n and "n" or "h w"
  local order = ("part=3 head=%d d=%d"):format(o.num_heads, x.c // o.num_heads)
  local q, k, v = linear(x, name .. ".qkv", order, { bias = o.qkv_bias ~= false }):parts"part"
  local y
  if o.v2 then y = attend{ q = q, k = k, v = v, over = "d", dot = tokens }
  else y = attend{ q = k, k = v, v = q, over = "d", dot = tokens, scale = q.d^-0.5 } end
  return linear(y:merge"c = head d", name .. ".proj", "c=" .. x.c)
end

if ... then return { module = module } end
local q, k, v = input("q", "b head n d"), input("k", "b head n d"), input("v", "b head n d")
output("o", attend{ q = q, k = k, v = v, over = "d", dot = "n", scale = config.scale }, "b head n d")
