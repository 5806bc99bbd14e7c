-- RelationNet++: key points chosen by local maxima, every pixel attends to the groups of key points with a sampled
-- positional bias
local function bias_table(name, heads)
  local E, n = config.embedding_dim, config.base_size[1]
  local half, f = n // 2, config.temperature ^ (axis("f", E // 4) * (4.0 / E))
  local function waves(a) local t = (axis(a, n + 1) - half):along(f) / f return stack("z", { sin(t), cos(t) }) end
  local w = param(name .. ".weight", ("head (xy=2 z=2 f=%d)"):format(E // 4))
  return (contract(waves"x", w{ xy = 0 }, "z f") + contract(waves"y", w{ xy = 1 },
    "z f"):along(axis("x", n + 1)) + param(name .. ".bias", "head")) end
-- x: b h w c; keys: per group b n c; pos: per group b n xy
local function cross(x, keys, pos, table, stride)
  local size, y = config.base_size[1], x
  local function at(p, i)
    return (p:along(i) - (i * stride + stride // 2)) / config.scale_terms * ((size + 1) / size) + size / 2 end
  for g, key in ipairs(keys) do
    local bias = sample(table, { x = at(pos[g]{ xy = 0 }, x:index"w"), y = at(pos[g]{ xy = 1 }, x:index"h") }, "clamp")
    bias = log(max(bias, config.clamp_min))
    y = y + multi_head(x, key, key, ("decoder.%d."):format(g - 1), config.num_heads, "n", { score = function(s)
      return s + bias end })
  end
  return relu(y) end
-- the best positions of one level
local function candidates(level, stride, logit, offset, feat)
  local s = sigmoid(logit)
  local peak = window{ h = "ky=3", w = "kx=3", border = "cut" }(s):max"ky kx"
  local _, h, w, score = top(where(eq(s, peak), s, 0.0), "c h w", config.max_keypoint_num, "n")
  local pos = stack("xy", { w, h }) * stride + stride // 2 + offset:as"c=xy"{ h = h, w = w } * stride
  return { score = score, pos = pos, feat = feat{ h = h, w = w }, level = 0 * h + level, pixel = h * logit.w + w } end
if config.keys then
  local keys, pos = {}, {}
  for g = 1, config.num_outer_heads do
    keys[g], pos[g] = input("key" .. g - 1, "b n c"), input("pos" .. g - 1, "b n xy")
  end
  local table = bias_table("relative_positional_encoding.embedding_transform.0.conv", config.num_heads)
  for i, stride in ipairs(config.strides) do
    output("y" .. i - 1, cross(input("q" .. i - 1, "b h w c"), keys, pos, table, stride), "b h w c")
  end
else
  local all = {}
  for i, stride in ipairs(config.strides) do
    local n = i - 1
    for k, t in pairs(candidates(n, stride, input("logit" .. n, "b c h w"), input("offset" .. n, "b c h w"),
      input("feat" .. n, "b c h w"))) do
      all[k] = all[k] or {} all[k][i] = t end
  end
  for k, parts in pairs(all) do all[k] = concat("n", parts) end
  local best = top(all.score, "n", config.cross_level_topk, "k")
  local function chosen(t) return t{ n = best } end
  output("features", chosen(all.feat), "b k c") output("positions", chosen(all.pos), "b k xy")
  output("level", chosen(all.level), "b k") output("pixel", chosen(all.pixel), "b k")
end
