-- The blocks of OverLoCK.                                                                               maps: b c h w
-- o of all: eps, bn_eps, deploy (parallel branches are stored merged)
local contmix = require "attention/context_mixing"
local branches = {                                       -- kernel and dilation beside the large kernel
  [17] = { { 5, 1 }, { 7, 1 }, { 9, 2 }, { 3, 4 }, { 3, 5 }, { 3, 7 } },
  [15] = { { 5, 1 }, { 7, 1 }, { 7, 2 }, { 3, 3 }, { 3, 5 }, { 3, 7 } },
  [13] = { { 5, 1 }, { 7, 1 }, { 7, 2 }, { 3, 3 }, { 3, 4 }, { 3, 5 } },
  [11] = { { 5, 1 }, { 5, 2 }, { 3, 3 }, { 3, 4 }, { 3, 5 } },
  [9]  = { { 5, 1 }, { 5, 2 }, { 3, 3 }, { 3, 4 } },
  [7]  = { { 5, 1 }, { 3, 1 }, { 3, 2 }, { 3, 3 } },
}

local function wide(x, name, out, bias) return linear(x, name, "c=" .. out, { bias = bias, ones = 2 }) end
local function dw(x, name) return conv2d(x, name, { kernel = 3, depthwise = true }) end
local function res_dw(x, name) return (x + dw(x, name)):store() end
local function conv_bn(x, conv, bn, o) return batch_norm(wide(x, conv, x.c, false), bn, o.bn_eps) end
local function scale(x, name)
  return x * param(name .. ".weight", "c 1 1 1", { c = x.c }) + param(name .. ".bias", "c", { c = x.c })
end

local function grn(x, name)                              -- global response normalisation
  local norm, size = sqrt((x^2):sum"h w"), { c = x.c }
  local n = norm / (norm:mean"c" + 1e-6)
  return (param(name .. ".gamma", "1 c 1 1", size) * n + 1) * x + param(name .. ".beta", "1 c 1 1", size)
end
-- a large depthwise kernel and its smaller and dilated companions
local function dilated_reparam(x, name, K, o)
  if o.deploy then return conv2d(x, name .. ".lk_origin", { kernel = K, depthwise = true, bias = true }) end
  if not branches[K] then error(("kernel_size is one of 7, 9, 11, 13, 15, 17, not %d"):format(K)) end
  local list = { { conv = name .. ".lk_origin", bn = name .. ".origin_bn", kernel = K } }
  for i, b in ipairs(branches[K]) do
    local id = ("_k%d_%d"):format(b[1], b[2])
    list[i + 1] = { conv = name .. ".dil_conv" .. id, bn = name .. ".dil_bn" .. id, kernel = b[1], dilation = b[2] }
  end
  return parallel(x, list, { eps = o.bn_eps })
end
local function excite(x, name)
  local reduced = math.max(x.c // 8, 16)
  return squeeze_excite(x, name, { reduced = reduced, act = gelu, reduce = "proj.1", expand = "proj.3" })
end

-- Base and overview: a depthwise kernel, then a gated MLP. o: kernel, mlp_ratio, ls (a factor and bias on the skip)
local function rep_conv(x, name, o)
  x = res_dw(x, name .. ".dwconv")
  local y = dilated_reparam(layer_norm(x, name .. ".proj.0", o.eps):store(), name .. ".proj.1", o.kernel, o)
  y = excite(batch_norm(y, name .. ".proj.2", o.bn_eps):store(), name .. ".proj.3")
  y = res_dw(gelu(wide(y, name .. ".proj.4", math.floor(x.c * o.mlp_ratio))), name .. ".proj.6")
  y = wide(grn(y, name .. ".proj.7"), name .. ".proj.8", x.c)
  return ((o.ls and scale(x, name .. ".ls") or x) + y):store()
end

-- Focus: x and its context, mixed by kernels that the context makes; long: the context of the overview.
-- o: kernel, small, heads, mlp_ratio, first. Returns x and context.
local function focus(x, context, long, name, o)
  local C, all = x.c, x.c + context.c
  if not o.first then context = scale(context, name .. ".x_scale") + scale(long, name .. ".h_scale") end
  local id = res_dw(concat("c", { x, context }):store(), name .. ".dwconv1")
  local z = layer_norm(id, name .. ".norm1", o.eps):store()
  local f = gelu(batch_norm(dw(z, name .. ".fusion.0"), name .. ".fusion.1", o.bn_eps)):store()
  f = grn(wide(f, name .. ".fusion.3", C):store(), name .. ".fusion.4"):store()
  local gate = silu(conv_bn(f, name .. ".gate.0", name .. ".gate.1", o))
  local lepe = batch_norm(dilated_reparam(f, name .. ".lepe.0", o.kernel, o), name .. ".lepe.1", o.bn_eps)
  local near, around = z:slices("c", C, all - C)
  local y = contmix(f, near, around, name, { kernel = o.kernel, small = o.small, heads = o.heads, eps = o.bn_eps })
  y = (conv_bn(y, name .. ".dyconv_proj.0", name .. ".dyconv_proj.1", o) + lepe):store()
  y = batch_norm(gate * excite(y, name .. ".se_layer"), name .. ".proj.0", o.bn_eps)
  z = res_dw((scale(id, name .. ".ls1") + wide(y, name .. ".proj.1", all)):store(), name .. ".dwconv2")
  local t = wide(layer_norm(z, name .. ".norm2", o.eps), name .. ".mlp.0", math.floor(C * o.mlp_ratio))
  t = grn(res_dw(gelu(t):store(), name .. ".mlp.2"), name .. ".mlp.3")
  z = (scale(z, name .. ".ls2") + wide(t, name .. ".mlp.4", all)):store()
  return z:slices("c", C, all - C)
end

return { rep_conv = rep_conv, focus = focus }
