-- Vision Remember (nearest relatives): TokenPacker's block attention, Cambrian's vision sampler over several towers
local function blocks(x, n) return x:split(("h = h ph=%d, w = w pw=%d"):format(x.h // n, x.w // n)) end
local function mlp(x, name, a, b) return linear(gelu(linear(x, name .. a, "c")), name .. b, "c") end
local function token_packer(last, all)                                                   -- b h w c
  local n = config.raw_grid // config.scale_factor
  local function ln(x, s) return layer_norm(x, "ln_" .. s .. "_1", config.ln_eps) end
  local q = ln(linear(resize(last, ("h=%d w=%d"):format(n, n)), "q_proj_1", "c"), "q")
  local k, v = ln(mlp(all, "k_proj_1.", "0", "2"), "k"), ln(mlp(all, "v_proj_1.", "0", "2"), "v")
  local o = multi_head(q, blocks(k, n), blocks(v, n), "clip_attn.", config.num_heads, "ph pw")
  return mlp(o, "mlp.", "0", "2") end
-- x: b h w c, context: b c; masks: b h w ph pw, 1 = valid
local function sampler(x, context, towers, masks)
  local shape, a = "head=" .. config.num_heads .. " d", "cross_attn."
  local function project(x, name) return linear(layer_norm(x, a .. name .. ".0", config.ln_eps), a .. name .. ".1",
    shape) end
  local y = linear(concat("c", { x, linear(context, "proj_context", "c") }), "proj_in", "c")
  local any = 0
  for _, m in ipairs(masks) do any = max(any, m:max"ph pw") end
  local set = { q = project(y, "q_proj"), dot = "d" }
  for i, t in ipairs(towers) do
    t = blocks(t, config.grid)
    local pos = ("pos_embed_%d"):format(i - 1)
    if has_param(pos) then t = (t + param(pos, ("(ph=%d pw=%d) c"):format(t.ph, t.pw))) end
    set[i] = { k = project(t, "k_proj_" .. i - 1), v = project(t, "v_proj_" .. i - 1), over = "ph pw",
      only = ne(masks[i], 0) | eq(any, 0) }
  end
  y = layer_norm(y + linear(attend(set):merge"c = head d", a .. "o_proj", "c"), "norm", config.ln_eps)
  return x + mlp(y, "proj_out.", "linear_1", "linear_2") end
local function map(name, n) return input(name, ("b (h=%d w=%d) c"):format(n, n)) end
if config.raw_grid then output("y", token_packer(map("level", config.raw_grid), map("levels", config.raw_grid)),
  "b (h w) c")
else
  local towers, masks, g = {}, {}, config.grid
  for i, s in ipairs(config.kv_size_list) do
    towers[i] = map("tower" .. i - 1, g * s)
    masks[i] = input("mask" .. i - 1, ("(b h=%d w=%d) (ph=%d pw=%d)"):format(g, g, s, s)) end
  output("y", sampler(map("hidden", g), input("context", "b c"), towers, masks), "b (h w) c")
end
