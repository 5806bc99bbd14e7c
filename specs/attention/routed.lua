-- Bi-level routing: each region attends to the regions that fit it best (BiFormer).    q, k, v: b head h w d
-- config: regions (7 by 7), top (4)
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
local S = config.regions or 7
local tile = split("h = hb hi, w = wb wi", { hb = S, wb = S })
local tq, tk, tv = tile(q), tile(k), tile(v)
local fit = contract(tq:mean"hi wi", tk:mean"hi wi":as"hb=rh wb=rw", "head d")
local rh, rw = top(fit, "rh rw", config.top or 4)                              -- b hb wb top
local pick = function(x) return gather{ hb = rh, wb = rw }(x):as"hi=ki wi=kj" end
local o = attend{ q = tq, k = pick(tk), v = pick(tv), over = "top ki kj", dot = "d" }
output("o", o:merge"h = hb hi, w = wb wi", "b head h w d")
