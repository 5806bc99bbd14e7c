-- The attention of BiFormer's last level and its block.                                                 maps: b h w c
local routed = require "attention/routed"

-- over the whole map, heads of its own width; the positions are a convolution of x, not of v
local function global(x, name, o) -- o: heads, scale, side
  local c = x.c
  local q, k, v = linear(x, name .. ".qkv", ("part=3 head=%d d=%d"):format(o.heads, c // o.heads), { bias = false })
    :parts"part"
  local y = attend{ q = q, k = k, v = v, over = "h w", dot = "d", scale = o.scale or q.d^-0.5 }
  y = y:merge"c = head d" + conv2d(x, name .. ".lepe", { kernel = o.side, depthwise = true })
  return linear(y, name .. ".proj", "c=" .. c)
end

-- o: heads, regions, top (0: global), side, conv (the kernel of the position convolution before; 0: none), mlp_ratio,
-- eps, auto_pad, scale, fc2 ("3", the name of the second product)
local function block(x, name, o)
  if o.conv > 0 then x = x + conv2d(x, name .. ".pos_embed", { kernel = o.conv, depthwise = true }) end
  local mix = o.top > 0 and routed.module or global
  x = residual(x:store(), function(x)
    return (mix(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn", o))
  end):store()
  return residual(x, function(x)
    local hidden = math.floor(x.c * o.mlp_ratio)
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", { hidden = hidden, fc1 = "0", fc2 = o.fc2 or "3" })
  end):store()
end

return { global = global, block = block }
