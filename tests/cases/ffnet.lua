-- FFNet: "FFNified" attention: query projection, static depthwise keys, GELU, static depthwise values
local function conv_bn(x, name, opt) return batch_norm(conv2d(x, name .. ".c", opt), name .. ".bn", 1e-5) end

-- 7x7: two batch-normalised branches, summed (prepare makes one kernel of them); 3x3: one convolution
local function rep(x, name, opt) return (conv_bn(x, name .. ".conv", opt) + conv_bn(x, name .. ".conv1", opt)) end
local function key_value(x, name) return has_param(name .. ".weight") and conv2d(x, name) or rep(x, name) end

local function token_mixer(x, name)
  return key_value(gelu(key_value(conv_bn(x, name .. ".fc"), name .. ".conv1")), name .. ".conv2") end

local function channel_mixer(x, name)
  local y = has_param(name .. ".conv.c.weight") and conv_bn(x, name .. ".conv") or rep(x, name .. ".conv")
  return linear(gelu(linear(y, name .. ".fc1", "c")), name .. ".fc2", "c")
end

local function block(x, name)
  x = (x + token_mixer(x, name .. ".token_mixer.0.main"))
  return x + channel_mixer(x, name .. ".channel_mixer.main")
end

local function merging(x, name)                                      -- group g makes outputs 2g and 2g+1
  local y = rep(x, name .. ".0", { stride = 2 })
  return y + linear(batch_norm(y, name .. ".1.conv.bn", 1e-5), name .. ".1.conv.c", "c")
end

local c, x = config, input("input", "b c h w")
output("output", c.out_dim and merging(x, "proj") or c.expansion_ratio and block(x, "") or token_mixer(x, ""),
  "b c h w")
