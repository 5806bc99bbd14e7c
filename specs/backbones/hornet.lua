-- HorNet (Rao et al., arXiv:2207.14284).                                                                maps: b h w c
local gnconv = require "attention/recursive_gate"
local none = { 0, 0, 0, 0 }
local function net(width, filter, more)
  return with({ base_dim = width, filter = filter }, more)
end
local gf = { 0, 0, 14, 7 }                               -- the map that the stored spectrum of a level is for; 0: none
local o = settings({
  tiny_7x7  = net(64, none),
  tiny_gf   = net(64, gf),
  small_7x7 = net(96, none),
  small_gf  = net(96, gf),
  base_7x7  = net(128, none),
  base_gf   = net(128, gf),
  large_7x7 = net(192, none),
  large_gf  = net(192, gf),
  large_gf_img384 = net(192, { 0, 0, 24, 12 }, { img_size = 384, crop_pct = 1.0, fit = "squash" }),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, depths = { 2, 3, 18, 2 }, order = { 2, 3, 4, 5 }, kernel_size = 7,
  s = 1 / 3, mlp_ratio = 4, layer_scale_init_value = 1e-6, eps = 1e-6, crop_pct = 0.875, fit = "crop",
})

local function block(x, name, order, size)
  local scaled = o.layer_scale_init_value and o.layer_scale_init_value > 0
  x = residual(x, function(x)
    return gnconv(layer_norm(x, name .. ".norm1", o.eps), name .. ".gnconv",
      { order = order, kernel = o.kernel_size, s = o.s, filter = size > 0 and { size, size // 2 + 1 } })
  end, scaled and name .. ".gamma1"):store()
  return residual(x, function(x)
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name, { hidden = math.floor(x.c * o.mlp_ratio),
      fc1 = "pwconv1", fc2 = "pwconv2" })
  end, scaled and name .. ".gamma2"):store()
end

local input, n = picture(o), levels(o, "depths order filter")
local x = input
for i = 1, n do
  local name = "downsample_layers." .. i - 1
  if i == 1 then
    x = layer_norm(patch_embed(x, name .. ".0", { patch = 4, out = o.base_dim }), name .. ".1", o.eps):store()
  else
    x = patch_embed(layer_norm(x, name .. ".0", o.eps):store(), name .. ".1", { patch = 2, out = 2 * x.c }):store()
  end
  for j = 1, o.depths[i] do x = block(x, ("stages.%d.%d"):format(i - 1, j - 1), o.order[i], o.filter[i]) end
end
o.preprocess = { crop_pct = o.crop_pct, fit = o.fit }
classify(input, layer_norm(x:mean"h w", "norm", o.eps), "head", o)
