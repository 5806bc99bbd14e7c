-- HorNet: recursive gated convolution of order n, with a 7x7 depthwise convolution or the global-local filter
local function global_local(x, name)
  x = layer_norm(x, name .. ".pre_norm", 1e-6)
  local l, g = x:split"c = part=2 c":parts"part"
  l = conv2d(l, name .. ".dw")
  -- in prepare; corners aligned
  local W = resize(param(name .. ".complex_weight", "c h w z=2"), ("h=%d w=%d"):format(x.h, x.w // 2 + 1), true)
  g = irfft2(cmul(rfft2(g, "h", "w"), W), "h", "w", x.w)
  -- local, global, local, global
  return layer_norm(stack("two", { l, g }):merge"c = c two", name .. ".post_norm", 1e-6)
end

local function gnconv(x, name, widths, filter)
  local C, c0 = x.c, widths[1]
  local y = linear(x, name .. ".proj_in", "c")
  local gate, D = y:slice{ c = {0, c0} }, y:slice{ c = {c0, 2 * C - c0} }
  D = (filter or conv2d)(D, name .. ".dwconv") * (1 / 3)
  local at = 0
  for i, c in ipairs(widths) do
    gate = (i == 1 and gate or linear(gate, name .. ".pws." .. i - 2, "c")) * D:slice{ c = {at, c} }
    at = at + c
  end
  return linear(gate, name .. ".proj_out", "c")
end

output("output", gnconv(input("input", "b c h w"), "", config.dims, config.gflayer and global_local), "b c h w")
