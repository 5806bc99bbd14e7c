-- AttNet: attentive convolution (a 3x3 kernel per sample and channel, made from the whole image) and the block around
-- it
local function at_conv(x, name)
  local bands = bins"n = t=9"                                        -- adaptive: of the flattened image, overlapping
  local z = bands(linear(x, name .. ".kernel_proj", "c"):merge"n = h w"):mean"n"
  local K = linear(gelu(z), name .. ".kernel_gen", "t", { over = "t" })                  -- b c t
  K = K - sigmoid(param(name .. ".difference_control", "c")) * K:mean"t"         -- lateral inhibition
  local near = window{ h = "u=3", w = "v=3", border = 0 }
  local y = contract(near(linear(x, name .. ".x_proj", "c")), K:split"t = u=3 v=3", "u v")
  return linear(y, name .. ".proj", "c")
end

local function glu(x, name)
  local a, v = linear(x, name .. ".fc1", "part=2 c"):parts"part"
  local y = gelu(conv2d(a, name .. ".dwconv")) * v
  if has_param(name .. ".norm_layer.weight") then y = rms_norm(y, name .. ".norm_layer", 1e-6) end
  return linear(y, name .. ".fc2", "c")
end

local function block(x, name)
  local gamma = function(i) local n = name .. ".layer_scale_" .. i .. ".gamma" return has_param(n) and param(n, "c")
    or 1 end
  x = x + at_conv(layer_norm(x, name .. ".norm_1", 1e-6), name .. ".token_mixer") * gamma(1)
  return x + glu(layer_norm(x, name .. ".norm_2", 1e-6), name .. ".channel_mixer") * gamma(2)
end

local x = input("input", "b c h w")
output("output", config.glu_hidden and block(x, "") or at_conv(x, ""), "b c h w")
