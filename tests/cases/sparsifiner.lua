-- Sparsifiner: a cheap low-rank map of scores chooses, per head and query, the keys of the real attention.    x: b n c
local function attention(x, name, heads)
  local coef, score = config.BASIS_COEF, config.ATTN_SCORE
  local q, k, v = linear(x, name.."qkv", ("part=3 head=%d d"):format(heads)):parts"part"
  local at = name.."mask_predictor."
  -- connectivity: query and key narrowed, keys mixed down to r tokens, coefficients of a basis of r rows
  local qe, ke = linear(q, at.."proj_c_q", "e", { over = "d" }), linear(k, at.."proj_c_k", "e", { over = "d" })
  local kr = contract(ke, param(at.."proj_n", "n r"), "n")                           -- b head e r
  local c = softmax(contract(qe, kr, "e") * heads^-0.5, "r")                 -- b n head r
  local basis = abs(param(at.."proj_back_n", "m r"))
  basis = where(lt(config.BASIS_THRESHOLD, basis), basis, 0.0)
  -- b n head m: query n, key m
  local approx
  if coef.USE_TOPK then
    local r, value = top(c, "r", coef.TOPK, "kept")
    approx = (value * basis{ r = r }):sum"kept"
  else approx = contract(where(lt(coef.THRESHOLD, c), c, 0.0), basis, "r") end
  -- attention: the class token looks at all, the others at what is chosen
  local N = x.n
  local q0, q1 = q:slices("n", 1, N - 1)
  local _, rows = approx:slices("n", 1, N - 1)
  local o0, o1, mask = attend{ q = q0, k = k:as"n=m", v = v:as"n=m", over = "m", dot = "d" }
  if score.USE_TOPK then
    local m = top(rows, "m", config.attn_budget)                                             -- b n head top
    o1 = attend{ q = q1, k = k{ n = m }, v = v{ n = m }, over = "top", dot = "d" }
    mask = eq(m, axis("m", N)):any"top"
  else
    mask = lt(score.THRESHOLD, rows)
    o1 = attend{ q = q1, k = k:as"n=m", v = v:as"n=m", over = "m", dot = "d", only = mask }
  end
  local o = concat("n", { o0, o1 }):merge"c = head d"
  return linear(o, name.."proj", "c"), concat("n", { lift(1):along"n=1", mask })
end
local y, mask = attention(input("input", "b n c"), "", config.num_heads)
output("output", y, "b n c")
output("attn_mask", mask, "b head n m")
