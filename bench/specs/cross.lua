-- A cross-shaped neighbourhood: specs/attention/cross.lua over tensors whose columns lie innermost.   q, k, v: b head h d w
local q, k, v = input("q", "b head h d w"), input("k", "b head h d w"), input("v", "b head h d w")
local arm, cap = config.arm or 3, 20.0
local near = window{ h = "u=" .. 2 * arm + 1, w = "v=" .. 2 * arm + 1, border = "cut" }
local dy, dx = axis("u", 2 * arm + 1) - arm, axis("v", 2 * arm + 1) - arm
local bias = param("bias", "head r", { head = q.head, r = arm + 1 })
output("o", attend{ q = q, k = near(k), v = near(v), over = "u v", dot = "d", only = eq(dy, 0) | eq(dx, 0),
  score = function(s) return cap * tanh(s * q.d^-0.5 / cap) + bias{ r = max(abs(dy), abs(dx)) } end }, "b head h d w")
