-- RAVLT: rank-augmented linear attention ('l') and softmax attention ('v'), both with rotary positions, LePE and a
-- gate.    x: b h w c
local function rope(x, d)
  local y = x:split("d = half=2 j two=2")
  local half, j, two = y:index"half", y:index"j", y:index"two"
  local angle = config.rope_base^(0 - j / (y.j - 1))
  local t = outer(angle, float(where(eq(half, 0), y:index"h", y:index"w")))
  return (y * cos(t) + y{ two = 1 - two } * sin(t) * (two * 2 - 1)):merge"d = half j two"
end

local function attention(x, name, heads, flag)
  local q, k, v, o = linear(x, name.."qkvo", ("part=4 head=%d d"):format(heads)):parts"part"
  local out
  if flag == "v" then
    out = attend{ q = rope(q), k = rope(k), v = v, over = "h w", dot = "d" }
  else
    q, k = (elu(q) + 1), (elu(k) + 1)
    local e = softmax(contract(q:mean"h w", k, "d") * q.d^-0.5, "h w")
    k = (k * e * (x.h * x.w))                                      -- tokens re-weighted; the mean weight is 1
    local z = 1 / (contract(q, k:mean"h w", "d") + 1e-6)
    local S = contract(rope(k), v:as"d=e", "h w") / (x.h * x.w)
    out = (contract(rope(q), S, "d") * z):as"e=d"
  end
  local lepe = conv2d(v:merge"c = head d", name.."lepe")
  return linear(((out:merge"c = head d" + lepe) * o:merge"c = head d"), name.."proj", "c")
end

local function ffn(x, name)
  local h = gelu(linear(x, name.."fc1", "c"))
  return linear((h + conv2d(h, name.."dwconv")), name.."fc2", "c")
end

local function block(x, name, heads, flag)
  x = (x + conv2d(x, name.."pos"))
  x = (x + attention(layer_norm(x, name.."norm1.norm", config.eps), name.."attn.", heads, flag) * param(name.."gamma_1",
    "1 c"))
  return x + ffn(layer_norm(x, name.."norm2.norm", config.eps), name.."ffn.") * param(name.."gamma_2", "1 c")
end

output("y", (config.ffn_dim and block or attention)(input("x", "b c h w"), "", config.num_heads, config.flag),
  "b c h w")
