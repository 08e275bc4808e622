module github.com/patterninc/heimdall/examples/go

go 1.25
