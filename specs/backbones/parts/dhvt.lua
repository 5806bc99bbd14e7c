-- The feed-forward of DHVT (DAFF): convolutions on the map of patches, whose mean gates the class token.
-- x: b n c, token 0 is the class; o: grid (height and width of the map), mlp_ratio (4) or hidden_features, kernel_size
-- (3), squeeze_ratio (4), bn_eps
local function forward(x, name, o)
  local H, W, c = o.grid[1], o.grid[2], x.c
  local hidden = o.hidden_features or math.floor(c * (o.mlp_ratio or 4))
  local function conv(x, i, more)
    local y = conv2d(x, ("%s.conv%d"):format(name, i), more)
    return batch_norm(y, ("%s.bn%d"):format(name, i), o.bn_eps)
  end
  local class, patches = x:slices("n", 1, H * W)
  local y = gelu(conv(patches:split("n = h w", { h = H, w = W }), 1, { out = hidden, kernel = 1 })):store()
  y = (y + gelu(conv(y, 2, { kernel = o.kernel_size or 3, depthwise = true }))):store()
  y = conv(y, 3, { out = c, kernel = 1 })
  local g = gelu(linear(y:mean"h w", name .. ".compress", "c=" .. c // (o.squeeze_ratio or 4)))
  return concat("n", { class * linear(g, name .. ".excitation", "c=" .. c), y:merge"n = h w" })
end

return { forward = forward }
