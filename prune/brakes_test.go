package prune

import (
	"context"
	"errors"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// What is lost for a moment is no damage; what each look finds is.
func TestLasting(t *testing.T) {
	a, b := scan.Doubt{Where: "a", Err: "needs b"}, scan.Doubt{Where: "c", Err: "needs d"}
	for name, tc := range map[string]struct {
		looks [][]scan.Doubt
		asked int // how often it looked again
		want  []scan.Doubt
	}{
		"nothing":               {looks: [][]scan.Doubt{nil}},
		"for a moment":          {looks: [][]scan.Doubt{{a}, nil}, asked: 1},
		"for a bit longer":      {looks: [][]scan.Doubt{{a}, {a}, nil}, asked: 2},
		"for good":              {looks: [][]scan.Doubt{{a}, {a}, {a}}, asked: 2, want: []scan.Doubt{a}},
		"another each time":     {looks: [][]scan.Doubt{{a}, {b}}, asked: 1},
		"one of two":            {looks: [][]scan.Doubt{{a, b}, {b}, {a, b}}, asked: 2, want: []scan.Doubt{b}},
		"what comes later only": {looks: [][]scan.Doubt{{a}, {a, b}, {a, b}}, asked: 2, want: []scan.Doubt{a}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			lost, err := Lasting(t.Context(), tc.looks[0], Policy{}, func(context.Context) ([]scan.Doubt, error) {
				asked++
				return tc.looks[asked], nil
			})
			assert.NilError(t, err)
			assert.Equal(t, len(lost), len(tc.want))
			for i := range lost {
				assert.Equal(t, lost[i].String(), tc.want[i].String())
			}
			assert.Equal(t, asked, tc.asked)
		})
	}
	_, err := Lasting(t.Context(), []scan.Doubt{a}, Policy{}, func(context.Context) ([]scan.Doubt, error) {
		return nil, errors.New("gone")
	})
	assert.Error(t, err, "gone")
}
