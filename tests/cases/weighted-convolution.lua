-- Weighted convolution: a separable density (outermost coefficient first, 1 in the middle) multiplies the kernel, in
-- prepare
local function wconv(x, name, a)
  local den = a.den and const("n=" .. #a.den, a.den) or param(name .. ".den", "n")
  local alpha = concat("n", { den, const("n=1", { 1.0 }), den:flip"n" })
  local groups = { g = a.groups }
  local w = param(name .. ".weight", "(g co) ci ky kx", groups) * outer(alpha:as"n=ky", alpha:as"n=kx")
  local y = convolve(x:split("c = g ci", groups), w, "ci", "h=ky w=kx", a):merge"c = g co"
  return a.bias and y + param(name .. ".bias", "c") or y
end
local c = config
local a = { den = c.den, groups = c.groups, bias = c.bias, stride = c.stride, pad = c.padding, dilation = c.dilation }
output("output", wconv(input("input", "b c h w"), "", a), "b c h w")
