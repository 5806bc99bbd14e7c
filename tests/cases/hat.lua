-- HAT: window attention beside a channel attention block (HAB), and overlapping cross attention (OCAB).    x: b h w c
local M, eps = config.window_size, config.eps
local function heads(x, name) return linear(x, name, ("part=3 head=%d d"):format(config.num_heads)) end
local function mlp(x, name) return linear(gelu(linear(x, name.."fc1", "c")), name.."fc2", "c") end
local function tiles(n) return split(("h = hb hi=%d, w = wb wi=%d"):format(n, n)) end
local untile = merge"h = hb hi, w = wb wi"

local function cab(x, name)                                    -- conv, GELU, conv, gate from the mean over the map
  local y = conv2d(gelu(conv2d(x, name.."cab.0")), name.."cab.2")
  local g = relu(linear(y:mean"h w", name.."cab.3.attention.1", "c"))
  return y * sigmoid(linear(g, name.."cab.3.attention.3", "c"))
end

local function window_attention(x, name, zone)                 -- x, zone: hb hi wb wi
  local q, k, v = heads(x, name.."qkv"):parts"part"
  local bias = param(name.."relative_position_bias_table", ("(y=%d x=%d) head"):format(2 * M - 1, 2 * M - 1))
  local i, ki = x:pair"hi"
  local j, kj = x:pair"wi"
  local o = attend{ q = q, k = k, v = v, over = "hi wi", dot = "d", score = function(s)
    s = s * q.d^-0.5 + bias{ y = i - ki + M - 1, x = j - kj + M - 1 }
    return zone and s + where(ne(zone, zone:as"hi=hi' wi=wi'"), config.mask_value, 0.0) or s end }
  return linear(o:merge"c = head d", name.."proj", "c")
end

local function hab(x, name, shift)
  local y = layer_norm(x, name.."norm1", eps)
  local function band(i, n) return where(lt(i, n - M), 0, where(lt(i, n - shift), 1, 2)) end
  local zone = shift > 0 and tiles(M)(band(y:index"h", y.h) * 3 + band(y:index"w", y.w))
  local z = window_attention(tiles(M)(roll{ h = -shift, w = -shift }(y)), name.."attn.", zone)
  z = roll{ h = shift, w = shift }(untile(z))
  x = (x + z + config.conv_scale * cab(y, name.."conv_block."))
  return x + mlp(layer_norm(x, name.."norm2", eps), name.."mlp.")
end

-- M x M queries look at the O x O keys around their window
local function ocab(x, name)
  local O = config.overlap_win_size
  local q, k, v = heads(layer_norm(x, name.."norm1", eps), name.."qkv"):parts"part"
  q = tiles(M)(q)
  local near = window{ h = "hb u="..O, w = "wb v="..O, stride = M, pad = (O - M) // 2, border = 0 }
  local T = M + O - 1
  local bias = param(name.."relative_position_bias_table", ("t=%d head"):format(T * T))
  local hi, wi, u, v_ = q:index"hi", q:index"wi", axis("u", O), axis("v", O)
  local t = (u - hi + M - O + 1) * T + (v_ - wi + M - O + 1)
  local o = attend{ q = q, k = near(k), v = near(v), over = "u v", dot = "d",
    score = function(s) return s * q.d^-0.5 + bias{ t = t, border = "wrap" } end }
  x = (x + linear(untile(o):merge"c = head d", name.."proj", "c"))
  return x + mlp(layer_norm(x, name.."norm2", eps), name.."mlp.")
end

if config.num_feat then output("y", cab(input("x", "b c h w"), ""), "b c h w")
elseif config.overlap_ratio then output("y", ocab(input("x", "b h w c"), ""), "b h w c")
else output("y", hab(input("x", "b h w c"), "", config.shift_size), "b h w c") end
