-- One query: the class token looks at all tokens, itself included (CrossViT, Chen et al., arXiv:2103.14899).
-- As a spec: q: b head d; k, v: b head n d; config: scale (d^-0.5)
-- require "attention/class_query": module(x, name, o)

-- x: b n c, token 0 is the class; the answer: b c. name.wq, name.wk, name.wv, name.proj; o: num_heads, qkv_bias (true),
-- qk_scale
local function module(x, name, o)
  local heads, bias = ("head=%d d=%d"):format(o.num_heads, x.c // o.num_heads), { bias = o.qkv_bias ~= false }
  local q = linear(x{ n = 0 }, name .. ".wq", heads, bias)
  local k, v = linear(x, name .. ".wk", heads, bias), linear(x, name .. ".wv", heads, bias)
  local y = attend{ q = q, k = k, v = v, over = "n", dot = "d", scale = o.qk_scale or q.d^-0.5 }
  return linear(y:merge"c = head d", name .. ".proj", "c=" .. x.c)
end

if ... then return { module = module } end
local q, k, v = input("q", "b head d"), input("k", "b head n d"), input("v", "b head n d")
output("o", attend{ q = q, k = k, v = v, over = "n", dot = "d", scale = config.scale or q.d^-0.5 }, "b head d")
