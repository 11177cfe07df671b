//go:build !linux

package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

func run(context.Context, io.Writer, options) error {
	return fmt.Errorf("starts a Docker daemon, which needs Linux, not %s", runtime.GOOS)
}
