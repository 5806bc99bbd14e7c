-- L2ViT: windows and linear attention in turn, position convolutions, local concentration.    x: b h w c
local eps = config.eps
local function mlp(x, name) return linear(gelu(linear(x, name.."fc1", "c")), name.."fc2", "c") end

local function enhanced_linear(x, name, heads)                             -- n: any token axes, "n" or "h w"
  local over = x.n and "n" or "h w"
  local q, k, v = linear(x, name.."qkv", ("part=3 head=%d d"):format(heads)):parts"part"
  q, k = relu(q), relu(k)
  local tau = param(name.."temperature", "head")
  local o = attend{ q = q, k = k, v = v, over = over, dot = "d", scale = 1,
    normalise = ratio{ floor = config.clamp_min }, weight = function(p) return tau * p end }
  return linear(o:merge"c = head d", name.."proj", "c")
end

local function window_attention(x, name, heads)                            -- x: b hb hi wb wi c
  local q, k, v = linear(x, name.."qkv", ("part=3 head=%d d"):format(heads)):parts"part"
  local o = attend{ q = q, k = k, v = v, over = "hi wi", dot = "d" }
  return linear(o:merge"c = head d", name.."proj", "c")
end

-- the zeros of the second convolution come after the BN
local function local_concentration(x, name)
  local y = gelu(conv2d(x, name.."conv1"))
  return conv2d(batch_norm(y, name.."bn", config.bn_eps), name.."conv2")
end

local function cpe(x, name) return (x + conv2d(x, name..".proj")) end

local function lga(x, name, heads)
  x = cpe(x, name.."cpe.0")
  x = (x + enhanced_linear(layer_norm(x, name.."norm1", eps), name.."attn.", heads))
  x = (x + local_concentration(layer_norm(x, name.."norm3", eps), name.."local_mp."))
  return x + mlp(layer_norm(x, name.."norm2", eps), name.."mlp.")
end

local function lwa(x, name, heads, M)
  x = cpe(x, name.."cpe.0")
  local y = layer_norm(x, name.."norm1", eps)
  local tiles = { h = "hb hi="..M, w = "wb wi="..M, border = 0 }
  y = window_attention(y:tile(tiles), name.."attn.", heads)           -- outside the map: zeros before qkv, real tokens
  x = cpe((x + y:untile(tiles, x)), name.."cpe.1")
  return x + mlp(layer_norm(x, name.."norm2", eps), name.."mlp.")
end

if not config.map then output("y", enhanced_linear(input("x", "b n c"), "", config.num_heads), "b n c")
elseif config.enhanced then output("y", lga(input("x", "b h w c"), "", config.num_heads), "b h w c")
else output("y", lwa(input("x", "b h w c"), "", config.num_heads, config.window_size), "b h w c") end
