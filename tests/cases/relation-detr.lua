-- Relation-DETR: relation bias between two sets of boxes, multi-scale deformable attention, decoder layer
local function relation_bias(src, tgt, name, o)
  local xi, yi, wi, hi = src:along(tgt):parts"box"
  local xj, yj, wj, hj = tgt:along(src):parts"box"
  local e = o.eps
  local d = stack("s", { log(abs(xi - xj) / (wi + e) + 1), log(abs(yi - yj) / (hi + e) + 1), log((wi + e) / (wj + e)),
    log((hi + e) / (hj + e)) })
  local F = o.embed_dim
  local t = outer(d, o.scale / o.temperature ^ (axis("f", F // 2) / (F // 2)))
  local z = stack("z", { sin(t), cos(t) })                                               -- sine and cosine interleaved
  return relu(contract(z, param(name .. ".weight", ("head (s=4 f=%d z=2)"):format(F // 2)),
    "s f z") + param(name .. ".bias", "head")) end
-- query: b q c, ref: b q level box, value: b n c
local function deformable(query, ref, value, mask, name)
  local heads, shapes = config.num_heads or config.n_heads, config.spatial_shapes
  local P = config.num_points or config.n_points
  local shape = ("head=%d level=%d pt=%d"):format(heads, #shapes, P)
  local off = linear(query, name .. "sampling_offsets", shape .. " xy=2")
  local a = softmax(linear(query, name .. "attention_weights", shape), "level pt")
  local v = linear(value, name .. "value_proj", ("head=%d d"):format(heads))
  if mask then v = where(mask, 0.0, v) end
  local start, y = 0, 0
  for l, s in ipairs(shapes) do                                                          -- levels have different sizes
    local H, W = s[1], s[2]
    local map = v:slice{ n = {start, H * W} }:split(("n = h=%d w=%d"):format(H, W))
    local o, r = off{ level = l - 1 }, ref{ level = l - 1 }
    local function at(i, n) return (r{ box = i } + o{ xy = i } / P * r{ box = i + 2 } * 0.5) * n - 0.5 end
    y = y + contract(a{ level = l - 1 }, sample(map, { h = at(1, H), w = at(0, W) }, 0), "pt")
    start = start + H * W
  end
  return linear(y:merge"c = head d", name .. "output_proj", "c") end
local function decoder_layer(x, pos, ref, value, bias, name)
  local function ln(x, n) return layer_norm(x, name .. n, config.ln_eps) end
  local p = (x + pos)
  x = ln(x + multi_head(p, p, x, name .. "self_attn.", config.n_heads, "q", { score = function(s)
    return s + bias end }), "norm2")
  x = ln(x + deformable((x + pos), ref, value, nil, name .. "cross_attn."), "norm1")
  return ln(x + linear(relu(linear(x, name .. "linear1", "c")), name .. "linear2", "c"), "norm3") end
if config.reference then output("y", deformable(input("query", "b q c"), input("ref", "b q level box"),
  input("value", "b n c"), input("mask", "b n"), ""), "b q c")
elseif config.relation then
  local tgt = input("tgt", "b q box")
  local bias = relation_bias(input("src", "b q box"), tgt:as"q=q'", "position_relation_embedding.pos_proj.0",
    config.relation)
  local ref = tgt:along("level=" .. config.n_levels)
  output("y", decoder_layer(input("query", "b q c"), input("query_pos", "b q c"), ref, input("value", "b n c"), bias,
    "layer."), "b q c")
else output("bias", relation_bias(input("src", "b i box"), input("tgt", "b j box"), "pos_proj.0", config),
  "b head i j") end
