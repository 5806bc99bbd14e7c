-- The network of NAT and DiNAT, its layer, and the dilations of DiNAT.                                maps: b h w c
-- o: embed_dim, depths, num_heads, kernel_size, dilations (per level and layer; false: 1), mlp_ratio, qkv_bias,
-- qk_scale, rel_pos_bias, layer_scale, norm_eps
local function layer(x, name, o, i, j) -- layer j of level i, from 1
  local function gamma(i) return o.layer_scale and name .. ".gamma" .. i end
  local function norm(x, i) return layer_norm(x, name .. ".norm" .. i, o.norm_eps) end
  local dilation = o.dilations and o.dilations[i][j] or 1
  if o.dilations and #o.dilations[i] < o.depths[i] then
    error(("dilations[%d] has %d entries for %d layers"):format(i - 1, #o.dilations[i], o.depths[i]))
  end
  x = residual(x, function(x)
    return neighborhood(norm(x, 1), name .. ".attn", { heads = o.num_heads[i], kernel = o.kernel_size,
      dilation = dilation, qkv_bias = o.qkv_bias, scale = o.qk_scale or nil, bias = o.rel_pos_bias })
  end, gamma(1)):store()
  return residual(x, function(x)
    return mlp(norm(x, 2), name .. ".mlp", { hidden = math.floor(x.c * o.mlp_ratio) })
  end, gamma(2)):store()
end

-- Refuses a picture x whose map is shorter than the window of a layer; stem(extent): of the first level's map. Each
-- further level has half of it, rounded up.
local function windows_fit(x, o, stem)
  fitting(x, ("each level's map is at least as long as its windows, kernel_size %d times the dilation")
    :format(o.kernel_size), function(m)
    m = stem(m)
    for i, depth in ipairs(o.depths) do
      local widest = o.dilations and math.max(table.unpack(o.dilations[i], 1, math.min(depth, #o.dilations[i]))) or 1
      if depth > 0 and m < o.kernel_size * widest then return false end
      m = (m + 1) // 2
    end
    return true
  end)
end

local function net(x, o)
  local n = levels(o, "depths num_heads" .. (o.dilations and " dilations" or ""))
  windows_fit(x, o, function(m) return (m + 3) // 4 end)
  x = conv2d(x, "patch_embed.proj.0", { out = o.embed_dim // 2, kernel = 3, stride = 2 })
  x = conv2d(x, "patch_embed.proj.1", { out = o.embed_dim, kernel = 3, stride = 2 })   -- no activation between
  x = layer_norm(x, "patch_embed.norm", o.norm_eps):store()
  for i = 1, n do
    local name = "levels." .. i - 1
    for j = 1, o.depths[i] do x = layer(x, name .. ".blocks." .. j - 1, o, i, j) end
    if i < n then
      x = conv2d(x, name .. ".downsample.reduction", { out = 2 * x.c, kernel = 3, stride = 2, bias = false })
      x = layer_norm(x, name .. ".downsample.norm", o.norm_eps):store()
    end
  end
  return layer_norm(x, "norm", o.norm_eps):mean "h w"
end

local function alternate(depths, dilations) -- 1, D, 1, D, ... where D is that of the level
  local r = {}
  for i, n in ipairs(depths) do
    r[i] = {}
    for j = 1, n do r[i][j] = j % 2 == 1 and 1 or dilations[i] end
  end
  return r
end

return { layer = layer, net = net, alternate = alternate, windows_fit = windows_fit }
