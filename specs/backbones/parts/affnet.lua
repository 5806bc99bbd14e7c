-- The convolutions and the mixer of AFFNet.                                                             maps: b c h w
local filter = require "attention/frequency_filter"

-- o: out, kernel (1), stride, depthwise; eps of the batch norm
local function conv_bn(x, name, eps, o)
  o.kernel, o.bias = o.kernel or 1, false
  return batch_norm(conv2d(x, name .. ".block.conv", o), name .. ".block.norm", eps)
end
-- inverted residual: 1x1 to o.hidden, depthwise 3x3, 1x1 to o.out
local function mbconv(x, name, eps, o)
  local stride = o.stride or 1
  local y = silu(conv_bn(x, name .. ".exp_1x1", eps, { out = o.hidden })):store()
  y = silu(conv_bn(y, name .. ".conv_3x3", eps, { kernel = 3, stride = stride, depthwise = true })):store()
  y = conv_bn(y, name .. ".red_1x1", eps, { out = o.out })
  return (stride == 1 and x.c == o.out and x + y or y):store()
end
-- channels, then frequencies; one skip around both. o: hidden, blocks, threshold, eps, bn_eps
local function mixer(x, name, o)
  local y = group_norm(x, name .. ".norm1", o.eps, 1)
  y = mbconv(y:store(), name .. ".mlp.block", o.bn_eps, { hidden = o.hidden, out = x.c })
  return (filter(group_norm(y, name .. ".norm2", o.eps, 1):store(), name .. ".filter", o) + x):store()
end

return { conv_bn = conv_bn, mbconv = mbconv, mixer = mixer }
