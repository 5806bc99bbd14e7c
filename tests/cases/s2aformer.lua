-- S2AFormer: strip self-attention: full queries, keys of a reduced map, q and k much narrower than v (a
-- reconstruction).
local c, r = config, config.reduction
local x = input("input", "b c h w")
local y = conv2d(x, ".sr", { kernel = r.kernel, stride = r.stride, pad = r.padding })
local function heads(x, name, d) return linear(x, name, ("head=%d d=%d"):format(c.num_heads, d)) end
local function keys(name, d) return heads(y, name, d):as"h=ph w=pw" end
local o = attend{ q = heads(x, ".q", c.qk_width_per_head), k = keys(".k", c.qk_width_per_head),
  v = keys(".v", c.v_width_per_head),
  over = "ph pw", dot = "d", scale = c.scale }
output("output", linear(o:merge"c = head d", ".proj", "c"), "b c h w")
output("reduced_size", const("e=2", { y.h, y.w }), "e")
