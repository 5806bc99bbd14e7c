-- not: out_add_1e9
-- Dense attention and what is commonly done to it. Empty rows answer 0 (lse minus infinity); a removed pair is never
-- touched.
-- What is asked follows from the inputs and the configuration; answers that are defined anyway are given as well.
if has_input"pairs" then                                          -- which pairs (query heads, key heads) are accepted
  local heads, kv = input("pairs", "i two"):parts"two"
  output("accepted", where(eq(kv, 0), 0, where(eq(heads % max(kv, 1), 0), 1, 0)), "i")
  return
end

-- q: b head m d,  k: b kv n d,  v: b kv n e;  head is (kv member): head i uses key head i // members
local k, v = input("k", "b kv n d"), input("v", "b kv n e")
local grouped = split("head = kv member", { kv = k.kv })
local q = grouped(input("q", "b head m d"))
local heads, queries, keys = q.kv * q.member, q.m, k.n
if config.q == "abs(q)" then q = abs(q) end
if config.k == "-abs(k)" then k = -abs(k) end
local i, j = q:index"m", k:index"n"
local at = i + keys - queries                                     -- queries stand at the end of the keys
local scale = tonumber(config.scale) or q.d^-0.5

local function dense(more)                                        -- only, score (after the scale), a further set
  local o, lse = attend{ q = q, dot = "d", scale = scale, lse = true,
    { k = k, v = v, over = "n", only = more.only, score = more.score }, more.also }
  return o:merge"head = kv member", lse:merge"head = kv member"
end
local function class(x) return where(isnan(x), 3, where(eq(x, math.huge), 1, where(eq(x, -math.huge), 2, 0))) end
local function answer(suffix, o, lse)                             -- with its class; 0 where it is not finite
  output("out" .. suffix, where(eq(class(o), 0), o, 0.0), "b head m e")
  output("out" .. suffix .. "_class", class(o), "b head m e")
  if not lse then return end
  output("lse" .. suffix, where(eq(class(lse), 0), lse, 0.0), "b head m")
  output("lse" .. suffix .. "_class", class(lse), "b head m")
end
local function capped(s) return config.softcap and config.softcap * tanh(s / config.softcap) or s end

if config.windows then                                            -- position p sees p - L .. p + R
  for _, w in ipairs(config.windows) do
    answer(("_%d_%d"):format(w[1], w[2]), dense{ only = le(at - w[1], j) & le(j, at + w[2]) })
  end
elseif has_input"mask" then
  local mask = input("mask", "m n")
  local o, lse = dense{ only = mask }
  answer("_zero", o)
  output("lse", where(eq(class(lse), 0), lse, 0.0), "b head m")
  output("lse_class", class(lse), "b head m")
  answer("_softmax", where(mask:any"n", o, 0/0))               -- plain softmax over minus infinity
  answer("_fill_1e9", (dense{ score = function(s) return where(mask, s, -1e9) end }))
elseif has_input"bias" then
  local bias = grouped(input("bias", "1 head 1 n"))
  answer("", dense{ score = function(s) return s + bias end })
elseif has_param"sinks" then                                      -- one more key, with a given logit and the value 0
  local s = grouped(param("sinks", "head"))
  answer("", dense{ also = { s = s, v = 0 } })
  answer("_zero_sink", (dense{ also = { s = s * 0, v = 0 } }))
elseif config.heads and config.causal ~= nil then                 -- ALiBi
  local h, P = axis("head", heads), 2^(math.log(heads, 2) // 1)
  local slope = where(lt(h, P), 2.0^((h + 1) * (-8 / P)), 2.0^((h * 2 - (2 * P - 1)) * (-4 / P)))
  local bias = outer(grouped(slope), abs(at - j))
  answer("", dense{ score = function(s) return s - bias end, only = config.causal and le(j, at) })
  output("slopes", slope, "head")
else
  answer("", dense{ score = capped })
  if config.kv_heads or config.softcap then return end            -- it was the dense operator that was asked for
  output("argmax", argmax(contract(q, k, "d"), "n"):merge"head = kv member", "b head m")
  answer("_topleft", dense{ only = le(j, i) })
  answer("_bottomright", dense{ only = le(j, at) })
  answer("_skip", (dense{ only = le(j, i) }))
  -- kept pairs of weight 0
  answer("_product", (dense{ score = function(s) return where(le(j, i), s, -math.huge) end }))
end
