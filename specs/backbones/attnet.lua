-- AttNet (attentive convolution, 2025), the published parameter names.                                   maps: b h w c
local part = require "parts/attnet"
local function net(dims, depths, scaled, normed)
  return { dims = dims, depths = depths, use_layer_scale = scaled, glu_norm = { normed, normed, normed, normed } }
end
local o = settings({
  xxs = net({ 32, 64, 128, 240 }, { 2, 2, 4, 2 }, false, false),
  xs  = net({ 40, 80, 160, 320 }, { 2, 2, 7, 2 }, true, false),
  s   = net({ 40, 80, 160, 320 }, { 2, 3, 10, 3 }, false, false),
  t1  = net({ 48, 96, 224, 384 }, { 2, 3, 12, 3 }, true, true),
  t2  = net({ 64, 128, 288, 512 }, { 3, 3, 16, 3 }, true, true),
  t3  = net({ 72, 144, 320, 576 }, { 4, 4, 26, 4 }, true, true),
  t4  = net({ 96, 192, 384, 768 }, { 5, 5, 28, 5 }, true, true),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, exp_rates = { 8, 8, 4, 4 }, kernel_sizes = { 3, 3, 3, 3 },
  bn_eps = 1e-5, final_norm_eps = 1e-5,
})

local input, n = picture(o), levels(o, "dims depths exp_rates kernel_sizes glu_norm")
local function down(x, name, out)
  return conv_bn(x, name, { out = out, kernel = 3, stride = 2, conv = "0", bn = "1", eps = o.bn_eps })
end
local x = gelu(down(input, "downsample_layers.0.0", o.dims[1] // 2)):store()
x = down(x, "downsample_layers.0.2", o.dims[1]):store()
for i = 1, n do
  if i > 1 then x = down(x, "downsample_layers." .. i - 1, o.dims[i]):store() end
  for j = 1, o.depths[i] do
    x = part.block(x, ("stages.%d.%d"):format(i - 1, j - 1), { kernel_size = o.kernel_sizes[i],
      glu_hidden = 2 * math.floor(x.c * o.exp_rates[i]) // 3, glu_norm = o.glu_norm[i],
      use_layer_scale = o.use_layer_scale })
  end
end
classify(input, layer_norm(x:mean"h w", "norm", o.final_norm_eps), "head", o)
