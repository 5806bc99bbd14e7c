-- InLine attention: linear attention whose weights sum to one, and a depthwise 3x3 made from the mean token.    x: b
-- n c
local heads = config.num_heads
local function grouped(x, name, out)                                       -- c = (g i) -> c and the axes of out
  return linear(x:split("c = g="..config.residual_groups.." i"), name, "g c "..out,
    { over = "i", shared = "g" }):merge"c = g c"
end

-- q, k, v: b n head d; the first n - H W tokens have no place
local function attention(q, k, v, mean, name, H, W)
  local s, n = q.d^-0.5, q.n
  local M = (contract(k, v:as"d=e", "n") * s / n)          -- b head d e
  local kbar, vbar = k:mean"n", v:mean"n":as"d=e"
  local o = contract(q, M, "d") + outer(1 - s * contract(q, kbar, "d"), vbar)  -- b n head e
  local y, V = o:merge"c = head e", v:merge"c = head d":slice{ n = {n - H * W,
    H * W} }:split(("n = h=%d w=%d"):format(H, W))
  local K = gelu(grouped(mean, name.."residual.0", ""))
  K = grouped(K, name.."residual.2", "ky=3 kx=3")                    -- b c ky kx
  local near = window{ h = "h ky=3", w = "w kx=3", border = 0 }
  local z = contract(near(V), K, "ky kx")
  if has_param(name.."get_v.weight") then z = z + conv2d(V, name.."get_v") end
  local skip, rest = y:slices("n", n - H * W, H * W)
  return concat("n", { skip, rest + z:merge"n = h w" })
end

local function split_heads(x, name, parts) return linear(x, name,
  ("part=%d head=%d d"):format(parts, heads)):parts"part" end

local function module(x, name, H, W)                                       -- DeiT (with or without class token), PVT
  local q, k, v
  if has_param(name.."qkv.weight") then q, k, v = split_heads(x, name.."qkv", 3)
  else q, k, v = split_heads(x, name.."q", 1), split_heads(x, name.."kv", 2) end
  return linear(attention(q, k, v, x:mean"n", name, H, W), name.."proj", "c")
end

-- one branch; the mean is that of the un-normalised input
local function cswin_block(x, name, reso)
  local q, k, v = split_heads(layer_norm(x, name.."norm1", config.norm_eps), name.."qkv", 3)
  local y = attention(q, k, v, x:mean"n", name.."attns.0.", reso, reso)
  x = (x + linear(y, name.."proj", "c"))
  y = gelu(linear(layer_norm(x, name.."norm2", config.norm_eps), name.."mlp.fc1", "c"))
  return x + linear(y, name.."mlp.fc2", "c")
end

local x = input("input", "b n c")
local side = math.tointeger((x.n - 1)^0.5)
output("output", config.reso and cswin_block(x, "", config.reso) or module(x, "", config.H or side, config.W or side),
  "b n c")
