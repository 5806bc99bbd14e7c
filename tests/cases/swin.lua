-- Swin block (timm): shifted windows, relative position table, zones separated by -100.    x: b h w c
local win, eps = config.window_size, config.eps

local function window_attention(x, name, zone)           -- x, zone: hb hi wb wi
  local q, k, v = linear(x, name..".qkv", ("part=3 head=%d d"):format(config.num_heads)):parts"part"
  local bias = param(name..".relative_position_bias_table", "(y x) head", { y = 2 * win - 1, x = 2 * win - 1 })
  local i, j, key = x:index"hi", x:index"wi", as"hi=hi' wi=wi'"
  local o = attend{ q = q, k = k, v = v, over = "hi wi", dot = "d", score = function(s)
    s = s * q.d^-0.5 + bias{ y = i - key(i) + win - 1, x = j - key(j) + win - 1 }
    return zone and s + where(ne(zone, key(zone)), config.mask_value, 0.0) or s end }
  return linear(o:merge"c = head d", name..".proj", "c")
end

local function block(x, name)
  local H, W = x.h, x.w
  local shift = (math.min(H, W) > win or config.always_partition) and config.shift_size or 0
  local tile, untile = split("h = hb hi, w = wb wi", { hi = win, wi = win }), merge"h = hb hi, w = wb wi"
  local y = roll{ h = -shift, w = -shift }(layer_norm(x, name..".norm1", eps))
  -- padded tokens are real: q = k = v = bias
  y = y:pad{ h = {0, -H % win}, w = {0, -W % win}, border = 0 }
  local function band(i, n) return where(lt(i, n - win), 0, where(lt(i, n - shift), 1, 2)) end
  local zone = shift > 0 and tile(band(y:index"h", y.h) * 3 + band(y:index"w", y.w))
  y = untile(window_attention(tile(y), name..".attn", zone)):slice{ h = {0, H}, w = {0, W} }
  x = (x + roll{ h = shift, w = shift }(y))
  local z = gelu(linear(layer_norm(x, name..".norm2", eps), name..".mlp.fc1", "c"))
  return x + linear(z, name..".mlp.fc2", "c")
end
output("y", block(input("x", "b h w c"), ""), "b h w c")
