-- A window around each query and the pooled map, in one softmax (TransNeXt, Focal).    q, k, v: b head h w d
-- config: window (3), pool (7: a pooled map of 7 x 7)
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
local K, P = config.window or 3, config.pool or 7
local near = window{ h = "u=" .. K, w = "v=" .. K, border = "cut" }           -- what lies outside is no key
local pooled = function(x) return bins("h = ph, w = pw", { ph = P, pw = P })(x):mean"h w" end
local bias = param("bias", "head u v", { head = q.head, u = K, v = K })
local o = attend{ q = q, dot = "d", scale = q.d^-0.5,
  { k = near(k), v = near(v), over = "u v", score = function(s) return s + bias end },
  { k = pooled(k), v = pooled(v), over = "ph pw" } }
output("o", o, "b head h w d")
