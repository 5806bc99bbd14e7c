-- UFC: features and a 4-D cost volume refined together. Cost: b head sh sw th tw (source, target); features: b h w c
local function plain(s) return s end
-- maximum over s x s blocks, the last ones cut
local function pool(x, y, z, s)
  return s == 1 and x or window{ [y] = "ky=" .. s, [z] = "kx=" .. s, stride = s, pad = 0, ceil = true,
    border = "cut" }(x):max"ky kx" end
-- centre-pivot 4-D convolution, GN over everything, ReLU
local function encoder(x, name, kernels, strides)
  for i, k in ipairs(kernels or { 3 }) do
    local n, s = ("%s.%d."):format(name, i - 1), strides and strides[i] or 1
    local function half(x, conv, taps)
      return convolve(x, param(n .. "0." .. conv .. ".weight", "head' head ky kx"), "head", taps,
        { stride = s, pad = k // 2 }):as"head'=head" + param(n .. "0." .. conv .. ".bias", "head") end
    local y = half(pool(x, "th", "tw", s), "query_conv", "sh=ky sw=kx") + half(pool(x, "sh", "sw", s), "supp_conv",
      "th=ky tw=kx")
    x = relu(standardise(y, "head sh sw th tw", config.gn_eps) * param(n .. "1.weight", "head") + param(n .. "1.bias",
      "head"))
  end
  return x end
local function correlation(a, b)                                                         -- cosine; a: source, b: target
  local function u(x) return (x / (sqrt((x^2):sum"c") + (config.corr_eps or config.eps))) end
  return contract(u(a):as"h=sh w=sw", u(b):as"h=th w=tw", "c") end

local function layer(cost, src, trg)
  local heads, C, F, T = config.nhead, config.d_model, config.feat_size, config.corr_size
  local head, r = ("head=%d d=%d"):format(heads, C // heads), F[1] // T
  local swap = function(x) return x:as"sh=th sw=tw th=sh tw=sw" end
  local function up(x) return resize(x, ("sh=%d sw=%d"):format(F[1], F[2]), true):as"sh=h sw=w" end
  local function down(x) return resize(x:as"h=sh w=sw", ("sh=%d sw=%d"):format(T, T), true) end
  local function mlp(x, name)
    local y = gelu(conv2d(linear(x, name .. ".0", "c=" .. math.floor(config.expand_ratio * C)), name .. ".1.dwconv"))
    return linear(y, name .. ".3", "c=" .. C) end
  -- linear attention, one q and k, two value streams
  local function self_part(cost, x)
    local f = layer_norm(x, "norm1", config.ln_eps)
    local both = concat("c", { up(cost):merge"c = head th tw", f })
    local pos = param("pos_embed", ("1 (h=%d w=%d) 1 d"):format(F[1], F[2]))
    local function phi(name) local y = linear(both, name, head) + pos return where(lt(0, y), y + 1, exp(y)) end
    local q, k = phi"q_proj", phi"k_proj"
    local den = (contract(q, k:sum"h w", "d") + config.attn_eps)
    local function message(v) return contract(q, contract(k, v, "h w"), "d") / den end
    x = (x + message(linear(f, "v_proj", head):as"d=e"):merge"c = head e")
    cost = (cost + down(message(up(encoder(cost, "v_proj_corr.conv4d")))))
    return (cost + encoder(cost, "mlp_corr.conv4d", { 3, 3 })), (x + mlp(layer_norm(x, "norm2", config.ln_eps),
      "mlp")) end
  local f2c = config.feat_to_corr
  local function refresh(cost, src, trg, enc, refine)
    cost = (cost + encoder(correlation(src, trg):along"head=1", enc .. ".conv4d", { f2c.kernel_size }, { f2c.stride }))
    return (cost + encoder(cost, refine .. ".conv4d", { 3, 3 })) end
  local function value(x) return linear(layer_norm(x:split(("h = h ph=%d, w = w pw=%d"):format(r, r)):mean"ph pw",
    "norm_cross1", config.ln_eps), "v_cross", head) end
  -- o: b head h w d, repeated r x r
  local function receive(x, o)
    x = x + o:merge"c = head d"{ h = x:index"h" // r, w = x:index"w" // r }
    return (x + mlp(layer_norm(x, "norm_cross2", config.ln_eps), "mlp_cross")) end

  local cs, s = self_part(cost, src)
  local ct, t = self_part(swap(cost), trg)
  cost = refresh((cs + swap(ct)), s, t, "feat_to_corr1", "mlp_refine_corr")
  -- the refined cost itself is the logit
  local vs, vt = value(s):as"h=sh w=sw", value(t):as"h=th w=tw"
  s = receive(s, attend{ s = cost, v = vt, over = "th tw" }:as"sh=h sw=w")
  t = receive(t, attend{ s = cost, v = vs, over = "sh sw" }:as"th=h tw=w")
  return refresh(cost, s, t, "feat_to_corr2", "mlp_refine_corr2"), s, t
end

if config.beta then
  local n, cost = config.out, 0
  for i = 0, #config.sizes - 1 do
    cost = cost + resize(correlation(input("src" .. i, "b c h w"), input("trg" .. i, "b c h w")),
      ("sh=%d sw=%d th=%d tw=%d"):format(n, n, n, n), true)
  end
  cost = (cost / #config.sizes)
  local line = function(a) return axis(a, n) * (2 / (n - 1)) - 1 end
  local function where_to(x, y, over)
    local v = stack("xy", { line(x):along(axis(y, n)), line(y):along(axis(x, n)) })
    return attend{ s = cost / config.beta, v = v, over = over } end
  output("flow_t_to_s", where_to("tw", "th", "th tw"), "b xy sh sw")
  output("flow_s_to_t", where_to("sw", "sh", "sh sw"), "b xy th tw")
elseif config.corr_levels then
  local k, s = {}, {} for i, t in ipairs(config.kernel_size) do k[i], s[i] = t[1], config.stride[i][1] end
  output("y", encoder(input("corr", "b head sh sw th tw"), "conv4d", k, s), "b head sh sw th tw")
else
  local F = ("b (h=%d w=%d) c"):format(config.feat_size[1], config.feat_size[2])
  local cost, s, t = layer(input("corr", "b head sh sw th tw"), input("src", F), input("trg", F))
  output("corr_out", cost, "b head sh sw th tw") output("src_out", s, "b (h w) c") output("trg_out", t, "b (h w) c")
end
