-- InLine: injective linear attention in DeiT, PVT, Swin and CSWin (Han et al., arXiv:2412.06590).
--                                                                                        maps: b h w c, tokens: b n c
local part = require "parts/inline"
local function net(layout, more) more.layout = layout return more end
local function pvt(depths) return net("pvt", { depths = depths }) end
local v = {
  deit_t = net("deit", { embed_dim = 192, num_heads = { 6 } }),
  deit_s = net("deit", { embed_dim = 320, num_heads = { 10 }, img_size = 288 }),
  deit_b = net("deit", { embed_dim = 384, num_heads = { 12 }, img_size = 448 }),
  pvt_t = pvt{ 2, 2, 2, 2 }, pvt_s = pvt{ 3, 4, 6, 3 }, pvt_m = pvt{ 3, 4, 18, 3 }, pvt_l = pvt{ 3, 8, 27, 3 },
  swin_t = net("swin", { embed_dim = 96, depths = { 2, 2, 6, 2 }, types = "IIIS" }),
  swin_s = net("swin", { embed_dim = 96, depths = { 2, 2, 18, 2 }, types = "IISS" }),
  swin_b = net("swin", { embed_dim = 128, depths = { 2, 2, 18, 2 }, types = "IIMS2" }),
  swin_b_384 = net("swin", { embed_dim = 128, depths = { 2, 2, 18, 2 }, types = "IIMS2", img_size = 384,
    window_size = 12, crop_pct = 1.0 }),
  cswin_t = net("cswin", { embed_dim = 64, depths = { 2, 4, 18, 1 }, num_heads = { 2, 4, 8, 16 } }),
  cswin_s = net("cswin", { embed_dim = 64, depths = { 3, 6, 29, 2 }, num_heads = { 2, 4, 8, 16 } }),
  cswin_b = net("cswin", { embed_dim = 96, depths = { 3, 6, 29, 2 }, num_heads = { 4, 8, 16, 32 } }),
  cswin_b_384 = net("cswin", { embed_dim = 96, depths = { 3, 6, 29, 2 }, num_heads = { 4, 8, 16, 32 }, img_size = 384,
    window_size = 12, crop_pct = 1.0 }),
}
-- types: I injective, S softmax in windows (Swin) or stripes (CSWin), M2 at the end: M is injective in the first two
-- blocks of its level (Swin); false: IISS
local o = settings(v, {
  img_size = 224, in_chans = 3, num_classes = 1000, embed_dim = 64, embed_dims = { 64, 128, 320, 512 },
  depth = 12, depths = { 2, 2, 2, 2 }, num_heads = false, types = false, window_size = 7, mlp_ratio = 4,
  mlp_ratios = { 8, 8, 4, 4 }, qkv_bias = true, eps = false, crop_pct = 224 / 256,
})
local eps = o.eps or (o.layout == "deit" or o.layout == "pvt") and 1e-6 or 1e-5
local function settings_of(heads, more)
  return with({ heads = heads, mlp_ratio = o.mlp_ratio, eps = eps, qkv_bias = o.qkv_bias }, more)
end

local nets = {}
function nets.deit(x)
  local c, P = o.embed_dim, 16
  fitting(x, "it is a multiple of 16", function(m) return m % P == 0 end)
  local y = patch_embed(x, "patch_embed.proj", { patch = P, out = c })
  local p = settings_of(o.num_heads[1], { H = y.h, W = y.w })
  y = concat("n", { param("cls_token", "1 n=1 c", { c = c }), y:merge"n = h w" })
  y = (y + param("pos_embed", "1 n c", { n = y.n, c = c })):store()
  for j = 0, o.depth - 1 do y = part.block(y, "blocks." .. j, p) end
  return layer_norm(y{ n = 0 }, "norm", eps)
end
function nets.pvt(x) -- each level has its own position embedding, stored for the map of img_size
  local heads = o.num_heads or { 2, 4, 10, 16 }
  for i, c in ipairs(o.embed_dims) do
    local P, side = i == 1 and 4 or 2, o.img_size // (2 << i)
    x = patch_embed(x, ("patch_embed%d.proj"):format(i), { patch = P, out = c })
    x = layer_norm(x, ("patch_embed%d.norm"):format(i), 1e-5)
    local place = param("pos_embed" .. i, "1 (h w) c", { h = side, w = side, c = c })
    if x.h ~= side or x.w ~= side then place = resize(place, ("h=%d w=%d"):format(x.h, x.w)) end
    x = (x + place):store()
    for j = 1, o.depths[i] do
      x = part.block(x, ("block%d.%d"):format(i, j - 1), settings_of(heads[i], { mlp_ratio = o.mlp_ratios[i],
        apart = true }))
    end
  end
  return x:mean"h w"
end
function nets.swin(x)
  x = layer_norm(patch_embed(x, "patch_embed.proj", { patch = 4, out = o.embed_dim }), "patch_embed.norm", eps):store()
  for i, n in ipairs(o.depths) do
    local kind, first = (o.types or "IISS"):sub(i, i), tonumber((o.types or ""):sub(#o.depths + 1)) or 0
    for j = 1, n do
      local p = settings_of((o.num_heads or {})[i] or x.c // 32)
      if kind == "S" or kind == "M" and j > first then
        p.window, p.shift = o.window_size, j % 2 == 0 and o.window_size // 2 or 0
      end
      x = part.block(x, ("layers.%d.blocks.%d"):format(i - 1, j - 1), p)
    end
    if i < #o.depths then x = patch_merge(x, ("layers.%d.downsample"):format(i - 1), { eps = eps }):store() end
  end
  return layer_norm(x, "norm", eps):mean"h w"
end
function nets.cswin(x)
  local W = o.window_size
  fitting(x, ("it is a multiple of %d"):format(32 * W), function(m) return m % (32 * W) == 0 end)
  x = conv2d(x, "stage1_conv_embed.0", { out = o.embed_dim, kernel = 7, stride = 4, pad = 2 })
  x = layer_norm(x, "stage1_conv_embed.2", eps):store()
  for i, n in ipairs(o.depths) do
    local linear_level = (o.types or "IISS"):sub(i, i) == "I"
    local p = settings_of(o.num_heads[i], { stripe = not linear_level and W })
    for j = 1, n do x = part.cross_block(x, ("stage%d.%d"):format(i, j - 1), p) end
    if i < #o.depths then
      x = conv2d(x, ("merge%d.conv"):format(i), { out = 2 * x.c, kernel = 3, stride = 2 })
      x = layer_norm(x, ("merge%d.norm"):format(i), eps):store()
    end
  end
  return layer_norm(x, "norm", eps):mean"h w"
end

if not nets[o.layout] then error(("layout is deit, pvt, swin or cswin, not '%s'"):format(o.layout)) end
if not o.num_heads and (o.layout == "deit" or o.layout == "cswin") then
  error(("config.num_heads is missing: layout %s wants a list"):format(o.layout))
end
o.fixed = o.layout == "deit"
o.preprocess = { crop_pct = o.crop_pct, fit = "squash" } -- the picture is not resized in proportion
local input = picture(o)
classify(input, nets[o.layout](input), "head", o)
