package plugin

import (
	"errors"
	"io"
	"strings"
	"text/template"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command/formatter"

	"github.com/docker-orphans/docker-orphans/scan"
)

// templateError is a mistake in --format, unless it is standard output that
// failed.
func templateError(err error) error {
	var failed *outputError
	if errors.As(err, &failed) {
		return err
	}
	if !strings.Contains(err.Error(), "template parsing error") {
		err = errors.New("template parsing error: " + err.Error())
	}
	return cli.StatusError{Cause: err, StatusCode: exitUsage}
}

// checkFindingFormat tries a format on a finding of our own making, so that a
// mistyped field is told before a scan of minutes and not after it. What
// depends on the data itself shows only later.
func checkFindingFormat(format formatter.Format) error {
	sample := &scan.Finding{Type: scan.TypeLayer, Parts: []*scan.Object{{Node: scan.Node{Name: "sample"}}}}
	return mistyped(writeFindings(formatter.Context{Output: io.Discard, Format: format}, listing{sizes: true}, []*scan.Finding{sample}))
}

// mistyped is the error of a format on a sample, if it is one of the format
// and not of the sample.
func mistyped(err error) error {
	var failed template.ExecError
	if errors.As(err, &failed) && !strings.Contains(failed.Error(), "can't evaluate field") {
		return nil
	}
	return err
}
