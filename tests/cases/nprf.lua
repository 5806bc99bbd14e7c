-- NPRF: kernelised attention with relative positions: W[n, n'] = c[n' - n] phi(q_n) . phi(k_n'), each row divided by
-- its sum
local function nprf(q, k, v, name, normalise_qk, causal)
  local omega, c = param(name .. ".omega", "head m d"), exp(param(name .. ".rpe", "head t"))
  local function phi(x)                                              -- positive random features
    if normalise_qk then x = unit(x, "d", 1e-12) end
    return (exp(contract(x, omega, "d") - (x^2):sum"d" / 2) * omega.m^-0.5)
  end
  local i, j = q:pair"n"
  return attend{ q = phi(q), k = phi(k), v = v, over = "n", dot = "m", only = causal and le(j, i),
    score = function(s) return s * c{ t = j - i + q.n - 1 } end, normalise = ratio{} }
end
local q, k, v = input("q", "b head n d"), input("k", "b head n d"), input("v", "b head n e")
output("output", nprf(q, k, v, "", config.normalize_qk, config.causal), "b head n e")
