-- A window around each query and the pooled map, in one softmax (TransNeXt, Shi, arXiv:2311.17132).
-- As a spec: q, k, v: b head h w d; config: window (3), pool (7: a pooled map of 7 x 7)
-- require "attention/window_pooled": aggregated(x, name, o), global(x, name, o)

-- continuous position bias: a small network of the offset from query to key, i and j to y and x (log-spaced, scaled by
-- o.grid, the map of pretraining)
local function position_bias(i, j, y, x, name, o)
  local function f(offset, n) local t = offset * 8 / (n - 1) return sign(t) * log2(1 + abs(t)) / 3 end
  local size = { f = o.cpb_hidden, z = 2 }
  local W, B = param(name .. ".cpb_fc1.weight", "f z", size), param(name .. ".cpb_fc1.bias", "f", size)
  local dy, dx = f(i:along(y) - y, o.grid[1]), f(j:along(x) - x, o.grid[2])
  local hidden = relu(outer(dy:along(dx), W{ z = 0 }) + outer(dx, W{ z = 1 }) + B)
  return linear(hidden, name .. ".cpb_fc2", "head=" .. o.heads, { over = "f" })
end
-- a learned query, a temperature, the logarithm of the row's length
local function scaled(q, name, keys)
  local size = { head = q.head, d = q.d }
  local e, t = param(name .. ".query_embedding", "head 1 d", size), param(name .. ".temperature", "head 1 1", size)
  return (q + e) * softplus(t) * log(keys)
end
local function heads(x, o, parts) return ("part=%d head=%d d=%d"):format(parts, o.heads, x.c // o.heads) end

-- The o.window x o.window keys around a query and a pooled map of o.pool = { P, Q } keys; a learned term on the window
-- is added after the softmax. x: b h w c; o: heads, window, pool, grid, cpb_hidden, qkv_bias, pool_eps, l2_eps
local function aggregated(x, name, o)
  local K, P, Q, c, h, w = o.window, o.pool[1], o.pool[2], x.c, x:index"h", x:index"w"
  local near = window{ h = "u=" .. K, w = "v=" .. K, border = "cut" }           -- what lies outside is no key
  local bin = bins("h = ph, w = pw", { ph = P, pw = Q })
  local function normal(x) return unit(x, "d", o.l2_eps) end
  local function kv(z) return linear(z, name .. ".kv", heads(x, o, 2), { bias = o.qkv_bias }):parts"part" end
  local size = { head = o.heads, d = c // o.heads, u = K, v = K }
  local function window_param(s, order) return param(name .. s, order, size) end
  local qn = normal(linear(x, name .. ".q", heads(x, o, 1), { bias = o.qkv_bias }){ part = 0 })
  local q = scaled(qn, name, outer(near(h):count"u", near(w):count"v") + P * Q)
  local pooled = bin(gelu(conv2d(x, name .. ".sr", { out = c, kernel = 1 }))):mean"h w"
  local k, v = kv(x)
  local kp, vp = kv(layer_norm(pooled, name .. ".norm", o.pool_eps))
  local bias = window_param(".relative_pos_bias_local", "head (u v)")
  local cpb = position_bias(h, w, bin(h):mean"h", bin(w):mean"w", name, o)
  local place = contract(qn, window_param(".learnable_tokens", "head d (u v)"), "d") +
    window_param(".learnable_bias", "head 1 (u v)")
  local y = attend{ q = q, dot = "d",
    { k = near(normal(k)), v = near(v), over = "u v", score = function(s) return s + bias end,
      weight = function(p) return p + place end },
    { k = normal(kp), v = vp, over = "ph pw", score = function(s) return s + cpb end } }
  return linear(y:merge"c = head d", name .. ".proj", "c=" .. c)
end

-- The whole map, with the same cosine scores
local function global(x, name, o)
  local q, k, v = linear(x, name .. ".qkv", heads(x, o, 3), { bias = o.qkv_bias }):parts"part"
  local h, w = x:index"h", x:index"w"
  local cpb = position_bias(h, w, h:as"h=h'", w:as"w=w'", name, o)
  local y = attend{ q = scaled(unit(q, "d", o.l2_eps), name, x.h * x.w), k = unit(k, "d", o.l2_eps), v = v,
    over = "h w", dot = "d", score = function(s) return s + cpb end }
  return linear(y:merge"c = head d", name .. ".proj", "c=" .. x.c)
end

if ... then return { aggregated = aggregated, global = global } end
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
local K, P = config.window or 3, config.pool or 7
local near = window{ h = "u=" .. K, w = "v=" .. K, border = "cut" }
local pooled = function(x) return bins("h = ph, w = pw", { ph = P, pw = P })(x):mean"h w" end
local bias = param("bias", "head u v", { head = q.head, u = K, v = K })
local o = attend{ q = q, dot = "d", scale = q.d^-0.5,
  { k = near(k), v = near(v), over = "u v", score = function(s) return s + bias end },
  { k = pooled(k), v = pooled(v), over = "ph pw" } }
output("o", o, "b head h w d")
