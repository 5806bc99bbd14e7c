-- PH-Reg: register tokens in front of a Dinov2 backbone; test-time views and their merge
local function block(x, name)                                                            -- x: b n c
  local function ln(x, n) return layer_norm(x, name .. n, config.layer_norm_eps) end
  local y, head = ln(x, "norm1"), ("head=%d d"):format(config.num_attention_heads)
  local function proj(n) return linear(y, name .. "attention.attention." .. n, head) end
  local o = attend{ q = proj"query", k = proj"key", v = proj"value", over = "n", dot = "d" }
  x = (x + param(name .. "layer_scale1.lambda1", "c") * linear(o:merge"c = head d", name .. "attention.output.dense",
    "c"))
  local m = linear(gelu(linear(ln(x, "norm2"), name .. "mlp.fc1", "c")), name .. "mlp.fc2", "c")
  return (x + param(name .. "layer_scale2.lambda1", "c") * m) end
-- x: b c h w -> b n c, CLS first
local function embed(x, name)
  local P, side = config.patch_size, config.image_size // config.patch_size
  local w = param(name .. "patch_embeddings.projection.weight", "c' c ky kx")
  local cells = x:split(("h = h ky=%d, w = w kx=%d"):format(P, P))
  local t = (contract(cells, w, "c ky kx"):as"c'=c" + param(name .. "patch_embeddings.projection.bias", "c"))
  local table = param(name .. "position_embeddings", "1 n c")
  local pos = table:slice{ n = {1, side * side} }:split(("n = h=%d w=%d"):format(side, side))
  if t.h ~= side or t.w ~= side then pos = cubic(pos, ("h=%d w=%d"):format(t.h, t.w)) end
  return concat("n", { param(name .. "cls_token", "1 n c") + table:slice{ n = {0, 1} }, (t + pos):merge"n = h w" }) end
local function with_registers(x) return concat("n", { param("registers", "1 n c"), x }) end

-- a view of the image: shifted by whole cells, then flipped; the same read applied to the coordinates gives the index
-- map
local function views(n, cell, offset, flip)                                              -- offset: view yx, flip: view
  local h, w = axis("h", n), axis("w", n)
  return { h = h + offset{ yx = 0 } * cell, w = where(flip, n - 1 - w, w) + offset{ yx = 1 } * cell } end
local function read(x, at, border) return x{ h = at.h, w = at.w, border = border } end
local function index_map(n, at)
  local h, w = axis("h", n), axis("w", n)
  return stack("yx", { read(h:along(w), at, -1), read(w:along(h), at, -1) }) end
-- f: b view h w c, idx: b view yx h w: where it came from
local function merge_views(f, idx)
  local y, x = axis("y", f.h), axis("x", f.w)
  local hit = (eq(idx{ yx = 0 }, y) & eq(idx{ yx = 1 }, x))
  local hits = hit:sum"view h w"
  return contract(hit, f, "view h w") / hits, hits end

if config.infill then
  local image, offset, flip = input("image", "1 c h w"), input("offsets", "view yx"), input("flip", "view")
  local fill = const("c=3", config.infill)
  output("views", read(image, views(image.h, config.patch_size, offset, flip), "cut"):otherwise(fill), "view c h w")
  output("shifted_idxs", index_map(config.num_patches, views(config.num_patches, 1, offset, flip)), "view yx h w")
elseif config.resolution then
  local image, offset, flip, n = input("image", "1 c h w"), input("offsets", "view yx"), input("flip",
    "view"), config.resolution // config.patch_size
  local fill = const("c=3", config.infill or { 2.2489083, 2.42857143, 2.64 })
  local x = embed(read(image, views(image.h, config.patch_size, offset, flip), "cut"):otherwise(fill),
    "model.embeddings.")
  for i = 0, config.num_hidden_layers - 1 do x = block(x, ("model.encoder.layer.%d."):format(i)) end
  x = layer_norm(x, "model.layernorm", config.layer_norm_eps):slice{ n = {1, n * n} }:split(("n = h=%d w=%d"):format(n,
    n))
  -- the same view, solved for its own coordinates
  local back = axis("w", n) - offset{ yx = 1 }
  local merged = x{ h = axis("h", n) - offset{ yx = 0 }, w = where(flip, n - 1 - back, back),
    border = "cut" }:mean"view"
  output("features", merged:along"b=1":merge"n = h w", "b n c")
elseif config.counts then
  local f, i = ("(b=%d view) h w c"):format(config.batch), ("(b=%d view) yx h w"):format(config.batch)
  local merged, hits = merge_views(input("features", f), input("shifted_idxs", i))
  output("merged", merged, "b (y x) c") output("hits", hits, "b y x")
elseif config.num_hidden_layers == 0 then output("output",
  with_registers(embed(input("input", "b c h w"), "model.embeddings.")), "b n c")
else output("output", block(with_registers(input("tokens", "b n c")), "layer."), "b n c") end
