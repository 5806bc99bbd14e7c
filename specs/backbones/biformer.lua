-- BiFormer (Zhu et al., arXiv:2303.08810), the operator of the released weights.                        maps: b h w c
-- swin_layout: patches of 4 and 2 in place of overlapping convolutions, the norm before the latter
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
  m = o.swin_layout and m // 2 or (m + 1) // 2
  for i = 1, n do
    m = o.swin_layout and m // 2 or (m + 1) // 2
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
local function reduced(x, i) -- to the map of level i
  local name, out = "downsample_layers." .. i - 1, o.embed_dim[i]
  if o.swin_layout and i > 1 then
    return patch_embed(batch_norm(x, name .. ".0", o.bn_eps), name .. ".1", { patch = 2, out = out })
  end
  if o.swin_layout then
    return batch_norm(patch_embed(x, name .. ".0", { patch = 4, out = out }), name .. ".1", o.bn_eps)
  end
  if i > 1 then return down(x, name, 0, out) end
  return down(gelu(down(x, name, 0, out // 2)):store(), name, 3, out)
end
local x = input
for i = 1, n do
  x = reduced(x, i):store()
  for j = 1, o.depth[i] do
    local name = (o.swin_layout and "stages.%d.blocks.%d" or "stages.%d.%d"):format(i - 1, j - 1)
    x = part.block(x, name, { regions = o.n_win, side = o.side_dwconv,
      top = math.max(o.topks[i], 0), heads = o.topks[i] > 0 and x.c // o.head_dim or o.global_heads,
      conv = o.before_attn_dwconv, mlp_ratio = o.mlp_ratios[i], eps = o.norm_eps, auto_pad = o.auto_pad,
      fc2 = o.swin_layout and "2" or "3" })
  end
end
classify(input, batch_norm(x, "norm", o.bn_eps):mean "h w", "head", o)
