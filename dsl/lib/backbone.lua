-- What backbones share around their equations: settings, the picture that comes in, the logits that go out.
local core, lib, methods = ...

local function fail(code, fmt, ...) core.fail(code, fmt:format(...)) end
local function names(t)
  local r = {}
  for k in lib.pairs(t) do r[#r + 1] = tostring(k) end
  return table.concat(r, ", ")
end

-- What is cut into parts of that size, or is one: whole numbers from 1, also in lists.
local extent = { img_size = true, patch_size = true, window_size = true, block_size = true, kernel_size = true,
  kernel_sizes = true, n_win = true }

-- A value of the configuration: of the kind of `like`, where that is given; whole numbers become integers.
local function checked(key, v, like)
  if math.type(v) == "float" then v = math.tointeger(v) or v end
  local pair = key == "img_size" and type(like) == "number" and type(v) == "table" -- height and width
  if like and type(v) ~= type(like) and not pair then
    local wanted = type(like) == "table" and "list" or type(like)
    fail("CONFIG", "config.%s is a %s; a %s is wanted", key, type(v), wanted)
  end
  if type(v) == "number" and extent[key:match"^[^[]*"] and (math.type(v) == "float" or v < 1) then
    fail("CONFIG", "config.%s is %s; a whole number from 1 is wanted", key, tostring(v))
  end
  if type(v) ~= "table" then return v end
  if #v == 0 then fail("CONFIG", "config.%s is no list, or an empty one", key) end
  local r = {}
  local first = pair and like or type(like) == "table" and like[1] or nil
  for i, e in ipairs(v) do r[i] = checked(("%s[%d]"):format(key, i - 1), e, first) end
  return r
end

-- settings(variants, defaults): for each key that they name its value in config, else in the variant (the global of
-- that name), else in defaults. A default of false is an option that may stay unset. All that is missing is listed.
function lib.settings(variants, defaults)
  local own = variant and variants[variant]
  if variant and not own then
    fail("UNKNOWN", "there is no variant '%s'; there are: %s", tostring(variant), names(variants))
  end
  local keys, r, missing = {}, {}, {}
  for key, v in lib.pairs(defaults) do keys[key] = v end
  for _, t in lib.pairs(variants) do
    for key, v in lib.pairs(t) do if not keys[key] then keys[key] = v end end
  end
  for key, like in lib.pairs(keys) do
    local v = config[key]
    if v ~= nil and not (v == false and defaults[key] == false) then v = checked(key, v, like or nil) end
    if v == nil and own then v = own[key] end
    if v == nil then v = defaults[key] end
    if v == nil then missing[#missing + 1] = key end
    r[key] = v
  end
  if #missing > 0 then
    fail("CONFIG", "no variant is given (%s), and config lacks %s", names(variants), table.concat(missing, ", "))
  end
  return r
end

-- with(t, more): t, in which the entries of `more` (nil: none) come over its own
function lib.with(t, more)
  for k, v in lib.pairs(more or {}) do t[k] = v end
  return t
end

-- levels(o, "depths num_heads"): checks that these lists of settings have one entry per level; their number
function lib.levels(o, keys)
  local first, n
  for _, key in ipairs(core.words(keys)) do
    first, n = first or key, n or #o[key]
    if #o[key] ~= n then fail("CONFIG", "%s has %d entries and %s has %d", first, n, key, #o[key]) end
  end
  return n
end

-- picture(o): the input "input", b c h w; c is o.in_chans. A file or --shape says the rest, else b is 1 and h, w are
-- o.img_size (one number, or height and width); o.fixed: they must be these.
function lib.picture(o)
  local size = o.img_size
  local H, W = type(size) == "table" and size[1] or size, type(size) == "table" and (size[2] or size[1]) or size
  local x = lib.input("input", "b c h w", { c = o.in_chans }, { default = { b = 1, h = H, w = W } })
  if o.fixed and (x.h ~= H or x.w ~= W) then
    fail("CONFIG", "the input is %d x %d, the stored position embedding is for %d x %d: set img_size", x.h, x.w, H, W)
  end
  return x
end

-- fitting(x, rule, legal): refuses a picture x whose height or width legal(extent) denies; the message states the rule
-- and the nearest extents that fit
function lib.fitting(x, rule, legal)
  for _, a in ipairs { "h", "w" } do
    local n = lib.tensor_of("fitting", x).ext[a]
    if not legal(n) then
      local below, above = n - 1, n + 1
      while below > 0 and not legal(below) do below = below - 1 end
      while above < n + 4096 and not legal(above) do above = above + 1 end
      local near = {}
      if below > 0 then near[1] = below end
      if above < n + 4096 then near[#near + 1] = above end
      fail("CONFIG", "the input has %s=%d: %s; the nearest that fit: %s", a, n, rule, table.concat(near, " and "))
    end
  end
end

-- answer(x, y, f, o): the outputs "logits" (y: b c) and, with config.features, "features" (f: b c), and what belongs to
-- them. x: the picture. o: num_classes, and preprocess (crop_pct, mean, std, interpolation of the published weights;
-- what config.preprocess says comes first). Labels: config.labels.
function lib.answer(x, y, f, o)
  local p = { size = { x.h, x.w }, mean = { 0.485, 0.456, 0.406 }, std = { 0.229, 0.224, 0.225 },
    crop_pct = 0.875, interpolation = "bicubic" }
  for _, given in ipairs { o.preprocess or {}, lib.table_of("config.preprocess", config.preprocess) } do
    for k, v in lib.pairs(given) do p[k] = v end
  end
  local labels = config.labels or o.num_classes == 1000 and "imagenet" or nil
  if type(labels) == "table" and #labels ~= o.num_classes then
    fail("CONFIG", "config.labels has %d names for %d classes", #labels, o.num_classes)
  end
  if labels then lib.labels(labels) end
  lib.preprocess(p)
  lib.output("logits", y, "b c")
  if config.features then lib.output("features", f, "b c") end
end
-- classify_distilled(x, y, o): classify, of the mean of the map y under a batch norm: head "head", and with
-- o.distillation the mean of it and of "head_dist" (LeViT's heads). o: also bn_eps
function lib.classify_distilled(x, y, o)
  local function head(name)
    local f = lib.batch_norm(y:mean"h w", name .. ".bn", o.bn_eps)
    return f, lib.linear(f, name .. ".l", "c=" .. o.num_classes)
  end
  local f, logits = head "head"
  if o.distillation then
    local _, other = head "head_dist"
    logits = (logits + other) / 2
  end
  lib.answer(x, logits, f, o)
end
-- classify(x, f, name, o): answer, with the logits that the head `name` makes of the features f
function lib.classify(x, f, name, o)
  lib.answer(x, lib.linear(f, name, "c=" .. o.num_classes), f, o)
end
