-- Neighbourhood attention with a relative bias, over tensors whose columns lie innermost.   q, k, v: b head h d w     config: kernel
local q, k, v = input("q", "b head h d w"), input("k", "b head h d w"), input("v", "b head h d w")
local K, index, at, sizes = config.kernel or 7, {}, {}, { head = q.head }
for i, a in ipairs{ "h", "w" } do
  local x, u = q:index(a), axis("u" .. i, K)
  local pos = clamp(x - K // 2, 0, q.ext[a] - K) + u
  index[a], at["y" .. i], sizes["y" .. i] = pos, pos - x + K - 1, 2 * K - 1
end
local bias, near = param("rpb", "head y1 y2", sizes), gather(index)
output("o", attend{ q = q, k = near(k), v = near(v), over = "u1 u2", dot = "d",
  score = function(s) return s * q.d^-0.5 + bias(at) end }, "b head h d w")
