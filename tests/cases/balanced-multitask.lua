-- Balanced multi-task attention: coordinate attention and squeeze-excitation, blended by one learned scalar
local function coordinate(x, name)                                                       -- x: b c h w
  local function strip(s)
    return relu(batch_norm(linear(s, name .. ".conv1", "c=" .. x.c // config.coord_reduction, { bias = false }),
      name .. ".bn1", config.bn_eps)) end
  local function gate(s, conv) return sigmoid(linear(strip(s), name .. conv, "c=" .. x.c, { bias = false })) end
  return x * gate(x:mean"w", ".conv_h") * gate(x:mean"h", ".conv_w")
end
local function squeeze(x, name)
  local z = relu(linear(x:mean"h w", name .. ".excitation.0", "c=" .. param(name .. ".excitation.0.weight",
    "c' c")["c'"], { bias = false }))
  return x * sigmoid(linear(z, name .. ".excitation.2", "c=" .. x.c, { bias = false }))
end
local function balanced(x, name)
  local a = sigmoid(param(name .. "alpha", ""))
  return a * coordinate(x, name .. "coord_attention") + (1 - a) * squeeze(x, name .. "se_attention")
end
local function block(x, name, out, stride)
  local function cbn(x, i, s) return batch_norm(conv2d(x, name .. i[1], { stride = s }), name .. i[2],
    config.bn_eps) end
  local y = cbn(relu(cbn(x, { "conv1", "bn1" }, stride)), { "conv2", "bn2" }, 1)
  local short = (stride ~= 1 or out ~= x.c) and cbn(x, { "shortcut.0", "shortcut.1" }, stride) or x
  return relu(balanced(y, name .. "attention.") + short)
end
local x = input("x", "b c h w")
output("y", config.stride and block(x, "", config.out_channels, config.stride) or balanced(x, ""), "b c h w")
