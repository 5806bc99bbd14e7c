-- ELA: two strip means, one shared grouped convolution along each strip, one shared group norm, two gates
local function ela(x, name, a)
  local groups = { g = a.conv_groups }
  local w = param(name .. ".conv.weight", "(g co) ci k", groups)
  local function gate(strip)                                         -- b c n
    local y = convolve(strip:split("c = g ci", groups), w, "ci", "n=k"):merge"c = g co"
    return sigmoid(group_norm(y, name .. ".gn", 1e-5, a.gn_groups, "n"))
  end
  return x * gate(x:mean"w":as"h=n"):as"n=h" * gate(x:mean"h":as"w=n"):as"n=w"
end

local function inverted_residual(x, name, a)
  local function conv_bn(y, i, opt) return batch_norm(conv2d(y, name .. "." .. i, opt), name .. "." .. i + 1, 1e-5) end
  local y = relu6(conv_bn(relu6(conv_bn(x, 0)), 3, { stride = a.stride }))
  y = conv_bn(ela(y, name .. ".6", a.ela), 7)
  return a.stride == 1 and y.c == x.c and x + y or y
end

local x = input("input", "b c h w")
output("output", config.ela and inverted_residual(x, "conv", config) or ela(x, "", config), "b c h w")
