-- Bi-directional hybrid framework: attention between whole frames, live batch norm, coupled ConvLSTM cells
local function attention(x, y, mask, name, heads)
  local C = x.c
  local function proj(x, n) return conv2d(x, name .. n):split(("c = head=%d d"):format(heads)) end
  y, mask = y:as"t=s", mask:as"t=s"
  local q, k, v = proj(x, "q_conv"), proj(y, "k_conv"), proj(y, "v_conv")
  local scale = (C // heads * x.h * x.w)^-0.5
  local o = attend{ q = q, k = k, v = v, over = "s", dot = "d h w", score = function(s)
    return where(mask, s * scale, -1e9) end }
  return conv2d(o:merge"c = head d", name .. "out")
end
-- statistics of this batch, also at inference
local function live_norm(x, name)
  return (standardise(x, "b t h w", config.bn_eps) * param(name .. ".norm.weight", "c") + param(name .. ".norm.bias",
    "c")) end
local function encoder(x, mask, name)
  local n = live_norm(x, name .. "norm_1")
  x = (x + attention(n, n, mask, name .. "attn.", config.heads))
  local f = leaky_relu(conv2d(live_norm(x, name .. "norm_2"), name .. "ff.conv_1"), config.leaky_slope)
  return x + conv2d(f, name .. "ff.conv_2")
end
-- x: t b c h w; other: hidden states of the other cell, or none
local function convlstm(x, other, name)
  local F = config.num_features
  local zero = (x{ t = 0 } * 0.0)                                                -- here input and state have one width
  return (scan{ over = "t", init = { zero, zero }, step = function(S)
    local h, c = table.unpack(S)
    local z = concat("c", { x, h, other or zero })
    z = group_norm(conv2d(z, name .. "conv.0"), name .. "conv.1", config.gn_eps, 4 * F // 32)
    local i, f, g, o = z:split("c = gate=4 c"):parts"gate"                               -- input, forget, cell, output
    c = (sigmoid(f) * c + sigmoid(i) * tanh(g))
    h = (sigmoid(o) * tanh(c))
    return { h, c }, h end})
end
if config.seq_q then output("y", attention(input("q", "b t c h w"), input("kv", "b t c h w"), input("mask", "b 1 t"),
  "", config.heads), "b t c h w")
elseif config.filter_size then
  local alpha = convlstm(input("x1", "t b c h w"), nil, "alpha.")
  output("alpha", alpha, "t b c h w")
  output("beta", convlstm(input("x2", "t b c h w"), alpha, "beta."), "t b c h w")
else output("y", encoder(input("x", "b t c h w"), input("mask", "b 1 t"), ""), "b t c h w") end
