-- The multi-scale block of CrossViT.                       a branch is b n c, token 0 its class; x: a list of branches
local class_query = require "attention/class_query"

-- o of all: per branch num_heads, mlp_ratio; depth (blocks per branch; the last entry, that of the fusion, is 0: one
-- class query without a perceptron); qkv_bias, qk_scale, eps
local function block(x, name, i, o)
  x = residual(x, function(x)
    return self_attention(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn",
      { heads = o.num_heads[i], qkv_bias = o.qkv_bias, scale = o.qk_scale or nil })
  end):store()
  return residual(x, function(x)
    local hidden = math.floor(x.c * o.mlp_ratio[i])
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", { hidden = hidden })
  end):store()
end

local function cross(x, name, heads, o) -- the class alone: b c
  return x{ n = 0 } + class_query.module(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn",
    { num_heads = heads, qkv_bias = o.qkv_bias, qk_scale = o.qk_scale or nil })
end

local function multiscale(x, name, o)
  if o.depth[#x + 1] ~= 0 then
    error "depth: the last entry of a block is 0; fusions with a perceptron are not built"
  end
  for i = 1, #x do
    for j = 1, o.depth[i] do x[i] = block(x[i], ("%s.blocks.%d.%d"):format(name, i - 1, j - 1), i, o) end
  end
  local function change(c, name, i) -- to the width of branch i
    return linear(gelu(layer_norm(c, name .. ".0", o.eps)), name .. ".2", "c=" .. x[i].c)
  end
  local function with_class(c, x) return concat("n", { c:along"n=1", x:slice{ n = { 1, x.n - 1 } } }) end
  local r = {}
  for i = 1, #x do                                       -- class i among the patches of the next branch, and back
    local j = i % #x + 1
    local c = change(x[i]{ n = 0 }, ("%s.projs.%d"):format(name, i - 1), j)
    c = cross(with_class(c, x[j]), ("%s.fusion.%d"):format(name, i - 1), o.num_heads[j], o)
    r[i] = with_class(change(c, ("%s.revert_projs.%d"):format(name, i - 1), i), x[i]):store()
  end
  return r
end

return { cross = cross, multiscale = multiscale }
