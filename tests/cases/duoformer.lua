-- DuoFormer: tokens of several scales grouped by cell, attention inside a cell, then bare attention over the cells
local function attention(x, name, over)
  local q, k, v = linear(x, name .. ".qkv", ("part=3 head=%d d=%d"):format(config.num_heads,
    x.ext.c // config.num_heads)):parts"part"
  local o = attend{ q = q, k = k, v = v, over = over, dot = "d" }
  return linear(o:merge"c = head d", name .. ".proj", "c=" .. x.ext.c)
end
-- x: b n s c, attention over s, cells n shared
local function scale_block(x, name)
  x = x + attention(layer_norm(x, name .. "norm1", config.norm_eps), name .. "attn", "s")
  local m = gelu(linear(layer_norm(x, name .. "norm2", config.norm_eps), name .. "mlp.fc1",
    "c=" .. config.mlp_ratio * x.ext.c))
  return (x + linear(m, name .. "mlp.fc2", "c=" .. x.ext.c))
end
-- stage[0..3], finest first: b c h w
local function gather_scales(stage)
  local parts = { param("channel_token", "1 1 1 c"):along"s=1" }
  for i = 3, 0, -1 do
    local side = stage[i].ext.h // config.grid
    local t = linear(stage[i], "projection.proj_heads" .. i, "c=" .. config.proj_dim)
      :split(("h = ch hi=%d, w = cw wi=%d"):format(side, side)):merge"n = ch cw"
    -- the four tokens of stage 3 by columns
    parts[#parts+1] = side == 2 and t:merge"s = wi hi" or t:merge"s = hi wi"
  end
  return concat("s", parts)                                                              -- b n s c
end
local function former(x)
  x = x + param("pos_embed_for_scale", "1 1 s c")
  for i = 0, config.depth - 1 do x = scale_block(x, "scaleBlocks." .. i .. ".") end
  x = concat("n", { param("cls_token", "1 n c"), x{ s = 0 } }) + param("pos_embed", "1 n c")
  for i = 0, config.depth - 1 do x = attention(x, "blocks." .. i .. ".attn", "n") end
  return linear(x{ n = 0 }, "head", "c=" .. config.num_classes)
end
if config.grid then output("output", gather_scales{ [0] = input("x0", "b c h w"), input("x1", "b c h w"),
  input("x2", "b c h w"), input("x3", "b c h w") }, "b n s c")
elseif config.num_classes then output("logits", former(input("input", "b n s c")), "b c")
else output("output", scale_block(input("input", "b n s c"), ""), "b n s c") end
