-- Products with stored weights. name: the module's prefix; its parameters are name.weight and, where one is stored,
-- name.bias.
local core, lib, methods = ...

function lib.dense(a, b, axes) return lib.contract(a, b, axes) end

-- With weights, what is stored decides about a bias (bias = true or false says it); without, a module has one unless
-- bias = false.
function lib.bias_of(name, o, order, sizes)
  local given = o and o.bias
  if given == false or given == nil and not lib.has_param(name .. ".bias") then return nil end
  return lib.param(name .. ".bias", order, sizes)
end

-- linear(x, name, out, o): out "c=96", "part=3 head=6 d", "" (a stored width of 1 that is no axis). A width left open
-- follows from the stored weight. o: over = "c" (the input axes), shared = axes that weight and data have both
-- (grouped), bias =, ones = how many dimensions of 1 end the stored weight where the spec declares it (a 1x1
-- convolution: 2)
function lib.linear(x, name, out, o)
  lib.tensor_of("linear", x)
  lib.name_of("linear", name)
  o = lib.table_of("linear", o)
  local ext, shared, renames, names, sizes = x.ext, {}, {}, {}, {}
  for _, a in ipairs(core.words(o.shared or "")) do shared[a] = true end
  local list = core.axes(out or "c")
  for i = 1, #list, 2 do
    local a, n = list[i], list[i + 1]
    local b = a
    if shared[a] then n = ext[a]
    elseif ext[a] then b = a .. "'" renames[#renames + 1] = b .. "=" .. a end
    names[#names + 1], sizes[b] = b, n or nil
  end
  local over = o.over or "c"
  for _, a in ipairs(core.words(over)) do
    if not ext[a] then core.fail("AXIS", ("linear '%s': no axis '%s' in %s"):format(name, a, core.text(x))) end
    sizes[a] = ext[a]
  end
  local order = #names == 0 and "1" or "(" .. table.concat(names, " ") .. ")"
  local ones = core.stored_shape(name .. ".weight") and "" or (" 1"):rep(o.ones or 0)
  local y = lib.contract(x, lib.param(name .. ".weight", order .. " " .. over .. ones, sizes), over)
  local bias = lib.bias_of(name, o, order, sizes)
  if bias then y = y + bias end
  if #renames > 0 then y = y:as(table.concat(renames, " ")) end
  return y
end

function lib.cross(u, v, a) -- u x v over the axis a of extent 3
  local i = lib.axis(a, 3)
  lib.tensor_of("cross", u)
  lib.tensor_of("cross", v)
  return u { [a] = (i + 1) % 3 } * v { [a] = (i + 2) % 3 } - u { [a] = (i + 2) % 3 } * v { [a] = (i + 1) % 3 }
end
