-- Salient Relevance: relevance rules of linear, convolution and pooling; context-aware saliency (the parts that are
-- graphs)
local eps = config.eps
-- z+ rule, no bias in the divisor
local function linear_rule(x, R, name)
  local V = max(param(name .. ".weight", "o c"), 0.0)
  local S = (R / (contract(x, V, "c") + eps))
  return x * contract(S, V, "o") end
local function conv_rule(x, y, R, w, stride, pad)                                        -- z rule, bias in the divisor
  return x * conv_back((R / (y + eps)), w, x, { stride = stride, pad = pad }) end
-- the winner takes it; of colliding windows the last one
local function pool_rule(x, R, K, stride)
  local taps = { h = "ky=" .. K, w = "kx=" .. K, stride = stride, pad = 0 }
  -- back: of every pixel, the windows that hold it
  local near, back = window(taps), unwindow(taps, x)
  local here = axis("h", x.h):along(axis("w", x.w)) * x.w + axis("w", x.w)               -- flat position in the plane
  local ky, kx, y = top(near(x), "ky kx", 1, "one")
  ky, kx, y = ky{ one = 0 }, kx{ one = 0 }, y{ one = 0 }
  local at = near(here){ ky = ky, kx = kx }
  local S = (R(y) / (y + eps))
  local hit = eq(back(at), here):otherwise(0)
  -- the first tap that hits belongs to the last window
  local ty, tx = argmax(hit, "ky kx")
  return y, at, x * where(hit:max"ky kx", back(S):otherwise(0.0){ ky = ty, kx = tx }, 0.0) end
-- 1 - exp(-mean of the K smallest dissimilarities)
local function context(q, qp, k, kp)
  local function distance(a, b) return sqrt(((a:along(b) - b)^2):sum"c") end
  local d = (distance(q, k) / config.colour_norm / (1 + config.c * distance(qp, kp)))
  local i, near = top(-d, "j", config.K, "t")
  i = i
  return 1 - exp(near:mean"t"), eq(i, axis("j", d.j)):any"t" end

-- AlexNet forward, then relevance of the predicted class backward, layer by layer
local function alexnet(x)
  local layers = { { 0, stride = 4, pad = 2 }, "pool", { 3 }, "pool", { 6 }, { 8 }, { 10 }, "pool" }
  local walk = {}                                                          -- pullbacks of relevance, in order
  for _, l in ipairs(layers) do
    local x0 = x
    if l == "pool" then
      local y = max_pool(x, 3, 2)
      walk[#walk + 1] = function(R) local _, _, r = pool_rule(x0, function() return R end, 3, 2) return r end
      x = y
    else
      local name, o = "features." .. l[1], { stride = l.stride, pad = l.pad }
      local y = conv2d(x, name, o)
      walk[#walk + 1] = function(R)
        local w = param(name .. ".weight", "c' c ky kx")
        return conv_rule(x0, y, R, w, l.stride or 1, l.pad or w.ky // 2)
      end
      x = relu(y)
    end
  end
  local map = x
  x = x:merge"c = c h w"
  for _, i in ipairs{ 1, 4, 6 } do
    local x0, name = x, "classifier." .. i
    walk[#walk + 1] = function(R) return linear_rule(x0, R:as"c=o", name) end
    x = linear(x, name, "c")
    if i < 6 then x = relu(x) end
  end
  local best = argmax(x, "c")
  local R = where(eq(best, axis("c", x.c)), x, 0.0)
  for i = #walk, 1, -1 do
    if i == #layers then R = R:split("c = c h w", { h = map.h, w = map.w }) end      -- the map before the classifier
    R = walk[i](R)
  end
  return x, best, R
end

if config.backbone then
  local logits, best, R = alexnet(input("input", "b c h w"))
  local s = config.subsample
  local function thin(x) return x{ h = axis("h", x.h // s) * s, w = axis("w", x.w // s) * s } end
  local heat = abs(R)
  local lo, hi = heat:min"c h w", heat:max"c h w"
  output("logits", logits, "b c")
  output("predicted", best, "b")
  output("relevance", thin(R), "b c h w")
  output("heat", thin((heat - lo) / (hi - lo) * 255), "b h w c")
elseif config.in_features then
  local x, n = relu(input("x", "b c")), "layer"
  output("y", linear(x, n, "o"), "b o")
  output("relevance_in", linear_rule(x, input("relevance", "b o"), n), "b c")
elseif config.out_channels then
  local x = input("x", "b c h w")
  local y = conv2d(x, "layer", { stride = config.stride, pad = config.padding })
  output("y", y, "b c h w")
  output("relevance_in", conv_rule(x, y, relu(y) * input("t", "b c h w"), param("layer.weight", "c' c ky kx"),
    config.stride, config.padding), "b c h w")
elseif config.kernel_size then
  local t = input("t", "b c h w")
  local y, at, r = pool_rule(input("x", "b c h w"), function(y) return y * t end, config.kernel_size, config.stride)
  output("y", y, "b c h w") output("indices", at:along(y), "b c h w") output("relevance_in", r, "b c h w")
elseif config.K then
  local s, chosen = context(input("query_patches", "i c"), input("query_positions", "i c"), input("key_patches", "j c"),
    input("key_positions", "j c"))
  output("saliency", s, "i") output("chosen", chosen, "i j")
else
  local S = input("S", "y x")
  local from = S:as"y=v x=u"
  local dy, dx = S:index"y" - from:index"v", S:index"x" - from:index"u"
  local d2 = dy * dy + dx * dx
  local dist = sqrt(d2{ only = lt(config.threshold, from) }:min"v u")
  output("distance", dist, "y x") output("weighted", S * (1 - dist / math.max(S.y, S.x)), "y x")
end
