-- A cross-shaped neighbourhood: the row and the column through each query.    q, k, v: b head h w d
-- config: arm (3 keys in each direction), dilation (1), softcap (20); a learned bias per head and distance
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
local arm, D, cap = config.arm or 3, config.dilation or 1, config.softcap or 20.0
local near = window{ h = "u=" .. 2 * arm + 1, w = "v=" .. 2 * arm + 1, dilation = D, border = "cut" }
local dy, dx = axis("u", 2 * arm + 1) - arm, axis("v", 2 * arm + 1) - arm
local bias = param("bias", "head r", { head = q.head, r = arm + 1 })           -- by distance in steps of the dilation
local o = attend{ q = q, k = near(k), v = near(v), over = "u v", dot = "d", only = eq(dy, 0) | eq(dx, 0),
  score = function(s) return cap * tanh(s * q.d^-0.5 / cap) + bias{ r = max(abs(dy), abs(dx)) } end }
output("o", o, "b head h w d")
