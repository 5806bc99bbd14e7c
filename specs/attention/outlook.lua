-- Outlook attention (VOLO, Yuan et al., arXiv:2106.13112): each cell of o.stride x o.stride positions mixes its
-- window of o.kernel x o.kernel by weights made from the mean of the cell alone; the mixed windows are added up.
-- As a spec: x: b h w c; config: num_heads (6), kernel_size (3), stride (2), qkv_bias, qk_scale
-- require "attention/outlook": the function
local function outlook(x, name, o) -- o: heads, kernel, stride, scale (d^-0.5), qkv_bias (false)
  local K, S, c = o.kernel, o.stride, x.c
  local v = linear(x, name .. ".v", ("head=%d d=%d"):format(o.heads, c // o.heads), { bias = o.qkv_bias or false })
  local cell = window{ h = "ch i=" .. S, w = "cw j=" .. S, stride = S, pad = 0, ceil = true, border = "cut" }
  local near = window{ h = "ch ju=" .. K, w = "cw jv=" .. K, stride = S, pad = K // 2, ceil = true, border = 0 }
  local s = linear(cell(x):mean"i j", name .. ".attn", ("head=%d iu=%d iv=%d ju=%d jv=%d"):format(o.heads, K, K, K, K))
  local y = attend{ s = s * (o.scale or v.d^-0.5), v = near(v), over = "ju jv" }          -- b ch cw head iu iv d
  y = y:unwindow({ h = "ch iu=" .. K, w = "cw iv=" .. K, stride = S, pad = K // 2 }, x):sum"iu iv"
  return linear(y:merge"c = head d", name .. ".proj", "c=" .. c)
end

if ... then return outlook end
output("y", outlook(input("x", "b h w c"), "", { heads = config.num_heads or 6, kernel = config.kernel_size or 3,
  stride = config.stride or 2, qkv_bias = config.qkv_bias, scale = config.qk_scale }), "b h w c")
