-- CARVE: causal attention that exports one row of its weights; contrast, resize and sum of the maps; the mask as a
-- graph (the crop is host code)
local function rope(x, n, theta)
  local y = x:split"d = two=2 d"
  local a, b = y:parts"two"
  local angle = n:along(axis("d", y.d)) * theta ^ (axis("d", y.d) * (-1.0 / y.d))
  local c, s = cos(angle), sin(angle)
  return stack("two", { a * c - b * s, b * c + a * s }):merge"d = two d" end
-- x: b n c; also: the last row, keys lo .. hi - 1, mean over heads
local function attention(x, name)
  local G, D, theta = config.num_key_value_heads, config.head_dim, config.rope_theta
  local n, key = x:pair"n"
  -- m: the query heads of a group
  local q = rope(linear(x, name .. "q_proj", ("g=%d m d=%d"):format(G, D)), n, theta)
  local k, v = rope(linear(x, name .. "k_proj", ("g=%d d"):format(G)), n, theta), linear(x, name .. "v_proj",
    ("g=%d d"):format(G))
  local o, lse = attend{ q = q, k = k, v = v, over = "n", dot = "d", only = le(key, n), lse = true }
  local lo, last = config.key_range[1], x.n - 1
  local s = contract(q{ n = last }, k:slice{ n = {lo, config.key_range[2] - lo} }, "d") * D^-0.5
  return linear(o:merge"c = g m d", name .. "o_proj", "c"), exp(s - lse{ n = last }):mean"g m" end
-- Pillow: n samples to size, the triangle widened when it shrinks
local function triangle(grid, n, a, size)
  local y, i = axis(a, size), axis(grid, n)
  local scale = n / size
  local t = abs((i + 0.5):along(y) - (y + 0.5) * scale) / math.max(scale, 1)
  local w = max(1 - t, 0.0)
  return w / w:sum(grid) end
local function fuse(Q, G)                                                                -- Q, G: t layer i
  local H, W = table.unpack(config.grid_used or config.output_shape)
  local w, h = table.unpack(config.image_size_wh)
  local steps = config.step_mode == "first" and 1 or math.min(Q.t, G.t)
  local S = 0
  for _, l in ipairs(config.layers) do if l < Q.layer then
    local a = Q{ layer = l }:slice{ t = {0, steps} } / (G{ layer = l }:slice{ t = {0, steps} } + config.lam)
    S = S + (a * (a:index"t" + 1)):sum"t"
  end end
  local map = S:split(("i = gy=%d gx=%d"):format(H, W))
  return contract(contract(map, triangle("gx", W, "x", w), "gx"), triangle("gy", H, "y", h), "gy") end
-- above a percentile: 4-connected regions, those with the largest sum (host code in practice)
local function mask(S)
  local N, p = S.y * S.x, 1 - config.top_percent
  local _, v = sort(S:merge"i = y x", "i")
  local at = p * (N - 1)
  local lo = math.floor(at)
  local on = le(v{ i = lo } + (v{ i = math.min(lo + 1, N - 1) } - v{ i = lo }) * (at - lo), S)
  local number = S:index"y" * S.x + S:index"x"
  -- the smallest pixel number reachable: as many steps as there can be pixels in a region
  local ky, kx = axis("ky", 3) - 1, axis("kx", 3) - 1
  local cross = le(ky * ky + kx * kx, 1)
  local _, label = scan{ over = ("step=%d"):format(math.ceil(N * config.top_percent) + 1), init = where(on, number, N),
    step = function(l)
    local near = l{ y = S:index"y" + ky, x = S:index"x" + kx, border = "cut", only = cross }
    local m = where(on, near:min"ky kx", N)
    return m, lift(0) end }
  local l = label:merge"i = y x"
  local j = l:index"i"
  -- its own number: first pixel of its region
  local root = (eq(l, j))
  -- pixel i belongs to region j
  local mine = eq(l, j:as"i=j")
  local sum = where(mine, S:merge"i = y x", 0.0):sum"i":as"j=i"
  local s2, r2 = sum:as"i=j", root:as"i=j"
  -- regions that come before region i
  local before = r2 & (lt(sum, s2) | (eq(sum, s2) & lt(j:as"i=j", j)))
  local rank, count = before:sum"j", root:sum"i"
  local keep = root & lt(rank, max(config.min_keep_regions, floor(count * config.top_percent)))
  return where(on, keep{ i = label, border = "clamp" }, 0), count end
if config.key_range then
  local o, row = attention(input("hidden_states", "b n c"), "self_attn.")
  output("output", o, "b n c") output("row", row, "b n")
elseif config.top_percent then
  local m, count = mask(input("S", "y x"))
  local kept = function(a) return m:index(a):along(m){ only = m } end
  output("mask", m, "y x") output("counts", stack("e", { count, m:sum"y x" }), "e")
  output("bbox", stack("e", { kept"x":min"y x", kept"y":min"y x", kept"x":max"y x" + 1, kept"y":max"y x" + 1 }), "e")
else output("S", fuse(input("query_maps", "t layer i"), input("general_maps", "t layer i")), "y x") end
