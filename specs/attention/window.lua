-- Window attention with a cyclic shift (Swin).    q, k, v: b head h w d
-- config: window (7), shift (window // 2; 0: none), mask (-100, between regions that the shift joins), bias (true)
local q, k, v = input("q", "b head h w d"), input("k", "b head h w d"), input("v", "b head h w d")
local win = config.window or 7
local shift, mask, table_of = config.shift or win // 2, config.mask or -100.0, nil
local tile = split("h = hb hi, w = wb wi", { hi = win, wi = win })
local function part(x) return tile(roll{ h = -shift, w = -shift }(x)) end
local function band(i, n) return where(lt(i, n - win), 0, where(lt(i, n - shift), 1, 2)) end
local zone, key = tile(band(q:index"h", q.h) * 3 + band(q:index"w", q.w)), as"hi=hi' wi=wi'"
if config.bias ~= false then
  table_of = param("bias", "(y x) head", { y = 2 * win - 1, x = 2 * win - 1, head = q.head })
end
local i, j = axis("hi", win), axis("wi", win)
local o = attend{ q = part(q), k = part(k), v = part(v), over = "hi wi", dot = "d", score = function(s)
  s = s * q.d^-0.5
  if table_of then s = s + table_of{ y = i - key(i) + win - 1, x = j - key(j) + win - 1 } end
  return shift > 0 and s + where(ne(zone, key(zone)), mask, 0.0) or s end }
output("o", roll{ h = shift, w = shift }(o:merge"h = hb hi, w = wb wi"), "b head h w d")
