-- BiFormer (Zhu et al., arXiv:2303.08810), the operator of the released weights.                        maps: b h w c
local part = require "parts/biformer"
local function net(width, depth) return { embed_dim = { width, 2 * width, 4 * width, 8 * width }, depth = depth } end
local o = settings({
  tiny  = net(64, { 2, 2, 8, 2 }),
  small = net(64, { 4, 4, 18, 4 }),
  base  = net(96, { 4, 4, 18, 4 }),
  stl   = { embed_dim = { 96, 192, 384, 768 }, depth = { 2, 2, 6, 2 }, mlp_ratios = { 4, 4, 4, 4 },
    before_attn_dwconv = 0, swin_layout = true },
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, head_dim = 32, global_heads = 8, mlp_ratios = { 3, 3, 3, 3 },
  n_win = 7, topks = { 1, 4, 16, -2 }, side_dwconv = 5, before_attn_dwconv = 3, auto_pad = false, norm_eps = 1e-6,
  bn_eps = 1e-5, swin_layout = false,
})

local input, n = picture(o), levels(o, "depth embed_dim mlp_ratios topks")
local least = o.auto_pad and 1 or o.n_win                -- what must divide the map of each routed level
fitting(input, ("each routed level is cut into n_win = %d parts a side (or set auto_pad)"):format(o.n_win), function(m)
  m = (m + 1) // 2
  for i = 1, n do
    m = (m + 1) // 2
    if o.topks[i] > 0 and m % least > 0 then return false end
  end
  return true
end)
for i, k in ipairs(o.topks) do
  if k < 1 and k ~= -2 then error(("topks[%d] is %d: it is -2 (global) or the number of regions"):format(i - 1, k)) end
end
local function down(x, name, at, out) -- 3x3, stride 2, batch norm
  x = conv2d(x, ("%s.%d"):format(name, at), { out = out, kernel = 3, stride = 2 })
  return batch_norm(x, ("%s.%d"):format(name, at + 1), o.bn_eps)
end
local x = gelu(down(input, "downsample_layers.0", 0, o.embed_dim[1] // 2)):store()
x = down(x, "downsample_layers.0", 3, o.embed_dim[1]):store()
for i = 1, n do
  if i > 1 then x = down(x, "downsample_layers." .. i - 1, 0, o.embed_dim[i]):store() end
  for j = 1, o.depth[i] do
    x = part.block(x, ("stages.%d.%d"):format(i - 1, j - 1), { regions = o.n_win, side = o.side_dwconv,
      top = math.max(o.topks[i], 0), heads = o.topks[i] > 0 and x.c // o.head_dim or o.global_heads,
      conv = o.before_attn_dwconv, mlp_ratio = o.mlp_ratios[i], eps = o.norm_eps, auto_pad = o.auto_pad })
  end
end
classify(input, batch_norm(x, "norm", o.bn_eps):mean "h w", "head", o)
