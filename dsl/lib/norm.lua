-- Normalisation. name.weight and name.bias run over the first axis of the statistics (name nil: neither); eps is a
-- number.
local core, lib, methods = ...

local function affine(y, name, a, o)
  if not name then return y end
  local n = { [a] = y.ext[a] }
  y = y * lib.param(name .. ".weight", a, n)
  local bias = lib.bias_of(name, o, a, n)
  return bias and y + bias or y
end

function lib.standardise(x, over, eps) -- over: axes of the statistics
  local d = x - lib.tensor_of("standardise", x):mean(over)
  return d * lib.rsqrt((d ^ 2):mean(over) + eps)
end
function lib.layer_norm(x, name, eps, over, o)
  over = over or "c"
  return affine(lib.standardise(x, over, eps or 1e-5), name, core.words(over)[1], o)
end
-- groups of c; over: the other axes of the statistics, else "h w"
function lib.group_norm(x, name, eps, groups, over, o)
  local y = lib.tensor_of("group_norm", x):split("c = g.n c.n", { ["g.n"] = groups })
  y = lib.standardise(y, "c.n " .. (over or "h w"), eps or 1e-5):merge "c = g.n c.n"
  return affine(y, name, "c", o)
end
function lib.rms_norm(x, name, eps, over)
  over = over or "c"
  local y = x * lib.rsqrt((lib.tensor_of("rms_norm", x) ^ 2):mean(over) + (eps or 1e-6))
  local a = core.words(over)[1]
  return name and y * lib.param(name .. ".weight", a, { [a] = x.ext[a] }) or y
end
function lib.batch_norm(x, name, eps, over) -- stored statistics over c
  local a = over or "c"
  lib.name_of("batch_norm", name)
  local function p(s) return lib.param(name .. "." .. s, a, { [a] = lib.tensor_of("batch_norm", x).ext[a] }) end
  local scale = lib.rsqrt(p "running_var" + (eps or 1e-5))
  if lib.has_param(name .. ".weight") then return (x - p "running_mean") * (p "weight" * scale) + p "bias" end
  return (x - p "running_mean") * scale
end
