-- SHViT (Yun and Ro, arXiv:2401.16456), the published parameter names.                                  maps: b h w c
local part = require "parts/shvit"
local function net(dims, depth, partial, size)
  return { embed_dim = dims, depth = depth, partial_dim = partial, img_size = size }
end
local o = settings({
  s1 = net({ 128, 224, 320 }, { 2, 4, 5 }, { 32, 48, 68 }, 224),
  s2 = net({ 128, 308, 448 }, { 2, 4, 5 }, { 32, 66, 96 }, 224),
  s3 = net({ 192, 352, 448 }, { 3, 5, 5 }, { 48, 75, 96 }, 224),
  s4 = net({ 224, 336, 448 }, { 4, 7, 6 }, { 48, 72, 96 }, 256),
}, {
  in_chans = 3, num_classes = 1000, qk_dim = { 16, 16, 16 }, types = { "i", "s", "s" }, ffn_ratio = 2,
  distillation = false, se_rd_ratio = 0.25, gn_eps = 1e-5, bn_eps = 1e-5,
})

local input, n = picture(o), levels(o, "embed_dim depth partial_dim qk_dim types")
local x = input
for i = 1, 4 do                                          -- C/8, C/4, C/2, C; relu between, none after
  local y = part.conv(x, "patch_embed." .. 2 * i - 2, o, { out = o.embed_dim[1] >> 4 - i, kernel = 3, stride = 2 })
  x = (i < 4 and relu(y) or y):store()
end
for i = 1, n do
  local at, kind = 0, o.types[i]
  local function name()                                  -- of the next module of the stage
    at = at + 1
    return ("blocks%d.%d"):format(i, at - 1)
  end
  local function mixed(name) return part.perceptron(part.place(x, name .. ".0.m", o), name .. ".1.m", o) end
  if kind ~= "i" and kind ~= "s" then error(("types[%d] is '%s'; it is i or s"):format(i - 1, kind)) end
  if i > 1 then
    x = mixed(name())
    x = part.merging(x, name(), o, o.embed_dim[i])
    x = mixed(name())
  end
  for _ = 1, o.depth[i] do
    x = part.block(x, name(), { type = kind, pdim = o.partial_dim[i], qk_dim = o.qk_dim[i], ffn_ratio = o.ffn_ratio,
      gn_eps = o.gn_eps, bn_eps = o.bn_eps })
  end
end
classify_distilled(input, x, o)
