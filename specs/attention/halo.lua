-- Blocks of queries, each with its block of keys and a halo around it (HaloNet).    q, k, v: b head h w d
-- config: block (8), halo (3); keys outside the map are zeros and take part
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
local b, halo = config.block or 8, config.halo or 3
local win = b + 2 * halo
local near = window{ h = "hb u=" .. win, w = "wb v=" .. win, stride = b, pad = halo, border = 0 }
local queries = split("h = hb hi, w = wb wi", { hi = b, wi = b })(q)
local ry = contract(queries, param("height_rel", "y d", { y = 2 * win - 1, d = q.d }), "d")
local rx = contract(queries, param("width_rel", "x d", { x = 2 * win - 1, d = q.d }), "d")
local i, j, ki, kj = axis("hi", b), axis("wi", b), axis("u", win), axis("v", win)
local o = attend{ q = queries, k = near(k), v = near(v), over = "u v", dot = "d",
  score = function(s) return s * q.d^-0.5 + ry{ y = ki - i + win - 1 } + rx{ x = kj - j + win - 1 } end }
output("o", o:merge"h = hb hi, w = wb wi", "b head h w d")
