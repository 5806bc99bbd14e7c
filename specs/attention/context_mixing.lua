-- ContMix (OverLoCK, Lou and Yu, arXiv:2502.20087): a convolution whose kernels are made from the affinity of each
-- position to a summary of the context; two kernels, each for half of the channels.
-- As a spec: x, near: b c h w; context: b e h w; config: num_heads (4), kernel_size (13), smk_size (5)
-- require "attention/context_mixing": the function

local function pooled(x, n, m) return bins("h = ph, w = pw", { ph = n, pw = m })(x):mean"h w" end
local function conv_bn(x, conv, bn, out, eps)
  return batch_norm(linear(x, conv, "c=" .. out, { bias = false, ones = 2 }), bn, eps)
end

-- value, near: maps with the same c; context: a map of any c. o: heads, kernel, small, pool (7), eps of the batch norms
local function mixed(value, near, context, name, o)
  local K, S, P, C, G = o.kernel, o.small, o.pool or 7, value.c, 2 * o.heads
  local group, eps = split("c = head d", { head = G }), o.eps or 1e-5
  local q = conv_bn(near, name .. ".weight_query.0", name .. ".weight_query.1", C // 2, eps)
  local k = conv_bn(pooled(context, P, P), name .. ".weight_key.1", name .. ".weight_key.2", C // 2, eps)
  local affinity = contract(group(q), group(k), "d") * (C // G)^-0.5                 -- b head h w ph pw
  local all = { o = S * S + K * K, ph = P, pw = P }
  local W = { param(name .. ".weight_proj.weight", "o (ph pw) 1 1", all):slices("o", S * S, K * K) }
  local bias = { param(name .. ".weight_proj.bias", "o", all):slices("o", S * S, K * K) }
  local v = { value:split("c = half=2 head d", { head = G }):parts"half" }
  local h, w = value:index"h", value:index"w"
  local function mix(i, m)                              -- a softmax over m x m taps; at the borders the window moves in
    local at, taps = window{ h = "u=" .. m, w = "v=" .. m, border = "shift" }, split("o = u v", { u = m, v = m })
    local rpb = param(name .. ".rpb" .. i, "head y x", { head = G, y = 2 * m - 1, x = 2 * m - 1 })
    local b = taps(bias[i])
    return attend{ q = affinity, k = taps(W[i]), v = at(v[i]), over = "u v", dot = "ph pw",
      score = function(s) return s + b + rpb{ y = at(h) - h + m - 1, x = at(w) - w + m - 1 } end }
  end
  return stack("half", { mix(1, S), mix(2, K) }):merge"c = half head d"
end

-- A map shorter than the kernel is enlarged, and the answer pooled back.
local function contmix(value, near, context, name, o)
  local H, W, K = value.h, value.w, o.kernel
  if math.min(H, W) >= K then return mixed(value, near, context, name, o) end
  local size = ("h=%d w=%d"):format(H < W and K or K * H // W, H < W and K * W // H or K)
  local y = mixed(resize(value, size), resize(near, size), resize(context, size), name, o)
  return pooled(y, H, W):as"ph=h pw=w"
end

if ... then return contmix end
local x, near, context = input("x", "b c h w"), input("near", "b c h w"), input("context", "b e h w")
local y = contmix(x, near, context:as"e=c", "", { heads = config.num_heads or 4, kernel = config.kernel_size or 13,
  small = config.smk_size or 5 })
output("output", y, "b c h w")
