-- COSTARR: class means of the correctly classified fit samples; score = clipped logit times the cosine of [f ; f W_c]
-- and [mu_c ; mu_c W_c]
local W, bias = param("fc.weight", "k c"), param("fc.bias", "k")
local function logits(f) return (contract(f, W, "c") + bias) end
local function fit(f, label)                                                             -- f: i c
  local l = logits(f)
  local right = eq(argmax(l, "k"), label)
  local of_class = right & eq(label, axis("k", l.k))
  local seen = l{ only = right }
  return f{ only = of_class }:mean"i", of_class:max"i", seen:min"i k", seen:max"i k" end
local function score(f, mu, known, lo, hi)
  local l = logits(f)
  local c = argmax(l, "k")
  local m, w = mu{ k = c }, W{ k = c }
  local function pair(x) return stack("half", { x, x * w }) end                  -- [x ; x W_c]
  local a, b = pair(f), pair(m)
  local function norm(x) return max(sqrt((x^2):sum"c half"), config.cosine_eps) end
  local s = clamp((l{ k = c } - lo) / (hi - lo), 0, 1) * 0.5 * (1 + (a * b):sum"c half" / (norm(a) * norm(b)))
  local r = where(eq(c, axis("k", l.k)) & ne(known{ k = c }, 0), s, 0.0)
  return r, c end
-- a ResNet with bottlenecks (torchvision's names), down to what enters the head                             x: i c h w
local function features(x)
  local function conv_bn(x, conv, bn, o) return batch_norm(conv2d(x, conv, o), bn, config.bn_eps) end
  x = max_pool(relu(conv_bn(x, "conv1", "bn1", { stride = 2 })), 3, 2, "h w", { pad = 1 })
  for stage = 1, 4 do
    local i = 0
    while has_param(("layer%d.%d.conv1.weight"):format(stage, i)) do
      local name, o = ("layer%d.%d."):format(stage, i), { stride = stage > 1 and i == 0 and 2 or 1 }
      local y = relu(conv_bn(x, name .. "conv1", name .. "bn1"))
      y = conv_bn(relu(conv_bn(y, name .. "conv2", name .. "bn2", o)), name .. "conv3", name .. "bn3")
      if has_param(name .. "downsample.0.weight") then
        x = conv_bn(x, name .. "downsample.0", name .. "downsample.1", o)
      end
      x, i = relu(x + y), i + 1
    end
  end
  return x:mean"h w"
end

if config.backbone then                                            -- every fit image counts as correctly classified
  local f = features(input("fit", "i c h w"))
  local mu, known, lo, hi = fit(f, (argmax(logits(f), "k")))
  local test = features(input("test", "n c h w"))
  local r, c = score(test, mu, known, lo, hi)
  output("features", test, "n c")
  output("logits", logits(test), "n k")
  output("score", r{ k = c }, "n")
  output("limits", stack("e", { lo, hi }), "e")
  output("confidence", r:max"k", "n")
  output("prediction", argmax(r, "k"), "n")
  output("predicted_class", c, "n")
  return
end
local mu, known, lo, hi = fit(input("fit_features", "i c"), input("labels", "i"))
local r, c = score(input("test_features", "n c"), mu, known, lo, hi)
output("means", mu, "k c")
output("has_model", known, "k")
output("limits", stack("e", { lo, hi }), "e")
output("rescored", r, "n k")
output("confidence", r:max"k", "n")
output("prediction", argmax(r, "k"), "n")
output("predicted_class", c, "n")
