-- ConvNeXt (Liu et al., arXiv:2201.03545), timm's parameter names.                                       maps: b c h w
local function net(width, third)
  return { dims = { width, 2 * width, 4 * width, 8 * width }, depths = { 3, 3, third, 3 } }
end
local o = settings({
  tiny  = net(96, 9),
  small = net(96, 27),
  base  = net(128, 27),
  large = net(192, 27),
}, {
  img_size = 224, patch_size = 4, in_chans = 3, num_classes = 1000, kernel_sizes = 7, mlp_ratio = 4,
  ls_init_value = 1e-6, head_norm_first = false, eps = 1e-6,
})

local function block(x, name)
  return residual(x, function(x)
    local y = conv2d(x, name .. ".conv_dw", { kernel = o.kernel_sizes, depthwise = true })
    return mlp(layer_norm(y, name .. ".norm", o.eps), name .. ".mlp", { hidden = math.floor(x.c * o.mlp_ratio) })
  end, o.ls_init_value and o.ls_init_value ~= 0 and name .. ".gamma"):store()
end

local input, n = picture(o), levels(o, "depths dims")
local x = patch_embed(input, "stem.0", { patch = o.patch_size, out = o.dims[1] })
x = layer_norm(x, "stem.1", o.eps):store()
for i = 1, n do
  local name = "stages." .. i - 1
  if i > 1 then
    x = layer_norm(x, name .. ".downsample.0", o.eps)
    x = conv2d(x, name .. ".downsample.1", { out = o.dims[i], kernel = 2, stride = 2, pad = 0 }):store()
  end
  for j = 1, o.depths[i] do x = block(x, name .. ".blocks." .. j - 1) end
end
local f
if o.head_norm_first then f = layer_norm(x, "norm_pre", o.eps):mean "h w"
else f = layer_norm(x:mean "h w", "head.norm", o.eps) end
classify(input, f, "head.fc", o)
