-- Pieces that backbones share. All take x with channels c; name is a module's prefix.
local core, lib, methods = ...

-- divisible(v, limit, n): the multiple of n (8) nearest to v, at least n; the next where that is below limit (0.9) of v
function lib.divisible(v, limit, n)
  n = n or 8
  local r = math.max(n, math.floor(v + n / 2) // n * n)
  return r < (limit or 0.9) * v and r + n or r
end
-- conv_bn(x, name, o): a convolution and its batch norm; o as conv, without bias unless it says so; conv ("conv") and
-- bn ("bn"): their names; eps
function lib.conv_bn(x, name, o)
  local r = { bias = false }
  for k, v in lib.pairs(lib.table_of("conv_bn", o)) do r[k] = v end
  lib.name_of("conv_bn", name)
  local y = lib.conv(x, name .. "." .. (r.conv or "conv"), r)
  return lib.batch_norm(y, name .. "." .. (r.bn or "bn"), r.eps)
end
-- mlp(x, name, o): o: hidden, out (else as stored), act (gelu), fc1, fc2 (the names of its linears)
function lib.mlp(x, name, o)
  o = lib.table_of("mlp", o)
  lib.tensor_of("mlp", x)
  lib.name_of("mlp", name)
  local y = lib.linear(x, name .. "." .. (o.fc1 or "fc1"), o.hidden and "c=" .. o.hidden or "c", o)
  return lib.linear((o.act or lib.gelu)(y), name .. "." .. (o.fc2 or "fc2"), "c=" .. (o.out or x.c), o)
end
-- layer_scale(x, name): times a stored factor per channel
function lib.layer_scale(x, name) return lib.tensor_of("layer_scale", x) * lib.param(name, "c", { c = x.c }) end
-- residual(x, f, gamma): x + gamma f(x)
function lib.residual(x, f, gamma)
  local y = f(x)
  return x + (gamma and lib.layer_scale(y, gamma) or y)
end
-- patch_embed(x, name, o): squares of o.patch become tokens of o.out channels
function lib.patch_embed(x, name, o)
  o = lib.table_of("patch_embed", o)
  lib.tensor_of("patch_embed", x)
  lib.name_of("patch_embed", name)
  return lib.conv(x, name, { stride = o.patch, pad = 0, kernel = o.patch, out = o.out, bias = o.bias })
end
-- patch_merge(x, name, o): Swin's: 2x2 neighbours in the order (0,0) (1,0) (0,1) (1,1), norm, reduction
function lib.patch_merge(x, name, o)
  o = lib.table_of("patch_merge", o)
  lib.tensor_of("patch_merge", x)
  lib.name_of("patch_merge", name)
  if x.h % 2 + x.w % 2 > 0 then x = x:pad { h = { 0, x.h % 2 }, w = { 0, x.w % 2 }, border = 0 } end
  local y = x:split "h = h hi=2, w = w wi=2":merge "c = wi hi c"
  y = lib.layer_norm(y, name .. ".norm", o.eps)
  return lib.linear(y, name .. ".reduction", "c=" .. (o.out or 2 * x.c), { bias = false })
end
-- squeeze_excite(x, name, o): o: reduced (channels), act (relu), gate (sigmoid), reduce and expand (the names of its
-- two products, 1x1 convolutions)
function lib.squeeze_excite(x, name, o)
  o = lib.table_of("squeeze_excite", o)
  lib.tensor_of("squeeze_excite", x)
  lib.name_of("squeeze_excite", name)
  local function product(s, which, out) return lib.linear(s, name .. "." .. which, out, { ones = 2 }) end
  local s = product(x:mean "h w", o.reduce or "conv_reduce", o.reduced and "c=" .. o.reduced or "c")
  return x * (o.gate or lib.sigmoid)(product((o.act or lib.relu)(s), o.expand or "conv_expand", "c=" .. x.c))
end
-- head(x, name, classes): the mean over the map, then a linear
function lib.head(x, name, classes)
  local y = lib.tensor_of("head", x).ext.h and x:mean "h w" or x
  return lib.linear(y, name, classes and "c=" .. classes or "c")
end
