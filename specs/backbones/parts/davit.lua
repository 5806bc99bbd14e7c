-- The block of DaViT: positions, attention (of windows or of channels), positions, perceptron.          maps: b h w c
local channel = require "attention/channel"
local attention = { channel = channel.module, spatial = function(x, name, o)
  return window_attention(x, name, { heads = o.num_heads, window = o.window_size, qkv_bias = o.qkv_bias, bias = false,
    shift = 0, whole = true })                           -- padded tokens are q = k = v = bias and take part
end }

-- o: num_heads, window_size, mlp_ratio, qkv_bias, norm_eps, cpe_act, ffn (true), v2
local function block(kind, x, name, o)
  local function place(x, name)
    return residual(x, function(x)
      local y = conv2d(x, name .. ".proj", { kernel = 3, depthwise = true })
      return o.cpe_act and gelu(y) or y
    end):store()
  end
  if not attention[kind] then error(("attn_types has '%s'; an attention is spatial or channel"):format(kind)) end
  x = residual(place(x, name .. ".cpe1"), function(x)
    return attention[kind](layer_norm(x, name .. ".norm1", o.norm_eps), name .. ".attn", o)
  end):store()
  x = place(x, name .. ".cpe2")
  if o.ffn == false then return x end
  return residual(x, function(x)
    local hidden = math.floor(x.c * o.mlp_ratio)
    return mlp(layer_norm(x, name .. ".norm2", o.norm_eps), name .. ".mlp", { hidden = hidden })
  end):store()
end

return { block = block }
