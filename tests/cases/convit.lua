-- Gated positional self-attention: two softmaxes, content and position, mixed by a gate per head.
local function gpsa(x, name, heads, side)                                  -- b n c;  n = side * side
  local q, k = linear(x, name.."qk", ("part=2 head=%d d"):format(heads)):parts"part"
  local v = linear(x, name.."v", ("head=%d d"):format(heads))
  local n, m = x:pair"n"                                                   -- the query's place, the key's
  local dx, dy = float(m % side - n % side), float(m // side - n // side)
  local w, b = param(name.."pos_proj.weight", "head r=3"), param(name.."pos_proj.bias", "head")
  local place = (outer(w{r=0}, dx) + outer(w{r=1}, dy) + outer(w{r=2}, dx^2 + dy^2) + b)
  place = softmax(place, "n'")   -- head n n'
  local g = sigmoid(param(name.."gating_param", "head"))
  local o = attend{ q = q, k = k, v = v, over = "n", dot = "d",
    scale = config.qk_scale,
    weight = function(p) return (1 - g) * p + g * place end }
  return linear(o:merge"c = head d", name.."proj", "c")
end
output("y", gpsa(input("x", "b n c"), "", config.num_heads, config.grid[1]), "b n c")
