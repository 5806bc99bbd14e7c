-- LSNet (Wang et al., arXiv:2503.23135), the published parameter names.                                  maps: b h w c
local part = require "parts/lsnet"
local function net(dims, depth, distillation)
  return { embed_dim = dims, depth = depth, distillation = distillation }
end
local t, s, b = { 64, 128, 256, 384 }, { 96, 192, 320, 448 }, { 128, 256, 384, 512 }
local o = settings({
  t = net(t, { 0, 2, 8, 10 }, false), t_distill = net(t, { 0, 2, 8, 10 }, true),
  s = net(s, { 1, 2, 8, 10 }, false), s_distill = net(s, { 1, 2, 8, 10 }, true),
  b = net(b, { 4, 6, 8, 10 }, false), b_distill = net(b, { 4, 6, 8, 10 }, true),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, key_dim = { 16, 16, 16, 16 }, num_heads = { 3, 3, 3, 4 }, lks = 7,
  sks = 3, groups = 8, ffn_ratio = 2, se_ratio = 0.25, bn_eps = 1e-5, gn_eps = 1e-5,
})

o.fixed = true                                           -- the last stage stores a bias per distance on its map
local input, n = picture(o), levels(o, "embed_dim depth key_dim num_heads")
local x = input
for i = 0, 2 do                                          -- C/4, C/2, C; relu between, none after
  local y = part.conv(x, "patch_embed." .. 2 * i, o, { out = o.embed_dim[1] >> 2 - i, kernel = 3, stride = 2 })
  x = (i < 2 and relu(y) or y):store()
end
for i = 1, n do
  local name, at = ("blocks%d."):format(i), 0
  if i > 1 then                                          -- the reduction counts as two modules of the stage
    x = part.depthwise(x, name .. 0, o, 3, 2)
    x, at = part.conv(x, name .. 1, o, { out = o.embed_dim[i] }):store(), 2
  end
  for j = 0, o.depth[i] - 1 do
    x = part.block(x, name .. at + j, j, { kind = i == n and "attention" or "large_small", num_heads = o.num_heads[i],
      key_dim = o.key_dim[i], lks = o.lks, sks = o.sks, groups = o.groups, ffn_ratio = o.ffn_ratio,
      se_ratio = o.se_ratio, bn_eps = o.bn_eps, gn_eps = o.gn_eps })
  end
end
classify_distilled(input, x, o)
