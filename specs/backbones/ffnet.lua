-- FFNet: MetaMixer is all you need (Yun et al., arXiv:2406.02021).                                      maps: b c h w
-- _fused: every batch norm but the last and every parallel branch is folded into one convolution under its module's
-- name. Weights of 4 are published for 384 x 384 alone, those of 3 also for it.
local part = require "parts/ffnet"
local function net(width, depth, kernel) -- kernel: of the channel mixers
  return { embed_dim = { width, 2 * width, 4 * width, 8 * width }, depth = depth,
    kernel_sizes = { kernel, kernel, kernel, kernel } }
end
local function scaled(r) -- with layer scales
  r.layer_scale, r.crop_pct = true, 0.95
  return r
end
local variants = {
  ["1"] = net(80, { 2, 2, 8, 2 }, 3), ["2"] = net(88, { 3, 3, 15, 3 }, 7),
  ["3"] = scaled(net(96, { 4, 4, 22, 5 }, 7)), ["4"] = scaled(net(128, { 4, 4, 27, 3 }, 7)),
}
variants["4"].img_size = 384
for _, name in ipairs{ "1", "2", "3", "4" } do
  local r = { fused = true }
  for key, x in pairs(variants[name]) do r[key] = x end
  variants[name .. "_fused"] = r
end
local o = settings(variants, {
  img_size = 256, in_chans = 3, num_classes = 1000, in_dim = 64, kernel_sizes1 = { 3, 3, 7, 7 },
  kernel_sizes2 = { 3, 3, 7, 7 }, expansion_ratios = { 3, 3, 3, 3 }, bn_eps = 1e-5, fused = false,
  layer_scale = false, crop_pct = 0.9,
})

local input, n = picture(o), levels(o, "depth embed_dim kernel_sizes kernel_sizes1 kernel_sizes2 expansion_ratios")
local x = gelu(part.conv_bn(input, "patch_embed.0", o, { out = o.in_dim, kernel = 3, stride = 2 })):store()
x = part.conv_bn(x, "patch_embed.2", o, { out = o.embed_dim[1], kernel = 3, stride = 2 }):store()
for i = 1, n do
  local first = 0                                        -- from the second level on, a level begins with downsampling
  if i > 1 then
    x, first = part.merging(x, ("stages.%d.0.proj"):format(i - 1), o.embed_dim[i], o), 1
  end
  for j = 0, o.depth[i] - 1 do
    x = part.block(x, ("stages.%d.%d"):format(i - 1, first + j), { kernels = { o.kernel_sizes1[i], o.kernel_sizes2[i] },
      kernel = o.kernel_sizes[i], hidden = x.c * o.expansion_ratios[i], bn_eps = o.bn_eps, fused = o.fused,
      layer_scale = o.layer_scale })
  end
end
o.preprocess = { crop_pct = o.crop_pct }
classify(input, batch_norm(x, "norm", o.bn_eps):mean"h w", "head", o)
