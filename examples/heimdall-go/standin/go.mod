module github.com/patterninc/heimdall

go 1.25
