-- Linear attention with a floor under its denominator (L2ViT, Zheng, arXiv:2501.16182).
-- As a spec: q, k, v: b head n d; config: clamp_min (100); a temperature per head
-- require "attention/clamped_linear": attention(q, k, v, over, name, o), module(x, name, o)

-- y = temperature * relu(q) . sum relu(k) v / max(relu(q) . sum relu(k), clamp_min); over: the tokens. The floor is not
-- scaled: with few tokens, or small ones, it is what divides.
local function attention(q, k, v, over, name, o)
  local t = param(name .. ".temperature", "head 1 1", { head = q.head })
  return attend{ q = relu(q), k = relu(k), v = v, over = over, dot = "d", scale = 1,
    normalise = ratio{ floor = o.clamp_min or 100.0 }, weight = function(p) return t * p end }
end
-- With its projections: name.qkv (part head d), name.proj. x: b n c, or a map b h w c; o: num_heads, qkv_bias (true),
-- clamp_min
local function module(x, name, o)
  local order = ("part=3 head=%d d=%d"):format(o.num_heads, x.c // o.num_heads)
  local q, k, v = linear(x, name .. ".qkv", order, { bias = o.qkv_bias ~= false }):parts"part"
  local y = attention(q, k, v, x.ext.n and "n" or "h w", name, o)
  return linear(y:merge"c = head d", name .. ".proj", "c=" .. x.c)
end

if ... then return { attention = attention, module = module } end
local q, k, v = input("q", "b head n d"), input("k", "b head n d"), input("v", "b head n d")
output("o", attention(q, k, v, "n", "", config), "b head n d")
