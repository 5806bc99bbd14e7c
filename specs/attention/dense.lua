-- Dense attention.    q: b head m d;  k, v: b kv n d  (fewer key heads: grouped queries)
-- config: causal, window (keys p - window .. p + window), alibi, softcap, bias (an input, head m n), scale (d^-0.5)
local k, v = input("k", "b kv n d"), input("v", "b kv n d")
local grouped = split("head = kv member", { kv = k.kv })
local q, bias = grouped(input("q", "b head m d")), config.bias and grouped(input("bias", "head m n"))
local i, j, only = q:index"m" + (k.n - q.m), k:index"n", lift(true)        -- queries stand at the end of the keys
if config.causal then only = only & le(j, i) end
if config.window then only = only & le(abs(i - j), config.window) end
local head = q:index"kv" * q.member + q:index"member" + 1
local slope, cap = 2.0^(head * (-8 / (q.kv * q.member))), config.softcap
local o = attend{ q = q, k = k, v = v, over = "n", dot = "d", scale = config.scale or q.d^-0.5, only = only,
  score = function(s)
    if cap then s = cap * tanh(s / cap) end
    if bias then s = s + bias end
    return config.alibi and s - slope * abs(i - j) or s
  end }
output("o", o:merge"head = kv member", "b head m d")
