-- ResNet v1.5 (He et al., arXiv:1512.03385; stride on the 3x3 convolution), timm's parameter names.     maps: b c h w
local function net(block, layers) return { block = block, layers = layers } end
local o = settings({
  ["18"]  = net("BasicBlock", { 2, 2, 2, 2 }),
  ["34"]  = net("BasicBlock", { 3, 4, 6, 3 }),
  ["50"]  = net("Bottleneck", { 3, 4, 6, 3 }),
  ["101"] = net("Bottleneck", { 3, 4, 23, 3 }),
  ["152"] = net("Bottleneck", { 3, 8, 36, 3 }),
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, stem_width = 64, cardinality = 1, base_width = 64, eps = 1e-5,
})

local function conv_bn(x, conv, bn, out, kernel, stride, groups)
  x = conv2d(x, conv, { out = out, kernel = kernel, stride = stride, groups = groups, bias = false })
  return batch_norm(x, bn, o.eps)
end

local blocks = {}
function blocks.BasicBlock(x, name, width, stride)
  x = relu(conv_bn(x, name .. ".conv1", name .. ".bn1", width, 3, stride)):store()
  return conv_bn(x, name .. ".conv2", name .. ".bn2", width, 3)
end
function blocks.Bottleneck(x, name, width, stride)
  local inner = width * o.base_width // 64 * o.cardinality
  x = relu(conv_bn(x, name .. ".conv1", name .. ".bn1", inner, 1)):store()
  x = relu(conv_bn(x, name .. ".conv2", name .. ".bn2", inner, 3, stride, o.cardinality)):store()
  return conv_bn(x, name .. ".conv3", name .. ".bn3", 4 * width, 1)
end
local block = blocks[o.block]
if not block then error(("block is BasicBlock or Bottleneck, not '%s'"):format(o.block)) end

local input = picture(o)
local x = relu(conv_bn(input, "conv1", "bn1", o.stem_width, 7, 2))
x = max_pool(x, 3, 2, "h w", { pad = 1 }):store()
for i, n in ipairs(o.layers) do
  for j = 1, n do
    local name, stride = ("layer%d.%d"):format(i, j - 1), i > 1 and j == 1 and 2 or 1
    local y, short = block(x, name, 64 << i - 1, stride), x
    if stride > 1 or y.c ~= x.c then
      short = conv_bn(x, name .. ".downsample.0", name .. ".downsample.1", y.c, 1, stride)
    end
    x = relu(y + short):store()
  end
end
o.preprocess = { crop_pct = 0.95 }
classify(input, x:mean "h w", "fc", o)
