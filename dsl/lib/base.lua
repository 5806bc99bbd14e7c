-- What the other modules stand on: a pairs whose order does not depend on a hash, checks, and the primitives under
-- their names.
local core, lib, methods = ...

local rank = { number = 1, string = 2, boolean = 3 }
local function before(a, b)
  local ta, tb = rank[type(a)], rank[type(b)]
  if ta ~= tb then return ta < tb end
  if ta == 3 then return not a and b end
  return a < b
end

-- pairs(t): numbers ascending, then strings in order
function lib.pairs(t)
  if t == config then t = core.config() end
  if type(t) ~= "table" then error("bad argument #1 to 'pairs' (table expected, got " .. type(t) .. ")", 2) end
  local keys = {}
  for k in core.next, t do
    if not rank[type(k)] then error("pairs: a key is a " .. type(k) .. ": such keys have no order", 2) end
    keys[#keys + 1] = k
  end
  table.sort(keys, before)
  local i = 0
  return function()
    i = i + 1
    local k = keys[i]
    if k ~= nil then return k, t[k] end
  end
end

function lib.tensor_of(what, x) -- checks that x is a tensor
  if not core.is(x) then core.fail("ARGUMENT", ("%s: a tensor is wanted, this is a %s"):format(what, type(x))) end
  return x
end

function lib.number_of(what, x) -- checks that x is a number or a tensor
  if type(x) ~= "number" and not core.is(x) then
    core.fail("ARGUMENT", ("%s: a tensor or a number is wanted, this is %s"):format(what, type(x)))
  end
  return x
end

function lib.name_of(what, name) -- checks that name is a text: a parameter's prefix
  if type(name) ~= "string" then
    core.fail("ARGUMENT", ("%s: the name of its parameters is wanted, this is %s"):format(what, type(name)))
  end
  return name
end

function lib.whole_of(what, n) -- checks that n is a whole number above 0
  if math.type(n) ~= "integer" or n < 1 then
    core.fail("ARGUMENT", ("%s: a whole number above 0 is wanted, this is %s"):format(what, tostring(n)))
  end
  return n
end

function lib.table_of(what, o) -- checks that o is a table of options, or nothing
  if o ~= nil and type(o) ~= "table" then
    core.fail("ARGUMENT", ("%s: a table of options is wanted, this is a %s"):format(what, type(o)))
  end
  return o or {}
end

-- Primitives that are functions of the language as they are
for _, name in ipairs { "lt", "le", "eq", "ne", "min", "max", "outer", "where", "exact", "axis", "contract", "lift",
  "words", "fill", "input", "has_input", "param", "has_param", "output", "entry", "preprocess", "labels",
  "exp", "exp2", "log", "log2", "sin", "cos", "sqrt", "rsqrt", "erf", "tanh", "abs", "floor", "float", "isnan" } do
  lib[name] = core[name]
end
for _, name in ipairs { "sum", "mean", "count", "any", "all", "otherwise", "store" } do methods[name] = core[name] end
methods.max, methods.min = core.max_of, core.min_of
function lib.top(x, axes, k, name) return core.top(x, axes, k, name) end
function lib.concat(axis, parts) -- false: a part of no elements (slices)
  if type(parts) ~= "table" then
    core.fail("ARGUMENT", "concat: a list of tensors is wanted, this is a " .. type(parts))
  end
  local list = {}
  for _, p in ipairs(parts) do if p ~= false then list[#list + 1] = p end end
  return core.concat(axis, list)
end
function lib.stack(axis, parts) return core.stack(axis, parts) end
function lib.const(axes, values, sizes)
  local list = core.axes(axes, sizes)
  for i = 1, #list, 2 do
    if not list[i + 1] then
      core.fail("ARGUMENT", ("const: the extent of '%s' is wanted: \"%s=N\""):format(list[i], list[i]))
    end
  end
  return core.const(list, values)
end

function methods.index(x, a) -- the coordinate along a
  if not x.ext[a] then core.fail("AXIS", ("index: no axis '%s' in %s"):format(tostring(a), core.text(x))) end
  return core.axis(a, x.ext[a])
end
