-- Recursive gated convolution (HorNet, Rao et al., arXiv:2207.14284), with a depthwise convolution or a filter of
-- frequencies.
-- As a spec: input: b c h w; config: order (3), filter (false, or the stored height and width of the spectrum)
-- require "attention/recursive_gate": the function

-- Half of the channels meet a local convolution, half a stored spectrum (resized to the map's, corners on corners);
-- the results alternate: local, global, local, global.
local function global_local(x, name, size)
  x = layer_norm(x, name .. ".pre_norm", 1e-6):store()
  local near, far = x:split"c = part=2 c":parts"part"
  near = conv2d(near, name .. ".dw", { kernel = 3, depthwise = true, bias = false })
  local W = param(name .. ".complex_weight", "c h w z=2", { c = far.c, h = size[1], w = size[2] })
  W = resize(W, ("h=%d w=%d"):format(x.h, x.w // 2 + 1), true)
  far = irfft2(cmul(rfft2(far, "h", "w"), W), "h", "w", x.w)
  return layer_norm(stack("two", { near, far }):merge"c = c two", name .. ".post_norm", 1e-6)
end

-- y_0 = p f_0, y_i = W y_i-1 f_i, of doubling widths up to c: no activation. o: order, kernel (7), filter, s (1/3)
local function gnconv(x, name, o)
  local c, n = x.c, o.order
  local function linear_to(y, which, out) return linear(y, name .. which, "c=" .. out, { ones = 2 }) end
  if c % (1 << n - 1) > 0 then error(("order %d halves c=%d %d times: c is no multiple"):format(n, c, n - 1)) end
  local width, y = c >> n - 1, linear_to(x, ".proj_in", 2 * c)
  local gate, f = y:slices("c", width, 2 * c - width)
  if o.filter then f = global_local(f, name .. ".dwconv", o.filter)
  else f = conv2d(f, name .. ".dwconv", { kernel = o.kernel or 7, depthwise = true }) end
  f = (f * (o.s or 1 / 3)):store()
  local at = 0
  for i = 0, n - 1 do
    if i > 0 then gate, width = linear_to(gate, ".pws." .. i - 1, 2 * width), 2 * width end
    gate = (gate * f:slice{ c = {at, width} }):store()
    at = at + width
  end
  return linear_to(gate, ".proj_out", c)
end

if ... then return gnconv end
local x, o = input("input", "b c h w"), { order = config.order or 3, filter = config.filter }
output("output", gnconv(x, "", o), "b c h w")
