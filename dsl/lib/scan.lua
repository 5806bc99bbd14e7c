-- scan (language.md A6): the body is traced once; a tensor that has the scanned axis is read at the step.
local core, lib, methods = ...

local function axes_of(x)
  local r, ext = {}, x.ext
  for i, a in ipairs(x.ax) do r[2 * i - 1], r[2 * i] = a, ext[a] end
  return r
end

-- scan{ over = "n" or "p=12", init = a tensor, a number or a list, step = function(S) return next, output end,
--       reverse = }
-- Results: the outputs of all steps, then the last state (a list where init is one).
function lib.scan(o)
  if type(o) ~= "table" or type(o.step) ~= "function" then
    core.fail("ARGUMENT", "scan: { over =, init =, step = function } is wanted")
  end
  local over = core.axes(o.over or "")
  if #over ~= 2 then core.fail("ARGUMENT", "scan: over names one axis: \"n\" or \"n=12\"") end
  local single = type(o.init) == "number" or core.is(o.init)
  if not single and type(o.init) ~= "table" then
    core.fail("ARGUMENT", "scan: init is a tensor, a number or a list of them")
  end
  local init, numeric = single and { o.init } or table.move(o.init, 1, #o.init, 1, {}), false
  for i, x in ipairs(init) do
    numeric = numeric or type(x) == "number"
    if type(x) ~= "number" then init[i] = core.lift(x) end
  end
  core.scan_begin(over[1], over[2])
  local function step(S)
    local next, y = o.step(single and S[1] or S)
    if single then next = { next } end
    if type(next) ~= "table" or #next ~= #init then
      core.fail("ARGUMENT", ("scan: step must return %d next states"):format(#init))
    end
    for i, x in ipairs(next) do next[i] = core.lift(x) end
    return next, y
  end
  if numeric then -- the axes of such a state are those of its first next value
    local first = {}
    for i, x in ipairs(init) do first[i] = core.lift(x) end
    for i, x in ipairs((step(first))) do
      if type(init[i]) == "number" then
        local n = init[i]
        if core.type_of(x) ~= "i32" then n = n + 0.0 end
        init[i] = core.along(core.lift(n), x)
      end
    end
  end
  local states = {}
  for i, x in ipairs(init) do states[i] = core.placeholder("state", axes_of(x), core.type_of(x)) end
  local next, y = step(states)
  local r = table.pack(core.scan_finish { init = init, state = states, next = next, output = y, reverse = o.reverse })
  if single then return r[1], r[2] end
  return r[1], table.move(r, 2, r.n, 1, {})
end

-- running(x, axis, "sum" or "max", reverse): the inclusive prefix, or suffix
function lib.running(x, a, op, reverse)
  lib.tensor_of("running", x)
  if op ~= "max" and op ~= "sum" then core.fail("ARGUMENT", "running: the operation is \"sum\" or \"max\"") end
  return (lib.scan { over = a, init = op == "max" and -math.huge or 0.0, reverse = reverse, step = function(S)
    local m = op == "max" and lib.max(S, x) or S + x
    return m, m
  end })
end
methods.running = lib.running
