-- Outlook attention: a cell's own mixing weights, from the mean of the cell, applied to its window; the mixed windows
-- are added up.
local function outlook(x, name, heads, K, S)                               -- b h w c
  local p = K // 2
  local v = linear(x, name.."v", ("head=%d d"):format(heads))
  local pool = window{ h = "ch i="..S, w = "cw j="..S, stride = S, pad = 0, ceil = true, border = "cut" }
  local near = window{ h = "ch ju="..K, w = "cw jv="..K, stride = S, pad = p, ceil = true, border = 0 }
  local z = linear(pool(x):mean"i j", name.."attn", ("head=%d iu=%d iv=%d ju=%d jv=%d"):format(heads, K, K, K, K))
  local o = attend{ s = z * (config.qk_scale or v.d^-0.5), v = near(v), over = "ju jv" }   -- b ch cw head iu iv d
  local y = o:unwindow({ h = "ch iu="..K, w = "cw iv="..K, stride = S, pad = p }, x):sum"iu iv"     -- fold
  return linear(y:merge"c = head d", name.."proj", "c")
end
output("y", outlook(input("x", "b h w c"), "", config.num_heads, config.kernel_size, config.stride), "b h w c")
