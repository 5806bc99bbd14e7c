-- Linear layers before and after the one that is timed, so that both of its sides are the compiler's own (and 16 bit with
-- --dtype bf16).   x: n c     config: c, out, act
local x = linear(input("x", "n c"), "before", "c=" .. config.c)
local y = linear(x, "fc", "c=" .. config.out)
output("y", linear(config.act and gelu(y) or y, "after", "c=8"), "n c")
