-- HaloNet (timm's HaloAttn): blocks of queries, each with a zero-haloed window of keys.    x: b h w c
local function halo_attn(x, name)
  local b, halo, heads = config.block_size, config.halo_size, config.num_heads
  local dk, dv = config.dim_head_qk, config.dim_head_v
  local win, stride, bq = b + 2 * halo, config.block_stride, config.block_size_ds          -- stride: of q alone
  local blocks = split("h = hb hi, w = wb wi, c = head d", { hi = bq, wi = bq, head = heads })
  local near = window{ h = "hb u="..win, w = "wb v="..win, stride = b, pad = halo, border = 0 }
  local q = blocks(conv2d(x, name..".q", { stride = stride }))
  local kv = conv2d(x, name..".kv"):split("c = head d", { head = heads })
  local k, v = kv:slices("d", dk, dv)
  local ry = contract(q, param(name..".pos_embed.height_rel", "y d"), "d")
  local rx = contract(q, param(name..".pos_embed.width_rel", "x d"), "d")
  local i, j, ki, kj = q:index"hi", q:index"wi", axis("u", win), axis("v", win)
  local o = attend{ q = q, k = near(k), v = near(v), over = "u v", dot = "d",
    score = function(s) return s * dk^-0.5 + ry{ y = ki - i + win - 1 } + rx{ x = kj - j + win - 1 } end }
  o = o:merge"h = hb hi, w = wb wi, c = head d"
  if config.pooled then o = window{ h = "h py=2", w = "w px=2", stride = 2, pad = 0 }(o):mean"py px" end
  return o
end
output("output", halo_attn(input("input", "b c h w"), ""), "b c h w")
