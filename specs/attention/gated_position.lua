-- Gated positional attention (ConViT, d'Ascoli et al., arXiv:2103.10697): two softmaxes, one of the content and one of
-- the place of the key relative to the query, mixed by a gate per head.
-- As a spec: q, k, v: b head h w d; config: scale (d^-0.5)
-- require "attention/gated_position": attention(q, k, v, name, o), module(x, name, o)

-- o: scale. name.pos_proj: weights of (dx, dy, dx^2 + dy^2) per head; name.gating_param: the gate, before the sigmoid
local function attention(q, k, v, name, o)
  local h, m = q:pair"h"                                 -- of the query, of the key
  local w, n = q:pair"w"
  local dx, dy = float(n - w), float(m - h)
  local r = stack("r", { dx + dy * 0, dx * 0 + dy, dx^2 + dy^2 })
  local sizes = { head = q.head, r = 3 }
  local s = contract(param(name .. ".pos_proj.weight", "head r", sizes), r, "r")
  local place = softmax(s + param(name .. ".pos_proj.bias", "head", sizes), "h' w'")        -- head h w h' w'
  local g = sigmoid(param(name .. ".gating_param", "head", sizes))
  return attend{ q = q, k = k, v = v, over = "h w", dot = "d", scale = o.scale or q.d^-0.5,
    weight = function(p) return (1 - g) * p + g * place end }
end

-- With its projections: name.qk (part head d), name.v, name.proj. x: b h w c; o: num_heads, qkv_bias (false), qk_scale
local function module(x, name, o)
  local heads, bias = ("head=%d d=%d"):format(o.num_heads, x.c // o.num_heads), { bias = o.qkv_bias or false }
  local q, k = linear(x, name .. ".qk", "part=2 " .. heads, bias):parts"part"
  local y = attention(q, k, linear(x, name .. ".v", heads, bias), name, { scale = o.qk_scale })
  return linear(y:merge"c = head d", name .. ".proj", "c=" .. x.c)
end

if ... then return { attention = attention, module = module } end
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
output("o", attention(q, k, v, "", { scale = config.scale }), "b head h w d")
