-- attend (language.md section 4): gives each name its role, renames the key side, traces score and weight once, and
-- hands all to core.attend.
local core, lib, methods = ...
local lift = core.lift

local function fail(fmt, ...) core.fail("ATTEND", "attend: " .. fmt:format(...)) end

local function traced(what, f, ...) -- free nesting (R3) while f runs
  if type(f) ~= "function" then fail("%s is a function, this is a %s", what, type(f)) end
  core.scoped(true)
  local r = table.pack(f(...))
  core.scoped(false)
  if r.n == 0 or r[1] == nil then fail("%s returned nothing", what) end
  return r
end

local function listed(x, skip, out) -- name, extent, ... of x less skip
  out = out or {}
  local ext = x.ext
  for _, a in ipairs(x.ax) do if not skip[a] then out[#out + 1], out[#out + 2] = a, ext[a] end end
  return out
end

-- The steps of the normaliser
local function steps_of(norm, fixed)
  norm = norm == nil and "softmax" or norm
  if norm == "none" then return {} end
  if norm == "softmax" then return { {} } end
  if type(norm) ~= "table" then fail("normalise is \"softmax\", \"none\", a step or a list of steps") end
  if norm.softmax or norm.ratio then norm = { norm } end
  local r = {}
  for i, s in ipairs(norm) do
    local kind = type(s) == "table" and (s.softmax or s.ratio)
    if not kind then fail("step %d of normalise is neither { softmax = ... } nor { ratio = ... }", i) end
    local axes, all = {}, false
    if type(kind) == "string" then
      local names, keys = core.words(kind), 0
      for _, n in ipairs(names) do
        local extent = fixed[n]
        if not extent then fail("step %d of normalise names '%s', no axis of the query or the keys", i, n) end
        axes[#axes + 1], axes[#axes + 2] = n, extent
        if fixed.is_key[n] then keys = keys + 1 end
      end
      all = keys == #names and keys == fixed.n_keys
    end
    r[i] = { ratio = s.ratio ~= nil, axes = all and {} or axes, floor = s.floor, eps = s.eps }
  end
  return r
end

-- Key axes that the query has too are renamed on the key side (R5)
local function key_names(set, q, dot)
  local names, prime = core.words(set.over or ""), {}
  for i, o in ipairs(names) do
    if dot[o] then fail("'%s' is in dot and in over", o) end
    if q and not set.s and q.ext[o] then names[i], prime[o] = o .. "'", o .. "'" end
  end
  return names, prime
end
local function key_side(x, prime)
  x = lift(x)
  local map, some, ext = {}, false, x.ext
  for o, n in lib.pairs(prime) do
    if ext[o] then
      if ext[n] then fail("%s has both '%s' and '%s'", core.text(x), o, n) end
      map[o], some = lib.axis(n, ext[o]), true
    end
  end
  return some and x(map) or x
end

-- One set: operands, key axes with extents, the scores over pairs
local function make_set(a, set, q, dot, dots, Q, in_q)
  local names, prime = key_names(set, q, dot)
  local p = { over = {}, ext = {}, only = set.only ~= nil and set.only ~= false and lift(set.only) or nil }
  if set.v == nil then fail("a set has no v") end
  p.v = math.type(set.v) and set.v or key_side(set.v, prime)
  if set.k ~= nil then p.k = key_side(lib.tensor_of("attend: k", set.k), prime) end
  if set.s ~= nil then p.s = lift(set.s) end
  if not p.k and not p.s then fail("a set has neither k nor s") end
  if p.k and p.s then fail("a set has both k and s") end
  if p.k and not q then fail("k is given without q") end
  local pairs_axes = table.move(Q, 1, #Q, 1, {})
  for _, o in ipairs(names) do
    if in_q[o] then fail("'%s' is an axis of the query %s and a key axis", o, core.text(q or p.s)) end
    local n = (p.k or p.s).ext[o]
    if not n then fail("%s %s lacks the key axis '%s'", p.k and "k" or "s", core.text(p.k or p.s), o) end
    if core.is(p.v) and not p.v.ext[o] then fail("v %s lacks the key axis '%s'", core.text(p.v), o) end
    p.ext[o] = n
    p.over[#p.over + 1], p.over[#p.over + 2] = o, n
    pairs_axes[#pairs_axes + 1], pairs_axes[#pairs_axes + 2] = o, n
  end
  local s, score = p.s, set.score or a.score
  if not s then
    for n in lib.pairs(p.k.ext) do
      if not dot[n] and not in_q[n] and not p.ext[n] then
        fail("k %s has the axis '%s', which is neither in over nor in dot nor an axis of the query", core.text(p.k), n)
      end
    end
    p.raw = core.placeholder("raw", pairs_axes)
    s = p.raw
    local scale = a.scale
    if scale == nil and not score then scale = dots ^ -0.5 end
    if scale ~= nil then s = traced("scale", function() return s * scale end)[1] end
  end
  p.scores = score and traced("score", score, s) or { s }
  for i, x in ipairs(p.scores) do
    x = lift(x)
    p.scores[i] = x
    for _, n in ipairs(x.ax) do
      if not in_q[n] and not p.ext[n] then
        fail("the score %s has the axis '%s', which no pair has", core.text(x), n)
      end
    end
  end
  local weight = set.weight or a.weight
  if weight then
    p.p = {}
    for i = 1, #p.scores do p.p[i] = core.placeholder("p", pairs_axes) end
    p.weight = lift(traced("weight", weight, table.unpack(p.p))[1])
  end
  return p
end

-- attend{ q =, dot =, scale =, score =, weight =, normalise =, lse =,
--         { k =, v =, over =, only =, score =, weight = }, ... }
function lib.attend(a)
  if type(a) ~= "table" then fail("a table is wanted, this is a %s", type(a)) end
  local sets, dot, dots, dot_axes = #a > 0 and a or { a }, {}, 1, {}
  local q = a.q ~= nil and lift(a.q) or nil
  for _, d in ipairs(core.words(a.dot or "")) do
    local n = q and q.ext[d]
    if not n then fail("dot names '%s', which q%s lacks", d, q and " " .. core.text(q) or " (not given)") end
    dot[d], dots = true, dots * n
    dot_axes[#dot_axes + 1], dot_axes[#dot_axes + 2] = d, n
  end
  local bound = {}
  for d in lib.pairs(dot) do bound[d] = true end
  if not q then
    if sets[1].s == nil then fail("neither q nor s is given") end
    for _, set in ipairs(sets) do for _, o in ipairs(core.words(set.over or "")) do bound[o] = true end end
  end
  local Q, in_q, fixed = listed(q or lift(sets[1].s), bound), {}, { is_key = {}, n_keys = 0 }
  for i = 1, #Q, 2 do in_q[Q[i]], fixed[Q[i]] = true, Q[i + 1] end
  local made = {}
  for i, set in ipairs(sets) do
    if type(set) ~= "table" then fail("set %d is a %s; a table { k =, v =, over = } is wanted", i, type(set)) end
    made[i] = make_set(a, set, q, dot, dots, Q, in_q)
  end
  for o, n in lib.pairs(made[1].ext) do fixed[o], fixed.is_key[o], fixed.n_keys = n, true, fixed.n_keys + 1 end
  return core.attend { q = q, dot = dot_axes, sets = made, steps = steps_of(a.normalise, fixed), lse = a.lse }
end

function lib.ratio(o) -- a step; o: ratio = axes, floor, eps
  o = lib.table_of("ratio", o)
  return { ratio = o.ratio or true, floor = o.floor, eps = o.eps }
end

-- torch's MultiheadAttention: one in_proj_weight, (part head d) by c. name: a prefix that ends in a dot, or is empty.
-- o: only, score (gets the scaled product)
function lib.multi_head(q, k, v, name, heads, over, o)
  o = lib.table_of("multi_head", o)
  lib.name_of("multi_head", name)
  local c = lib.tensor_of("multi_head", q).c
  lib.whole_of("multi_head: heads", heads)
  if not c then fail("multi_head: no axis 'c' in %s", core.text(q)) end
  if c % heads ~= 0 then fail("%d heads do not divide c=%d of %s", heads, c, core.text(q)) end
  local shape, sizes = "(part=3 head d)", { head = heads, d = c // heads, c = c }
  local w = lib.param(name .. "in_proj_weight", shape .. " c", sizes)
  local b = lib.param(name .. "in_proj_bias", shape, sizes)
  local function proj(x, i) return lib.contract(x, w { part = i }, "c") + b { part = i } end
  local r = lib.attend { q = proj(q, 0), k = proj(k, 1), v = proj(v, 2), over = over, dot = "d", only = o.only,
    scale = (c // heads) ^ -0.5, score = o.score }
  return lib.linear(r:merge "c = head d", name .. "out_proj", "c=" .. c)
end
