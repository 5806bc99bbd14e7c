-- Neighbourhood attention in one to three dimensions: window, dilation, stride, causal per axis, optional relative bias
local function layer(x)
  local K, D, h, w = config.kernel_size, config.dilation, x:index"h", x:index"w"
  local near, rpb = window{ h = "u=" .. K, w = "v=" .. K, dilation = D, border = "shift" }, param("attn.rpb",
    "head y x")
  local q, k, v = linear(layer_norm(x, "norm1", config.norm_eps), "attn.qkv",
    ("part=3 head=%d d"):format(config.num_heads)):parts"part"
  local o = attend{ q = q, k = near(k), v = near(v), over = "u v", dot = "d", scale = q.d^-0.5,
    score = function(s) return s + rpb{ y = (near(h) - h) // D + K - 1, x = (near(w) - w) // D + K - 1 } end }
  x = (x + param("gamma1", "c") * linear(o:merge"c = head d", "attn.proj", "c"))
  local y = gelu(linear(layer_norm(x, "norm2", config.norm_eps), "mlp.fc1", "c"))
  return x + param("gamma2", "c") * linear(y, "mlp.fc2", "c")
end
if config.module == "NATLayer" then return output("output", layer(input("input", "b h w c")), "b h w c") end
local names = ({ {"h"}, {"h", "w"}, {"t", "h", "w"} })[config.rank]
local order = "b head " .. table.concat(names, " ") .. " d"
local q, k, v = input("q", order), input("k", order), input("v", order)
local index, only, bias, taps = {}, 1, {}, {}
for i, a in ipairs(names) do
  local K, D, S, causal = config.kernel_size[i], config.dilation[i], config.stride[i], config.is_causal[i]
  local L, x, u = q.ext[a], axis(a, q.ext[a]), axis("u" .. i, K)
  local g, j = x % D, x // D
  local Lg = (L - g + D - 1) // D
  local lead = min((j // S) * S + (causal and S - 1 or S // 2), Lg - 1)
  local start = causal and max(lead - K + 1, 0) or clamp(lead - K // 2, 0, Lg - K)
  local pos = start + u                                        -- in the dilation group's own coordinate
  if causal then only = le(pos, j) & only end
  index[a] = min(pos, Lg - 1) * D + g
  bias["y" .. i] = pos - j + K - 1
  taps[i] = "u" .. i
end
local near = gather(index)
local rpb = config.rel_pos_bias and param("rpb", "head " .. ("y1 y2 y3"):sub(1, 3 * config.rank - 1))
local o = attend{ q = q, k = near(k), v = near(v), over = table.concat(taps, " "), dot = "d", only = only,
  score = function(s) s = s * config.scale return rpb and s + rpb(bias) or s end }
output("output", o, order)
