-- EfficientNet (Tan and Le, arXiv:1905.11946), timm's parameter names and padding (kernel // 2).         maps: b c h w
local function round8(c, factor)                         -- to a multiple of 8, at most a tenth less
  local r = math.max(8, math.floor(c * factor + 4) // 8 * 8)
  return r < 0.9 * c * factor and r + 8 or r
end
local function net(wide, deep, size, more)
  local r = { stem_size = round8(32, wide), head_width = round8(1280, wide), widths = {}, depths = {}, img_size = size }
  for i, c in ipairs{ 16, 24, 40, 80, 112, 192, 320 } do r.widths[i] = round8(c, wide) end
  for i, n in ipairs{ 1, 2, 2, 3, 3, 4, 1 } do r.depths[i] = math.ceil(n * deep) end
  return with(r, more)
end
local half = { 0.5, 0.5, 0.5 }
local o = settings({
  b0 = net(1.0, 1.0, 224),
  b1 = net(1.0, 1.1, 240, { published = { crop_pct = 0.9, mean = half, std = half } }),
  b2 = net(1.1, 1.2, 256),
  b3 = net(1.2, 1.4, 288),
  b4 = net(1.4, 1.8, 320),
}, {
  in_chans = 3, num_classes = 1000, kernels = { 3, 3, 5, 3, 5, 5, 3 }, strides = { 1, 2, 2, 2, 1, 2, 1 },
  expand = { 1, 6, 6, 6, 6, 6, 6 }, se_ratio = 0.25, eps = 1e-5, published = false,
})

local function conv_bn(x, conv, bn, out, kernel, stride)
  x = conv2d(x, conv, { out = out, kernel = kernel, stride = stride, bias = false })
  return batch_norm(x, bn, o.eps)
end
-- expand, depthwise, squeeze and excite, project; without expansion the depthwise convolution comes first
local function block(x, name, out, kernel, stride, expand)
  local wide, pw, bn, y = x.c * expand, expand > 1 and ".conv_pwl" or ".conv_pw", expand > 1 and 2 or 1, x
  if expand > 1 then y = silu(conv_bn(y, name .. ".conv_pw", name .. ".bn1", wide, 1)):store() end
  y = conv2d(y, name .. ".conv_dw", { kernel = kernel, stride = stride, depthwise = true, bias = false })
  y = silu(batch_norm(y, name .. ".bn" .. bn, o.eps)):store()
  if o.se_ratio > 0 then                                 -- reduced to a part of the block's input width
    y = squeeze_excite(y, name .. ".se", { reduced = math.floor(x.c * o.se_ratio + 0.5), act = silu })
  end
  y = conv_bn(y, name .. pw, name .. ".bn" .. bn + 1, out, 1)
  return (stride == 1 and x.c == out and x + y or y):store()
end

local input, n = picture(o), levels(o, "depths widths kernels strides expand")
local x = silu(conv_bn(input, "conv_stem", "bn1", o.stem_size, 3, 2)):store()
for i = 1, n do
  for j = 1, o.depths[i] do
    local name, stride = ("blocks.%d.%d"):format(i - 1, j - 1), j == 1 and o.strides[i] or 1
    x = block(x, name, o.widths[i], o.kernels[i], stride, o.expand[i])
  end
end
x = silu(conv_bn(x, "conv_head", "bn2", o.head_width, 1))
o.preprocess = o.published or nil
classify(input, x:mean "h w", "classifier", o)
