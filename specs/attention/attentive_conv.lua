-- Attentive convolution (AttNet, ATConv): one small kernel per picture and channel, made from the whole map and used at
-- every place.
-- require "attention/attentive_conv": module(x, name, o); as a spec: x: b c h w; config: what o takes

-- o: kernel_size (3). The map, row after row, is cut into kernel_size^2 bands (of adaptive pooling: they may overlap);
-- a band's mean makes a tap. The projection of a mean is the mean of the projections. difference_control: how much of
-- the taps' mean is taken away.
local function module(x, name, o)
  local c, K = x.c, o.kernel_size or 3
  local function product(x, which) return linear(x, name .. which, "c=" .. c, { ones = 2 }) end
  local z = product(x:merge"n = h w":bins("n = t", { t = K * K }):mean"n", ".kernel_proj")
  local taps = linear(gelu(z), name .. ".kernel_gen", "t=" .. K * K, { over = "t" })
  taps = taps - sigmoid(param(name .. ".difference_control", "c", { c = c })) * taps:mean"t"
  local near = window{ h = "u=" .. K, w = "v=" .. K, border = 0 }
  local y = contract(near(product(x, ".x_proj")), taps:split("t = u v", { u = K, v = K }), "u v")
  return product(y, ".proj")
end

if ... then return { module = module } end
output("output", module(input("x", "b c h w"), "", config), "b c h w")
