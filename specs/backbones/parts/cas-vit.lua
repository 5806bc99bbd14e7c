-- The block of CAS-ViT.    maps: b h w c;  o: mlp_ratio, local_ratio (1), attn_bias, bn_eps
local additive = require "attention/additive"

local function block(x, name, o)
  local function near(x) -- what it sees around: 1x1, batch norm, depthwise, gelu, 1x1; x is not normalised
    local name = name .. ".local_perception.network."
    local y = linear(x, name .. "0", "c=" .. math.floor(x.c * (o.local_ratio or 1)), { ones = 2 })
    y = conv2d(batch_norm(y, name .. "1", o.bn_eps), name .. "2", { kernel = 3, depthwise = true })
    return linear(gelu(y), name .. "4", "c=" .. x.c, { ones = 2 })
  end
  x = residual(x, near):store()
  x = residual(x, function(x)
    return additive.module(batch_norm(x, name .. ".norm1", o.bn_eps), name .. ".attn", o)
  end):store()
  return residual(x, function(x)
    local hidden = math.floor(x.c * o.mlp_ratio)
    return mlp(batch_norm(x, name .. ".norm2", o.bn_eps), name .. ".mlp", { hidden = hidden, ones = 2 })
  end):store()
end

return { block = block }
