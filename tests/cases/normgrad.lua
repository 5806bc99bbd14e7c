-- NormGrad: vector-Jacobian products as graphs, and the five virtual layers. Every layer gives its value and its
-- pullback g -> gradient of the input
local eps = config.bn_eps
local function conv_bn(x, conv, bn, opt)
  local w = param(conv .. ".weight", "c' c ky kx")
  local scale = param(bn .. ".weight", "c") * rsqrt(param(bn .. ".running_var", "c") + eps)
  return batch_norm(conv2d(x, conv, opt), bn, eps), function(g) return conv_back((g * scale), w, x, opt) end end
local function rectify(x) return relu(x), function(g) return where(lt(0, x), g, 0.0) end end
-- the winner of a window takes it; dropped rows get nothing
local function pool_max(x, k)
  local taps = { h = "ky=" .. k, w = "kx=" .. k, stride = k, pad = 0 }
  local ky, kx, y = top(x:window(taps), "ky kx", 1, "one")
  local function first(t) return t{ one = 0 } end
  ky, kx = first(ky), first(kx)
  return first(y), function(g)
    local back = unwindow(taps, x)
    local won = eq(back(ky), axis("ky", k)) & eq(back(kx), axis("kx", k))
    return where(won, back(g), 0.0):sum"ky kx" end end
local function pool_adaptive(x, n)
  local bin = bins(("h = ph=%d, w = pw=%d"):format(n[1], n[2]))
  local one = bin(const("one=1", { 1.0 }){ one = 0 }:along(("h=%d w=%d"):format(x.h, x.w)))
  local size = one:sum"h w"
  return bin(x):mean"h w", function(g) return contract(one, (g / size), "ph pw") end end
local function dense_layer(x, name, shape)                                               -- over "c ph pw"
  local w = param(name .. ".weight", "o " .. shape)
  return (contract(x, w, "c ph pw") + param(name .. ".bias", "o")), function(g) return contract(g, w, "o") end end

local function bottleneck(x, name, stride)
  local y1, b1 = conv_bn(x, name .. "conv1", name .. "bn1")
  local r1, d1 = rectify(y1)
  local y2, b2 = conv_bn(r1, name .. "conv2", name .. "bn2", { stride = stride, pad = 1 })
  local r2, d2 = rectify(y2)
  local y3, b3 = conv_bn(r2, name .. "conv3", name .. "bn3")
  local s, bs = x, function(g) return g end
  if has_param(name .. "downsample.0.weight") then
    s, bs = conv_bn(x, name .. "downsample.0", name .. "downsample.1", { stride = stride })
  end
  local y, d = rectify(y3 + s)
  return y, function(g)
    g = d(g)
    return b1(d1(b2(d2(b3(g))))) + bs(g)
  end
end
local function vgg_tail(x)
  local y, b1 = conv_bn(x, "conv", "bn", { pad = 1 })
  local r, b2 = rectify(y)
  local p, b3 = pool_max(r, config.pool[1])
  local a, b4 = pool_adaptive(p, config.adaptive)
  local z, b5 = dense_layer(a, "fc", ("(c=%d ph=%d pw=%d)"):format(a.c, a.ph, a.pw))
  return z, function(g) return b1(b2(b3(b4(b5(g))))) end end

-- phase 1: the vector of every position, and its axes
local function virtual(x, g)
  local d, near = g:as"c=d", window{ h = "ky=3", w = "kx=3", border = 0 }(x)
  return { scaling = { -(x * g), "c" }, conv1x1 = { -outer(x, d), "c d" }, conv3x3 = { -outer(near, d), "c ky kx d" },
    conv3x3_depthwise = { -(near * g), "c ky kx" }, bias = { -g, "c" } } end
local collapse = {                                                                       -- phase 2
  sum = function(v, a) return v:sum(a) end, max = function(v, a) return v:max(a) end, norm = function(v, a)
    return sqrt((v^2):sum(a)) end,
  filter_norm = function(v, a) return sqrt((relu(v)^2):sum(a)) end }
-- A whole ResNet: the logits, and what its blocks answered and the gradient of minus the target's logit there, by name
local function resnet(x, target)
  local blocks = {}
  x = max_pool(relu(batch_norm(conv2d(x, "conv1", { stride = 2 }), "bn1", eps)), 3, 2, "h w", { pad = 1 })
  for stage = 1, 4 do
    local i = 0
    while has_param(("layer%d.%d.conv1.weight"):format(stage, i)) do
      local b = { name = ("layer%d.%d"):format(stage, i) }
      b.x, b.back = bottleneck(x, b.name .. ".", stage > 1 and i == 0 and 2 or 1)
      x, i, blocks[#blocks + 1] = b.x, i + 1, b
    end
    blocks[#blocks].last = "layer" .. stage
  end
  local g, taps = (param("fc.weight", "k c"){ k = target } * (-1 / (x.h * x.w))):along(x), {}
  for i = #blocks, 1, -1 do
    local b = blocks[i]
    taps[b.name] = { b.x, g }
    if b.last then taps[b.last] = taps[b.name] end
    if b.name == "layer2.0" then break end                                 -- no tap lies before it
    g = b.back(g)
  end
  return linear(x:mean"h w", "fc", "c"), taps
end

-- The virtual layers that are outer products -x_a g_d, collapsed without making the product
local function products(x, a, g, f)
  local function plus(t) return relu(t)^2 end
  if f == "norm" then return sqrt((x^2):sum(a) * (g^2):sum"c") end
  if f == "sum" then return -(x:sum(a) * g:sum"c") end
  if f == "max" then
    local lo, hi, low, high = x:min(a), x:max(a), g:min"c", g:max"c"
    return -min(lo * low, lo * high, hi * low, hi * high)
  end
  return sqrt(plus(x):sum(a) * plus(-g):sum"c" + plus(-x):sum(a) * plus(g):sum"c")
end
local function collapsed(x, g, phase1, f)
  if phase1 == "scaling" then return collapse[f](-(x * g), "c") end
  if phase1 == "conv1x1" then return products(x, "c", g, f) end
  return products(window{ h = "ky=3", w = "kx=3", border = 0 }(x), "c ky kx", g, f)
end

if config.backbone then
  local logits, taps = resnet(input("input", "b c h w"), config.target)
  output("logits", logits, "b c")
  output("grad_tap", taps[config.grad_tap][2], "b c h w")
  for _, combo in ipairs(config.combos) do
    local maps = {}
    for i, t in ipairs(config.taps) do
      maps[i] = collapsed(taps[t][1], taps[t][2], combo[1], combo[2]){ b = 0 }:merge"i = h w"
    end
    output(("raw_%s_%s"):format(combo[1], combo[2]), concat("i", maps), "i")
  end
  local saliency = 1.0
  for _, t in ipairs(config.taps) do
    local m = collapsed(taps[t][1], taps[t][2], "conv1x1", "norm"){ b = 0 }
    m = resize(m, ("h=%d w=%d"):format(config.size[1], config.size[2]))
    m = m - m:min"h w"
    saliency = m / m:max"h w" * saliency
  end
  output("saliency", saliency, "h w")
elseif config.phase1 then
  local v, raw, maps = virtual(input("x", "1 c h w"), input("g", "1 c h w")), {}, {}
  for _, p in ipairs(config.phase1) do
    for _, f in ipairs(config.phase2) do raw[#raw+1] = collapse[f](v[p][1], v[p][2]) end
    local m = resize(collapse.norm(v[p][1], v[p][2]), ("h=%d w=%d"):format(config.size[1], config.size[2]))
    m = m - m:min"h w"
    maps[#maps+1] = (m / m:max"h w")
  end
  output("raw", stack("f", raw), "f h w") output("resized", stack("f", maps), "f h w")
else
  local x = input("x", "b c h w")
  local y, back
  if config.pool then y, back = vgg_tail(x) output("y", y, "b o") output("grad_x", back(input("cotangent", "b o")),
    "b c h w")
  else y, back = bottleneck(x, "block.", config.stride) output("y", y, "b c h w") output("grad_x",
    back(input("cotangent", "b c h w")),
    "b c h w") end
end
