-- Blocks of queries, each with its block of keys and a halo around it (HaloNet, Vaswani et al., arXiv:2103.12731).
-- As a spec: q, k, v: b head h w d; config: block (8), halo (3)
-- require "attention/halo": attention(q, k, v, name, o), module(x, name, o)

-- o: block (the side of a block of keys), halo, queries (that of a block of queries, where q is coarser than k), scale.
-- Keys outside the map are zeros and take part. name.height_rel, name.width_rel: a row per distance, the unscaled
-- query's product with it is added; a query's place is counted in its own block, also where that is coarser.
local function attention(q, k, v, name, o)
  local n, win = o.queries or o.block, o.block + 2 * o.halo
  local near = window{ h = "hb u=" .. win, w = "wb v=" .. win, stride = o.block, pad = o.halo, border = 0 }
  q = q:split("h = hb hi, w = wb wi", { hi = n, wi = n })
  local function relative(of, r)
    return contract(q, param(name .. of, r .. " d", { [r] = 2 * win - 1, d = q.d }), "d")
  end
  local ry, rx = relative(".height_rel", "y"), relative(".width_rel", "x")
  local i, j, ki, kj = q:index"hi", q:index"wi", axis("u", win), axis("v", win)
  local y = attend{ q = q, k = near(k), v = near(v), over = "u v", dot = "d", score = function(s)
    local place = ry{ y = ki - i + win - 1 } + rx{ x = kj - j + win - 1 }
    return o.scale_pos_embed and (s + place) * q.d^-0.5 or s * q.d^-0.5 + place end }
  return y:merge"h = hb hi, w = wb wi"
end

-- With its projections, as timm's HaloAttn stores them: name.q, name.kv (per head k, then v). x: b h w c
-- o: dim_out (c), stride (1; 2 takes every second query, or pools the answers where the block is odd), num_heads (8),
-- dim_head, block_size (8), halo_size (3), qk_ratio (1), qkv_bias (false), avg_down (pool in any case), scale_pos_embed
local function module(x, name, o)
  local heads, b, out, stride = o.num_heads or 8, o.block_size or 8, o.dim_out or x.c, o.stride or 1
  local dk, dv = o.dim_head or divisible(out * (o.qk_ratio or 1)) // heads, out // heads
  local pooled = stride > 1 and (o.avg_down or b % stride > 0)
  local step, bias = pooled and 1 or stride, o.qkv_bias or false
  local by_head = split("c = head d", { head = heads })
  local q = by_head(conv2d(x, name .. ".q", { out = heads * dk, kernel = 1, stride = step, bias = bias }))
  local kv = by_head(conv2d(x, name .. ".kv", { out = heads * (dk + dv), kernel = 1, bias = bias }))
  local k, v = kv:slices("d", dk, dv)
  local y = attention(q, k, v, name .. ".pos_embed", { block = b, halo = o.halo_size or 3, queries = b // step,
    scale_pos_embed = o.scale_pos_embed }):merge"c = head d"
  return pooled and avg_pool(y, 2, 2) or y
end

if ... then return { attention = attention, module = module } end
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
output("o", attention(q, k, v, "", { block = config.block or 8, halo = config.halo or 3 }), "b head h w d")
