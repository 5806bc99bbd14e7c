-- Lightning attention: S[n] = lambda S[n-1] + k[n] (x) v[n], o[n] = q[n] S[n]; the mixer around it (TransNormerLLM)
local function decay(heads, layer, layers)
  local p, s = 1, {} while 2 * p <= heads do p = 2 * p end
  for i = 1, heads do s[i] = i <= p and 2^(-8 * i / p) or 2^(-8 * (2 * (i - p) - 1) / (2 * p)) end
  return exp(-const("head=" .. heads, s) * (1 - layer / (layers - 1) + 1e-5))
end

local function lightning(q, k, v, lambda, S0, dot)
  return scan{ over = "n", init = S0, step = function(S)
    local S1 = S * lambda + outer(k, v)
    return S1, contract(q, S1, dot) end }
end

local function mixer(x, name, heads, layer, layers, lrpe)
  local q, k, v, u = linear(x, name .. ".qkvu_proj", "part=4 head=" .. heads .. " d"):parts"part"
  local dot = "d"
  q, k, v = silu(q), silu(k), v:as"d=e"
  if lrpe then                                                       -- x cos(n theta), x sin(n theta)
    local angle = outer(param(name .. ".lrpe.theta", "head 1 d"), x:index"n")
    local turn = stack("z", { cos(angle), sin(angle) })
    q, k, dot = outer(q, turn), outer(k, turn), "d z"
  end
  local o = lightning(q, k, v, decay(heads, layer, layers), 0.0, dot)
  o = rms_norm(o:merge"c = head e", nil, 1e-6) * u:merge"c = head d"
  return linear(o, name .. ".out_proj", "c")
end

local c = config
if c.embed_dim then
  output("output", mixer(input("input", "b n c"), "", c.num_heads, c.layer_idx, c.num_layers, c.linear_use_lrpe),
    "b n c")
else
  local q, k, v = input("q", "b head n d"), input("k", "b head n d"), input("v", "b head n e")
  local decode = not c.block
  local o, S = lightning(q, k, v, decay(c.num_heads, c.layer_idx, c.num_layers), decode and input("state", "b head d e")
    or 0.0, "d")
  output("output", o, "b head n e")
  output(decode and "new_state" or "state", S, "b head d e")
end
