-- Combiner: one softmax over direct keys and one summary key per region; a summary is pooled keys, attended values
local function dense(x, name, order, over) return contract(x, param(name .. ".kernel", order), over) end
local function pooled(q, k, v, over)                                 -- key and value of the whole region
  return k:max(over), attend{ q = q:max(over), k = k, v = v, over = over, dot = "d" } end

local function fixed(q, k, v, s)
  local cut = split("n = seg s", { s = s })
  q, k, v = cut(q), cut(k), cut(v)
  local span_k, span_v = pooled(q, k, v, "s")
  local i, j = q:pair"s"
  local g, h = q:pair"seg"
  return attend{ q = q, dot = "d",
    { k = k, v = v, over = "s", only = le(j, i) },
    { k = span_k, v = span_v, over = "seg", only = lt(h, g) } }:merge"n = seg s"
end

local function axial(q, k, v, s, x, name)
  local grid = split("n = row col", { col = s })
  q, k, v, x = grid(q), grid(k), grid(v), grid(x)
  local row_v = attend{ q = q, k = k, v = v, over = "col", dot = "d" }            -- not causal; per column of the query
  local z = standardise((dense(row_v, name .. ".DenseGeneral_0", "head d c", "head d") + x), "c", 1e-6)
  z = z * param(name .. ".LayerNorm_0.scale", "c") + param(name .. ".LayerNorm_0.bias", "c")
  local row_k = dense(z, name .. ".DenseGeneral_1", "c head d", "c")
  local i, j = q:pair"col"
  local r, t = q:pair"row"
  return attend{ q = q, dot = "d",
    { k = k, v = v, over = "col", only = le(j, i) },
    { k = row_k, v = row_v, over = "row", only = lt(t, r) } }:merge"n = row col"
end

local function mixture(q, k, v, s)
  local grid = split("n = row col", { col = s })
  q, k, v = grid(q), grid(k), grid(v)
  local i, j = q:pair"col"
  local r, t = q:pair"row"
  -- summaries of what lies before (after) along a, without itself
  local function so_far(a, reach, shift)
    local move = gather{ [a] = q:index(a) + shift, border = "cut" }
    local sq, sk = running(q, a, "max", shift > 0), running(k, a, "max", shift > 0)
    return move(sk), move(attend{ q = sq, k = k, v = v, over = a, dot = "d", only = reach })
  end
  local above_k, above_v = so_far("row", le(t, r), -1)
  local left_k, left_v = so_far("col", le(j, i), -1)
  local right_k, right_v = so_far("col", le(i, j), 1)
  return attend{ q = q, dot = "d",
    { k = k, v = v, over = "row", only = lt(t, r) },                 -- own column, above
    { k = k, v = v, over = "col", only = le(j, i) },                 -- own row, up to self
    { k = above_k, v = above_v, over = "col", only = ne(j, i) },     -- every other column, above
    { k = left_k, v = left_v, over = "row", only = lt(t, r) },       -- rows above, left of own column
    { k = right_k, v = right_v, over = "row", only = lt(t, r) } }:merge"n = row col"
end

local function logsparse(q, k, v)
  local n, L = q:index"n", q.n
  -- itself, and per level the even block before its own odd block
  local sets = { q = q, dot = "d", { k = k, v = v } }
  for l = 0, math.ceil(math.log(L - 1, 2)) - 1 do
    local size = 1 << l
    local function blocks(x) return x:slice{ n = {0, L - L % size} }:split("n = g j", { j = size }) end
    local span_k, span_v = pooled(blocks(q), blocks(k), blocks(v), "j")
    local before = gather{ g = n // size - 1, border = "cut", only = eq(n // size % 2, 1) }
    sets[#sets+1] = { k = before(span_k), v = before(span_v) }
  end
  return attend(sets)
end

local layers = { fixed = fixed, axial = axial, mixture = mixture, logn = logsparse }
local function combiner(x, name, kind, s)
  local function heads(part) return dense(x, name .. "." .. part, "c head d", "c") end
  local o = layers[kind](heads"query", heads"key", heads"value", s, x, name)
  return dense(o, name .. ".DenseGeneral_" .. (kind == "axial" and 2 or 0), "head d c", "head d")
end
output("output", combiner(input("input", "b n c"), "", config.combiner, config.max_seg_len), "b n c")
