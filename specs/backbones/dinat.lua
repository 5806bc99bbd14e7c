-- DiNAT: NAT with dilation in every second layer (Hassani and Shi, arXiv:2209.15001).
local nat = require "parts/nat"
local function net(width, mlp, depths, heads, more)
  local r = with({ embed_dim = width, mlp_ratio = mlp, depths = depths,
    num_heads = { heads, 2 * heads, 4 * heads, 8 * heads } }, more)
  r.dilations = nat.alternate(depths, r.dilations or { 8, 4, 2, 1 })     -- window times dilation is the map of 224
  return r
end
local short, long = { 3, 4, 6, 5 }, { 3, 4, 18, 5 }
local o = settings({
  mini            = net(64, 3, short, 2),
  tiny            = net(64, 3, long, 2),
  small           = net(96, 2, long, 3),
  base            = net(128, 2, long, 4, { layer_scale = 1e-5 }),
  large           = net(192, 2, long, 6),
  large_384       = net(192, 2, long, 6, { img_size = 384, crop_pct = 1.0, dilations = { 13, 6, 3, 1 } }),
  large_384_11x11 = net(192, 2, long, 6, { img_size = 384, crop_pct = 1.0, kernel_size = 11 }),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, kernel_size = 7, dilations = false, qkv_bias = true,
  qk_scale = false, rel_pos_bias = true, layer_scale = false, norm_eps = 1e-5, crop_pct = 0.875,
})
o.preprocess = { crop_pct = o.crop_pct }
local x = picture(o)
classify(x, nat.net(x, o), "head", o)
