-- Neighbourhood attention in 1 to 3 dimensions (NATTEN's rules).    q, k, v: b head [t] h [w] d
-- config: rank (2), kernel (7), dilation (1), stride (1), causal, each one value or a list per axis;
-- rel_pos_bias (a param)
local names = ({ { "h" }, { "h", "w" }, { "t", "h", "w" } })[config.rank or 2]
local order = "b head " .. table.concat(names, " ") .. " d"
local q, k, v = input("q", order), input("k", order), input("v", order)
local function of(key, i, default)
  local x = config[key]
  if type(x) == "table" then x = x[i] end
  if x == nil then return default end
  return x
end
local index, table_at, taps, sizes, only = {}, {}, {}, { head = q.head }, lift(true)
for i, a in ipairs(names) do
  local K, D, S, causal = of("kernel", i, 7), of("dilation", i, 1), of("stride", i, 1), of("causal", i, false)
  local x, u, y = q:index(a), axis("u" .. i, K), "y" .. i
  local g, j = x % D, x // D                                       -- residue class of the dilation, place in it
  local length = (q.ext[a] - g + D - 1) // D
  local lead = min(j // S * S + (causal and S - 1 or S // 2), length - 1)
  local pos = (causal and max(lead - K + 1, 0) or clamp(lead - K // 2, 0, length - K)) + u
  if causal then only = only & le(pos, j) end
  index[a] = min(pos, length - 1) * D + g
  table_at[y], sizes[y], taps[i] = pos - j + K - 1, 2 * K - 1, "u" .. i
end
local rpb = config.rel_pos_bias and param("rpb", "head " .. ("y1 y2 y3"):sub(1, 3 * #names - 1), sizes)
local near = gather(index)
local o = attend{ q = q, k = near(k), v = near(v), over = table.concat(taps, " "), dot = "d", only = only,
  score = function(s) s = s * (config.scale or q.d^-0.5) return rpb and s + rpb(table_at) or s end }
output("o", o, order)
