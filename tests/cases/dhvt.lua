-- DHVT: attention with head tokens (HI-MHSA) and the dynamic aggregation feed-forward (DAFF).    x: b n c, token 0 is
-- the class
local function hi(x, name, heads)
  local N = x.n
  local t = linear(x:mean"n":split("c = from="..heads.." d"), name.."ht_proj", ("head=%d e"):format(heads),
    { over = "d" })
  t = gelu(layer_norm(t, name.."ht_norm", config.ht_norm_eps, "e"))                          -- b from head e
  t = t:merge"c = head e":as"from=n" + param(name.."pos_embed", "1 n c")
  local q, k, v = linear(concat("n", { x, t }), name.."qkv", ("part=3 head=%d d"):format(heads)):parts"part"
  -- n: all tokens, then the head tokens
  local o = attend{ q = q, k = k, v = v, over = "n", dot = "d" }
  local y, t = linear(o:merge"c = head d", name.."proj", "c"):slices("n", N, heads)
  return where(eq(y:index"n", 0), y + t:mean"n", y)
end

local function daff(x, name)
  local H, W = config.grid[1], config.grid[2]
  local function conv_bn(x, i) return batch_norm(conv2d(x, name.."conv"..i), name.."bn"..i, config.bn_eps) end
  local cls, patches = x:slices("n", 1, H * W)
  local y = gelu(conv_bn(patches:split(("n = h=%d w=%d"):format(H, W)), 1))
  y = (y + gelu(conv_bn(y, 2)))
  y = conv_bn(y, 3)
  local g = linear(gelu(linear(y:mean"h w", name.."compress", "c")), name.."excitation", "c")
  return concat("n", { cls * g, y:merge"n = h w" })
end

output("y", config.num_heads and hi(input("x", "b n c"), "", config.num_heads) or daff(input("x", "b n c"), ""),
  "b n c")
