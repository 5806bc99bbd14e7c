-- The two blocks of L2ViT.    maps: b h w c;  o of both: num_heads, mlp_ratio, qkv_bias, eps, cpe_act
local linear_attention = require "attention/clamped_linear"

local function place(x, name, o) -- a position convolution
  return residual(x, function(x)
    local y = conv2d(x, name .. ".proj", { kernel = 3, depthwise = true })
    return o.cpe_act and gelu(y) or y
  end):store()
end
local function perceptron(x, name, o)
  return residual(x, function(x)
    local hidden = math.floor(x.c * o.mlp_ratio)
    return mlp(layer_norm(x, name .. ".norm2", o.eps), name .. ".mlp", { hidden = hidden })
  end):store()
end
-- two large depthwise convolutions; the zeros around the second come after the batch norm
local function concentration(x, name, o)
  local y = gelu(conv2d(x, name .. ".conv1", { kernel = 7, depthwise = true })):store()
  return conv2d(batch_norm(y, name .. ".bn", o.bn_eps), name .. ".conv2", { kernel = 7, depthwise = true })
end

local function global(x, name, o) -- o: clamp_min, bn_eps
  x = residual(place(x, name .. ".cpe.0", o), function(x)
    return linear_attention.module(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn", o)
  end):store()
  x = residual(x, function(x)
    return concentration(layer_norm(x, name .. ".norm3", o.eps), name .. ".local_mp", o)
  end):store()
  return perceptron(x, name, o)
end
-- o: window_size. The map is filled with zeros before the projection: padded tokens are q = k = v = bias and take part.
local function windows(x, name, o)
  x = residual(place(x, name .. ".cpe.0", o), function(x)
    return window_attention(layer_norm(x, name .. ".norm1", o.eps), name .. ".attn", { heads = o.num_heads,
      window = o.window_size, qkv_bias = o.qkv_bias, bias = false, shift = 0, whole = true })
  end):store()
  return perceptron(place(x, name .. ".cpe.1", o), name, o)
end

return { global = global, windows = windows }
