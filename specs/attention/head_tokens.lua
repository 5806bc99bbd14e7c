-- Head tokens (HI-MHSA; DHVT, Lu et al., arXiv:2210.05958): every head says in one token what it sees of all, these
-- join queries and keys, and what they answer goes to the class token.
-- require "attention/head_tokens": module(x, name, o); as a spec: x: b n c; config: what o takes

-- x: b n c, token 0 is the class. o: num_heads, qkv_bias (true), ht_norm_eps (1e-5). name.ht_proj (one for all heads),
-- name.ht_norm, name.pos_embed (of the head tokens), name.qkv, name.proj
local function module(x, name, o)
  local heads, c = o.num_heads, x.c
  local e, d = ("head=%d e=%d"):format(heads, c // heads), ("part=3 head=%d d=%d"):format(heads, c // heads)
  local t = x:mean"n":split("c = from d", { from = heads })
  t = linear(t, name .. ".ht_proj", e, { over = "d" })
  t = gelu(layer_norm(t, name .. ".ht_norm", o.ht_norm_eps, "e")):merge"c = head e":as"from=n"
  t = t + param(name .. ".pos_embed", "1 n c", { n = heads, c = c })
  local q, k, v = linear(concat("n", { x, t }), name .. ".qkv", d, { bias = o.qkv_bias ~= false }):parts"part"
  local y = attend{ q = q, k = k, v = v, over = "n", dot = "d" }
  y, t = linear(y:merge"c = head d", name .. ".proj", "c=" .. c):slices("n", x.n, heads)
  return where(eq(y:index"n", 0), y + t:mean"n", y)
end

if ... then return { module = module } end
output("y", module(input("x", "b n c"), "", config), "b n c")
