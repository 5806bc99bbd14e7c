-- TransNeXt: aggregated attention (window and pooled keys in one softmax), global attention, the block.    x: b h w c
-- continuous position bias: a small network of the offset from query to key (i, j to y, x)
local function position_bias(i, j, y, x, name)
  local pre = config.pretrain_resolution
  local function f(delta, n) local t = delta * 8 / (n - 1) return sign(t) * log2(1 + abs(t)) / 3 end
  local offset = stack("z", { f(i:along(y) - y, pre[1]), f(j:along(x) - x, pre[2]) })
  local hidden = relu(linear(offset, name..".cpb_fc1", "f=512", { over = "z" }))
  return linear(hidden, name..".cpb_fc2", "head="..config.num_heads, { over = "f" })
end
local function scaled_query(qn, name, keys)          -- learned query, temperature, length of the row
  local e, t = param(name..".query_embedding", "head 1 d"), param(name..".temperature", "head 1 1")
  return ((qn + e) * softplus(t) * log(keys))
end

local function aggregated(x, name, eps)
  local C, heads = x.c, config.num_heads
  local P = config.fixed_pool_size or { x.h // config.sr_ratio, x.w // config.sr_ratio }
  local hd = ("head=%d d"):format(heads)
  local near = window{ h = "u=3", w = "v=3", border = "cut" }
  local bin = bins("h = ph, w = pw", { ph = P[1], pw = P[2] })
  local h, w = x:index"h", x:index"w"
  local kv = function(z) return linear(z, name..".kv", "part=2 "..hd):parts"part" end

  local qn = unit(linear(x, name..".q", hd), "d", config.l2_eps)
  -- keys inside the image: 9, 6, 4
  local n = outer(near(h):count"u", near(w):count"v")
  local q = scaled_query(qn, name, n + P[1] * P[2])
  local k, v = kv(x)
  local pooled = layer_norm(bin(gelu(conv2d(x, name..".sr"))):mean"h w", name..".norm", eps)
  local kp, vp = kv(pooled)
  local cpb = position_bias(h, w, bin(h):mean"h", bin(w):mean"w", name)
  local local_bias = param(name..".relative_pos_bias_local", "head (u=3 v=3)")
  local learned = contract(qn, param(name..".learnable_tokens", "head d (u=3 v=3)"),
    "d") + param(name..".learnable_bias", "head 1 (u=3 v=3)")
  learned = learned
  local o = attend{ q = q, dot = "d",
    { k = near(unit(k, "d", config.l2_eps)), v = near(v), over = "u v",
      score = function(s) return s + local_bias end, weight = function(p) return p + learned end },
    { k = unit(kp, "d", config.l2_eps), v = vp, over = "ph pw", score = function(s) return s + cpb end } }
  return linear(o:merge"c = head d", name..".proj", "c")
end

local function global(x, name)
  local C, heads, h, w = x.c, config.num_heads, x:index"h", x:index"w"
  local q, k, v = linear(x, name..".qkv", ("part=3 head=%d d"):format(heads)):parts"part"
  local cpb = position_bias(h, w, h:as"h=h'", w:as"w=w'", name)
  local o = attend{ q = scaled_query(unit(q, "d", config.l2_eps), name, x.h * x.w), k = unit(k, "d", config.l2_eps),
    v = v,
    over = "h w", dot = "d", score = function(s) return s + cpb end }
  return linear(o:merge"c = head d", name..".proj", "c")
end

local function attention(x, name) return (config.sr_ratio == 1 and global or aggregated)(x, name, config.pool_norm_eps
  or config.norm_eps) end
local function conv_glu(x, name)
  local a, g = linear(x, name..".fc1", "part=2 c"):parts"part"
  return linear((gelu(conv2d(a, name..".dwconv.dwconv")) * g), name..".fc2", "c")
end
local function block(x, name)
  x = (x + attention(layer_norm(x, name..".norm1", config.norm_eps), name..".attn"))
  return x + conv_glu(layer_norm(x, name..".norm2", config.norm_eps), name..".mlp")
end
local H, W = table.unpack(config.input_resolution)
local x = input("input", ("b (h=%d w=%d) c"):format(H, W))
output("output", (config.module == "Block" and block or attention)(x, ""), "b (h w) c")
