package adopt

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/layerdb"
)

// How long the daemon may take. What is under way is not broken off when the
// caller's context ends: the daemon would go on all the same.
const (
	askTime    = 2 * time.Minute
	removeTime = 30 * time.Minute // its driver deletes the layers before it answers
)

// Adopt makes the daemon delete a cascade and says what became of it. Before
// it asks for anything, the chain is read from disk once more and must be as
// the cascade has it (rule 8).
//
// A context that ends before the daemon is asked leaves everything as it was.
// One that ends later changes nothing: the image that was loaded is removed.
// If even that fails, [Leftovers] finds it.
func Adopt(ctx context.Context, d Daemon, tree scan.Tree, c Cascade) Result {
	layers, err := c.read(tree)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Result{Outcome: Refused, Reason: err.Error()}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	platform, err := d.Platform(ctx)
	if err != nil {
		return Result{Outcome: Refused, Reason: err.Error()}
	}
	diffs := make([]string, len(layers))
	for i, l := range layers {
		diffs[i] = l.Diff
	}
	config := config(platform, diffs, map[string]string{
		Label: rand.Text(), labelLayer: layers[len(layers)-1].CacheID,
	})
	id := imageID(config)
	if err := d.Load(ctx, bytes.NewReader(archive(config, len(layers)))); err != nil {
		if r := notLoaded(ctx, d, id, err); r.Reason != "" {
			return r
		}
	}
	r := release(ctx, d, id)
	if r.Outcome == Removed {
		r.Outcome, r.Reason = compare(r.Chains, c.chains())
	}
	return r
}

// chains are the ids of what falls, sorted.
func (c *Cascade) chains() []string {
	ids := make([]string, len(c.Falls))
	for i, l := range c.Falls {
		ids[i] = l.Chain
	}
	slices.Sort(ids)
	return ids
}

// read reads the cascade's chain from disk, the base first, and checks that
// what falls is what it says, and is whole.
func (c *Cascade) read(tree scan.Tree) ([]layerdb.Layer, error) {
	if len(c.Falls) == 0 {
		return nil, errors.New("nothing is to fall")
	}
	layers, err := layerdb.Read(tree, c.Backend, c.Falls[0].Chain)
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		entry := scan.ChainNode(c.Backend, l.Chain).Name
		if err := layerdb.Loads(tree, entry); err != nil {
			return nil, fmt.Errorf("the daemon did not load it: %w", err)
		}
	}
	if len(layers) < len(c.Falls) {
		return nil, fmt.Errorf("chain %s has %d layers now, and %d were to fall", scan.Short(c.Falls[0].Chain), len(layers), len(c.Falls))
	}
	for i, want := range c.Falls {
		is := layers[len(layers)-1-i]
		if is.Chain != want.Chain || is.CacheID != path.Base(want.Layer.Name) {
			return nil, fmt.Errorf("chain %s has changed: it is layer %s now, and was %s", scan.Short(want.Chain), is.CacheID, path.Base(want.Layer.Name))
		}
		if err := checkData(tree, c.Backend, want.Layer); err != nil {
			return nil, err
		}
	}
	return layers, nil
}

// absent finds in an error which layer the daemon looked for in the archive.
var absent = regexp.MustCompile(`absent/([0-9]+)\.tar\b`)

// notLoaded says what a failed load means. Its result has no reason if only
// the answer got lost, and the image is there.
func notLoaded(ctx context.Context, d Daemon, id string, err error) Result {
	switch missing := absent.FindStringSubmatch(err.Error()); {
	case missing != nil && missing[1] == "0":
		return Result{Outcome: AfterRestart, Reason: "the daemon does not know it, for its record was made after the daemon started; it can go after the daemon's next restart"}
	case missing != nil:
		return Result{Outcome: PartlyUnknown, Reason: "the daemon does not know layer " + missing[1] + " of its chain, and may have released those below it"}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	reason := "load: " + err.Error()
	_, err = d.Image(ctx, id)
	switch {
	case errdefs.IsNotFound(err):
		return Result{Outcome: LoadFailed, Reason: reason}
	case err != nil:
		return Result{Outcome: Unclear, Image: id, Reason: reason + "; whether the image is there is not known: " + err.Error()}
	}
	return Result{}
}

// release removes an image that adopted a chain. What the daemon deleted with
// it is for the caller to judge.
func release(ctx context.Context, d Daemon, id string) Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
	defer cancel()
	r := Result{Outcome: Unclear, Image: id}
	image, err := d.Image(ctx, id)
	if err != nil && !errdefs.IsNotFound(err) {
		r.Reason = "the image that adopted it cannot be inspected, and stays until the next run: " + err.Error()
		return r
	}
	if err == nil {
		if outcome, reason := stays(image); reason != "" {
			r.Outcome, r.Reason = outcome, reason
			return r
		}
		r.Chains, err = d.Remove(ctx, id)
		r.Chains = slices.DeleteFunc(r.Chains, func(s string) bool { return s == id })
		slices.Sort(r.Chains)
	}
	switch {
	case err == nil:
		r.Outcome, r.Reason = Removed, "the daemon deleted it"
	case errdefs.IsNotFound(err):
		r.Outcome, r.Reason = AlreadyGone, "somebody else removed the image that adopted it, and so released it"
	case errdefs.IsConflict(err):
		r.Outcome, r.Reason = Taken, "somebody uses the image that adopted it: "+err.Error()
	case errdefs.IsInternal(err):
		r.Outcome, r.Reason = DriverFailed, "the storage driver could not delete it: "+err.Error()
	default:
		r.Reason = "what the daemon did is not known: " + err.Error()
	}
	return r
}

// stays says why an image that adopted a chain must not be removed, if so.
func stays(image Image) (Outcome, string) {
	if len(image.Tags) > 0 {
		return Taken, "somebody has given the image that adopted it the name " + scan.Printable(image.Tags[0])
	}
	layer := image.Labels[labelLayer]
	if upper := image.Graph["UpperDir"]; upper != "" && path.Base(path.Dir(upper)) != layer {
		return Disagrees, fmt.Sprintf("the daemon has another layer for it, %s, than the disk says, %s: its records were changed while the daemon ran; restart it",
			scan.Printable(upper), scan.Printable(layer))
	}
	return 0, ""
}

// compare compares what the daemon deleted with what was to fall. Both are
// sorted.
func compare(deleted, falls []string) (Outcome, string) {
	count := map[string]int{}
	for _, id := range falls {
		count[id] = 1
	}
	gone, more := 0, ""
	for _, id := range deleted {
		if count[id] == 0 {
			more = id
		}
		gone += count[id]
	}
	switch {
	case more != "":
		return MoreThanAsked, "the daemon deleted " + scan.Short(more) + " too: what needed it is gone since"
	case gone == len(falls):
		return Removed, "the daemon deleted it"
	case gone == 0:
		return KeptByDaemon, "the daemon counts a reference to it: a pull, a build or a mount"
	}
	return KeptByDaemon, fmt.Sprintf("the daemon deleted %d of %d layers, and counts a reference to the rest: a pull, a build or a mount", gone, len(falls))
}

// Leftovers removes the images that an adoption left which was killed, and
// says what became of each. It must run before anything is judged: what such
// an image has is used. An image is ours only if its id is the digest of
// exactly the config that [Adopt] makes; one that was built on ours has our
// labels, and is somebody's.
func Leftovers(ctx context.Context, d Daemon) ([]Result, error) {
	ids, err := d.Labelled(ctx, Label)
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		image, err := d.Image(ctx, id)
		if errdefs.IsNotFound(err) || err == nil && !ours(image) {
			continue
		}
		if err != nil {
			return results, fmt.Errorf("image %s: %w", scan.Short(id), err)
		}
		results = append(results, release(ctx, d, id))
	}
	return results, nil
}

// ours reports whether an image is one that [Adopt] made.
func ours(i Image) bool { return imageID(config(i.Platform, i.Diffs, i.Labels)) == i.ID }
