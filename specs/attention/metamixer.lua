-- FFNified attention (FFNet, Yun et al., arXiv:2406.02021): a query projection, static depthwise keys, GELU, static
-- depthwise values.
-- As a spec: input: b c h w; config: kernel_size1, kernel_size2 (7)
-- require "attention/metamixer": mixer(x, name, o), and its convolutions conv_bn and large

local function conv_bn(x, name, o, more) -- o.fused: stored as one convolution with a bias
  local r = with({ bias = o.fused or false }, more)
  if o.fused then return conv2d(x, name, r) end
  return batch_norm(conv2d(x, name .. ".c", r), name .. ".bn", o.bn_eps)
end
-- a depthwise kernel: 7x7 and 3x3 in parallel, each with its batch norm. more: stride, out
local function large(x, name, kernel, o, more)
  if kernel ~= 7 then error(("a large kernel is 7 (its companion 3), not %d"):format(kernel)) end
  more = more or {}
  if o.fused then
    return conv2d(x, name, { kernel = 7, groups = x.c, out = more.out or x.c, stride = more.stride, bias = true })
  end
  local function one(which, k) return { conv = name .. which .. ".c", bn = name .. which .. ".bn", kernel = k } end
  return parallel(x, { one(".conv", 7), one(".conv1", 3) }, { stride = more.stride, out = more.out, eps = o.bn_eps })
end
local function static(x, name, kernel, o) -- 3x3 has no batch norm
  if kernel == 3 then return conv2d(x, name, { kernel = 3, depthwise = true, bias = true }) end
  return large(x, name, kernel, o)
end

-- o: kernels = { keys, values }, bn_eps, fused
local function mixer(x, name, o)
  local q = conv_bn(x, name .. ".fc", o, { out = x.c, kernel = 1 }):store()
  local scores = gelu(static(q, name .. ".conv1", o.kernels[1], o)):store()
  return static(scores, name .. ".conv2", o.kernels[2], o)
end

if ... then return { mixer = mixer, conv_bn = conv_bn, large = large } end
local o = { kernels = { config.kernel_size1 or 7, config.kernel_size2 or 7 }, bn_eps = 1e-5 }
output("output", mixer(input("input", "b c h w"), "", o), "b c h w")
