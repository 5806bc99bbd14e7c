-- SpaRTAN: spatial mixer (plain and dilated branch), channel mixer (argmax channel selects a product; complex scale
-- per pair)
local function gate(x, name)
  return x * sigmoid(linear(relu(linear(x:mean"h w", name .. ".squeeze", "c")), name .. ".expand", "c")) end
local function conv_bn_gelu(x, name, opt)
  return gelu(batch_norm(conv2d(x, name .. ".conv", opt), name .. ".norm", 1e-6)) end

local function smixer(x, name)
  local y, wide = linear(x, name .. ".proj_in", "c"), { dilation = 2 }
  y = (y + param(name .. ".gamma", "1 c") * (y - y:mean"h w"))
  local h = gate(conv_bn_gelu(y, name .. ".h_conv"), name .. ".h_attn")
  local l = gate(conv_bn_gelu(conv2d(y, name .. ".l_conv.0.conv", wide), name .. ".l_conv.1", wide), name .. ".l_attn")
  return linear(concat("c", { h, l }), name .. ".proj_out", "c")
end

local function cmixer(x, name)
  local theta, w = gelu(linear(x, name .. ".theta", "c")), linear(x, name .. ".proj", "c")
  local product = (w * theta)
  -- index into in_dim channels, read in neck_dim channels
  local f = product + product{ c = argmax(x, "c") }
  local y = cmul(f:split"c = m z=2", param(name .. ".complex", "1 1 1 m z=2")):merge"c = m z"
  y = gate(conv_bn_gelu(y, name .. ".conv"), name .. ".attn")
  return linear(y, name .. ".proj_out", "c")
end

local function block(x, name)
  x = (x + smixer(group_norm(x, name .. ".norm_1", 1e-6, 1), name .. ".smixer") * param(name .. ".scale_1", "1 c"))
  return x + cmixer(group_norm(x, name .. ".norm_2", 1e-6, 1), name .. ".cmixer") * param(name .. ".scale_2", "1 c")
end

local c, x = config, input("input", "b c h w")
output("output", (c.smixer and block or c.int_dim and smixer or cmixer)(x, ""), "b c h w")
