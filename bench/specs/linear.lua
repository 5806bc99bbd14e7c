-- A linear layer with bias.   x: n c     config: out
output("y", linear(input("x", "n c"), "fc", "c=" .. config.out), "n c")
