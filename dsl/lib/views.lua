-- Views: reads under their usual names. Each is a value, split(s)(x), and a method, x:split(s); it applies to those of
-- its axes that the tensor has, at least one; the axes it makes must be new to the tensor (R6).
local core, lib, methods = ...
local axis = lib.axis

local function view(name, f)
  local function checked(x, ...)
    lib.tensor_of(name, x)
    return f(x, ...)
  end
  methods[name] = checked
  lib[name] = function(...)
    local a = table.pack(...)
    return function(x) return checked(x, table.unpack(a, 1, a.n)) end
  end
end
lib.view = view

local function fail(what, fmt, ...) core.fail("VIEW", what .. ": " .. fmt:format(...)) end

-- R6: what a view makes must be new, or it would silently read a diagonal
local function fresh(what, x, made, gone)
  if #gone == 0 then fail(what, "none of its axes is in %s", core.text(x)) end
  local old, seen, ext = {}, {}, x.ext
  for _, a in ipairs(gone) do old[a] = true end
  for _, a in ipairs(made) do
    if seen[a] or ext[a] and not old[a] then
      fail(what, "the axis '%s' that it makes is already in %s; give it another name", a, core.text(x))
    end
    seen[a] = true
  end
end

-- Reads what x has of map; made: the axes that appear
local function read(what, x, map, made)
  local r, gone, ext = { border = map.border, only = map.only }, {}, x.ext
  for a, i in lib.pairs(map) do
    if ext[a] then r[a], gone[#gone + 1] = i, a end
  end
  fresh(what, x, made or {}, gone)
  return x(r)
end

local function option(o, key, a) -- one for all axes, or per axis
  local v = o[key]
  if type(v) == "table" then return v[a] end
  return v
end
local function whole(what, name, v)
  if v ~= nil and math.type(v) ~= "integer" then fail(what, "%s is a whole number, not %s", name, tostring(v)) end
  return v
end
local function options(what, o)
  if type(o) ~= "table" then fail(what, "a table is wanted, this is a %s", type(o)) end
  return o
end

view("as", function(x, s) -- "h=y w=x", renamed in parallel
  local list, map, made, ext = core.renames(s), {}, {}, x.ext
  for i = 1, #list, 2 do
    local a, b = list[i], list[i + 1]
    if ext[a] then
      if map[a] then fail("as", "'%s' is renamed twice in '%s'", a, s) end
      map[a], made[#made + 1] = axis(b, ext[a]), b
    end
  end
  return read("as", x, map, made)
end)

local function split_one(x, s, g, map, made) -- g: { "h", "hb", false, "hi", 7 }
  local a, n, known, open = g[1], x.ext[g[1]], 1, nil
  for i = 2, #g, 2 do
    if g[i + 1] then known = known * g[i + 1]
    elseif open then fail("split", "'%s' and '%s' are both open in '%s'; one may be", g[open], g[i], s)
    else open = i end
  end
  if open and n % known ~= 0 then
    local tail = ""
    local below = n // known * known
    if known > 1 then tail = ("; the nearest multiples are %d and %d"):format(below, below + known) end
    fail("split", "%s=%d of %s is no multiple of %d ('%s')%s", a, n, core.text(x), known, s, tail)
  end
  if open then g[open + 1] = n // known
  elseif known ~= n then fail("split", "%s=%d of %s, but the parts of '%s' make %d", a, n, core.text(x), s, known) end
  local ix = 0
  for i = 2, #g, 2 do
    ix = ix * g[i + 1] + axis(g[i], g[i + 1])
    made[#made + 1] = g[i]
  end
  map[a] = ix
end
view("split", function(x, s, sizes) -- "h = hb hi=7, w = wb wi": major first; one extent per group may be left out
  local map, made, ext = {}, {}, x.ext
  for _, g in ipairs(core.groups(s, sizes)) do if ext[g[1]] then split_one(x, s, g, map, made) end end
  return read("split", x, map, made)
end)

view("merge", function(x, s) -- "c = head d, ...": major first
  local map, made, ext = {}, {}, x.ext
  for _, g in ipairs(core.groups(s)) do
    local n, some = 1, false
    for i = 2, #g, 2 do some = some or ext[g[i]] ~= nil end
    if some then
      for i = 2, #g, 2 do
        if not ext[g[i]] then fail("merge", "no axis '%s' in %s for '%s'", g[i], core.text(x), s) end
        n = n * ext[g[i]]
      end
      local c = axis(g[1], n)
      made[#made + 1] = g[1]
      for i = #g - 1, 2, -2 do
        map[g[i]] = i > 2 and c % ext[g[i]] or c
        c = c // ext[g[i]]
      end
    end
  end
  return read("merge", x, map, made)
end)

-- Windows: extent (L + 2 pad - dilation (n - 1) - 1) // stride + 1; ceil: ceil(L / stride); without pad:
-- dilation (n // 2)
local function positions(len, o, a, spec, sizes)
  local t = core.axes(spec, sizes)
  local pos, tap, n = a, t[1], t[2]
  if #t == 4 and not t[2] then pos, tap, n = t[1], t[3], t[4] end
  if #t > 4 or not n then fail("window", "'%s = \"%s\"': \"tap=N\" or \"position tap=N\" is wanted", a, spec) end
  local s = whole("window", "stride", option(o, "stride", a)) or 1
  local D = whole("window", "dilation", option(o, "dilation", a)) or 1
  local pad = whole("window", "pad", option(o, "pad", a))
  if s < 1 or D < 1 or pad and pad < 0 then fail("window", "stride and dilation are at least 1, pad at least 0") end
  local p = pad or D * (n // 2)
  local count
  if len then
    count = s == 1 and not pad and len or o.ceil and -(-len // s) or (len + 2 * p - D * (n - 1) - 1) // s + 1
    if count < 1 then fail("window", "%d taps (dilation %d, padding %d) do not fit into %s=%d", n, D, p, a, len) end
  end
  return { pos = pos, tap = tap, n = n, s = s, D = D, pad = p, count = count }
end
local function taps(what, o) -- the entries that name windows, in order of axis
  local r = {}
  for a, spec in lib.pairs(options(what, o)) do
    if type(spec) == "string" and a ~= "border" then r[#r + 1] = { a, spec } end
  end
  if #r == 0 then fail(what, "no axis is given: { h = \"u=7\" }") end
  return r
end
local function shifted(P, U, w, len, a) -- inward at the ends: n taps of the own residue class, always inside
  local least = w.n * w.D
  if len < least then
    fail("window", "%s=%d is shorter than the window: kernel %d times dilation %d is %d", a, len, w.n, w.D, least)
  end
  local g, j = P % w.D, P // w.D
  return (lib.clamp(j - w.n // 2, 0, (len - g + w.D - 1) // w.D - w.n) + U) * w.D + g
end
view("window", function(x, o, sizes) -- { h = "u=7" or "hb u=7", stride =, dilation =, pad =, ceil =, border = }
  local ext, map, made = x.ext, {}, {}
  local shift = options("window", o).border == "shift"
  if not shift then map.border = o.border end
  for _, t in ipairs(taps("window", o)) do
    local a, len = t[1], ext[t[1]]
    if len then
      local w = positions(len, o, a, t[2], sizes)
      local P, U = axis(w.pos, w.count), axis(w.tap, w.n)
      map[a] = shift and shifted(P, U, w, len, a) or P * w.s + U * w.D - w.pad
      made[#made + 1], made[#made + 2] = w.pos, w.tap
    end
  end
  return read("window", x, map, made)
end)
-- of each element the windows that hold it, one per tap, others absent; a sum over taps folds
view("unwindow", function(x, o, like, sizes)
  local map, made, ext = { border = "cut" }, {}, x.ext
  local extents = core.is(like) and like.ext or like
  for _, t in ipairs(taps("unwindow", o)) do
    local a, w = t[1], positions(nil, o, t[1], t[2], sizes)
    if ext[w.pos] then
      if type(extents) ~= "table" or not extents[a] then
        fail("unwindow", "the old extent of '%s' is wanted: a tensor or a table that has it", a)
      end
      map[w.pos] = lib.exact(axis(a, extents[a]) + w.pad - axis(w.tap, w.n) * w.D, w.s)
      made[#made + 1] = a
    end
  end
  return read("unwindow", x, map, made)
end)

view("tile", function(x, o, sizes) -- { h = "hb hi=7", border = }: blocks; the border fills the last one
  local w = { stride = {}, pad = 0, ceil = true, border = options("tile", o).border }
  for _, t in ipairs(taps("tile", o)) do
    local l = core.axes(t[2], sizes)
    if #l ~= 4 or not l[4] then fail("tile", "'%s = \"%s\"': \"block inside=N\" is wanted", t[1], t[2]) end
    w[t[1]], w.stride[t[1]] = ("%s %s=%d"):format(l[1], l[3], l[4]), l[4]
  end
  return methods.window(x, w)
end)
view("untile", function(x, o, like, sizes) -- the inverse of tile(o): back to the extents of like, or all of the blocks
  local map, made, ext = {}, {}, x.ext
  local extents = core.is(like) and like.ext or like
  for _, t in ipairs(taps("untile", o)) do
    local l = core.axes(t[2], sizes)
    if #l ~= 4 or not l[4] then fail("untile", "'%s = \"%s\"': \"block inside=N\" is wanted", t[1], t[2]) end
    local a, b, i, n = t[1], l[1], l[3], l[4]
    if ext[b] then
      local h = axis(a, extents and extents[a] or ext[b] * n)
      map[b], map[i] = h // n, h % n
      made[#made + 1] = a
    end
  end
  return read("untile", x, map, made)
end)

-- "h = ph=7": bin p of n holds floor(p L / n) .. ceil((p + 1) L / n) - 1; adaptive pooling
view("bins", function(x, s, sizes)
  local only, made, gone, ext = nil, {}, {}, x.ext
  for _, g in ipairs(core.groups(s, sizes)) do
    local a, len = g[1], ext[g[1]]
    if len then
      if #g ~= 3 or not g[3] then fail("bins", "'%s = bin=N' is wanted in '%s'", a, s) end
      local i, t, n = axis(a, len), axis(g[2], g[3]), g[3]
      local inside = lib.le(t * len // n, i) & lib.lt(i, -(-((t + 1) * len) // n))
      only = only and only & inside or inside
      made[#made + 1], gone[#gone + 1] = g[2], a
    end
  end
  fresh("bins", x, made, gone)
  return x { only = only }
end)

view("roll", function(x, o) -- { h = -3 }: element i goes to i + shift
  local map, ext = {}, x.ext
  for a, s in lib.pairs(options("roll", o)) do
    if ext[a] then map[a] = (axis(a, ext[a]) - whole("roll", a, s)) % ext[a] end
  end
  return read("roll", x, map)
end)
view("flip", function(x, s)
  local map, ext = {}, x.ext
  for _, a in ipairs(core.words(s)) do if ext[a] then map[a] = ext[a] - 1 - axis(a, ext[a]) end end
  return read("flip", x, map)
end)
local function range(what, a, p) -- two whole numbers
  if type(p) ~= "table" or math.type(p[1]) ~= "integer" or math.type(p[2]) ~= "integer" then
    local pair = what == "pad" and "before, after" or "first, count"
    fail(what, "'%s' takes two whole numbers: { %s = {%s} }", tostring(a), tostring(a), pair)
  end
  return p[1], p[2]
end
view("pad", function(x, o) -- { h = {before, after}, border = }
  local map, ext = { border = options("pad", o).border }, x.ext
  for a, p in lib.pairs(o) do
    if ext[a] then
      local before, after = range("pad", a, p)
      map[a] = axis(a, ext[a] + before + after) - before
    end
  end
  return read("pad", x, map)
end)
view("slice", function(x, o) -- { h = {first, count} }
  local map, ext = {}, x.ext
  for a, p in lib.pairs(options("slice", o)) do
    local first, count = range("slice", a, p)
    if not ext[a] then fail("slice", "no axis '%s' in %s", tostring(a), core.text(x)) end
    if first < 0 or count < 1 or first + count > ext[a] then
      fail("slice", "%s = {%d, %d} (first, count) is not inside %s", a, first, count, core.text(x))
    end
    map[a] = axis(a, count) + first
  end
  return read("slice", x, map)
end)
-- { hb = index tensor, border =, only = }
view("gather", function(x, o) return read("gather", x, options("gather", o)) end)
view("along", function(x, s, sizes) -- "b=2", or a tensor: constant along the axes that x lacks
  if type(s) == "string" then
    s = core.axes(s, sizes)
    for i = 1, #s, 2 do if not s[i + 1] then fail("along", "the extent of '%s' is wanted: \"%s=N\"", s[i], s[i]) end end
  elseif not core.is(s) then fail("along", "a string of axes or a tensor is wanted, this is a %s", type(s)) end
  return core.along(x, s)
end)
view("parts", function(x, a) -- one by one along a
  local r, n = {}, x.ext[a]
  if not n then fail("parts", "no axis '%s' in %s", tostring(a), core.text(x)) end
  if n > 200 then fail("parts", "%s=%d: at most 200 parts", a, n) end
  for i = 0, n - 1 do r[i + 1] = x { [a] = i } end
  return table.unpack(r)
end)
-- parts of a that together are all of it; a part of 0 is false, which concat leaves out
view("slices", function(x, a, ...)
  local r, at = {}, 0
  if not x.ext[a] then fail("slices", "no axis '%s' in %s", tostring(a), core.text(x)) end
  for i, n in ipairs { ... } do r[i], at = n ~= 0 and methods.slice(x, { [a] = { at, n } }), at + n end
  if at ~= x.ext[a] then fail("slices", "%s=%d, the parts make %d", a, x.ext[a], at) end
  return table.unpack(r)
end)
view("pair", function(x, a) -- self-attention over a (R5): the coordinate of the query, that of the key
  return methods.index(x, a), axis(a .. "'", x.ext[a])
end)
