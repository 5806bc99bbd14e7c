-- Functions of one number or tensor, and of a row.
local core, lib, methods = ...
local where, lt, exp = lib.where, lib.lt, lib.exp

function lib.clamp(x, lo, hi) return lib.max(lib.min(x, hi), lo) end
function lib.sign(x)                                     -- -1, 0, 1
  if type(x) == "number" then return x > 0 and 1 or x < 0 and -1 or 0 end
  return where(lt(0, x), 1, where(lt(x, 0), -1, 0))
end

-- A function of x, a tensor or a number, and of further numbers
local function map(name, f)
  lib[name] = function(x, ...) return f(lib.number_of(name, x), ...) end
end
map("sigmoid", function(x) return 1 / (1 + exp(-x)) end)
map("silu", function(x) return x / (1 + exp(-x)) end)
lib.swish = lib.silu
map("relu", function(x) return lib.max(x, 0.0) end)
map("relu6", function(x) return lib.clamp(x, 0.0, 6.0) end)
map("leaky_relu", function(x, slope) return where(lt(x, 0), x * lib.number_of("leaky_relu: slope", slope), x) end)
map("elu", function(x) return where(lt(0, x), x, exp(lib.min(x, 0.0)) - 1) end)
map("gelu", function(x) return 0.5 * x * (1 + lib.erf(x * 0.5 ^ 0.5)) end)            -- with erf
map("gelu_tanh", function(x) return 0.5 * x * (1 + lib.tanh((2 / math.pi) ^ 0.5 * (x + 0.044715 * x ^ 3))) end)
map("softplus", function(x) return where(lt(30, x), x, lib.log(1 + exp(lib.min(x, 30.0)))) end)
map("softshrink", function(x, l) return x - lib.clamp(x, -lib.number_of("softshrink: threshold", l), l) end)
map("hard_sigmoid", function(x) return lib.clamp(x / 6 + 0.5, 0.0, 1.0) end)
map("hard_swish", function(x) return x * lib.hard_sigmoid(x) end)

-- softmax(x, axes)
function lib.softmax(x, axes)
  local e = exp(lib.tensor_of("softmax", x) - x:max(axes))
  return e / e:sum(axes)
end
-- x / max(|x|, eps) over axes
function lib.unit(x, over, eps) return lib.tensor_of("unit", x) / lib.max(lib.sqrt((x ^ 2):sum(over)), eps) end

-- argmax(x, axes): one coordinate tensor per axis, then the value
function lib.argmax(x, axes)
  local r = { core.top(x, axes, 1, "top.1") }
  for i, t in ipairs(r) do r[i] = t { ["top.1"] = 0 } end
  return table.unpack(r)
end
-- sort(x, axis): coordinates, then values; ascending, stable
function lib.sort(x, a)
  lib.tensor_of("sort", x)
  if not x.ext[a] then core.fail("AXIS", ("sort: no axis '%s' in %s"):format(tostring(a), core.text(x))) end
  return core.top(x, a, x.ext[a], a, true)
end
