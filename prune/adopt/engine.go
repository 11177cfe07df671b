package adopt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// Engine returns the daemon behind a client.
func Engine(c client.APIClient) Daemon { return &engine{c} }

type engine struct{ client client.APIClient }

// Platform asks GET /version.
func (e *engine) Platform(ctx context.Context) (Platform, error) {
	v, err := e.client.ServerVersion(ctx)
	if err != nil {
		return Platform{}, fmt.Errorf("version: %w", err)
	}
	return Platform{OS: v.Os, Architecture: v.Arch}, nil
}

// Load asks POST /images/load. Not quiet: only so does every version answer
// with a stream of messages.
func (e *engine) Load(ctx context.Context, archive io.Reader) error {
	reply, err := e.client.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(false))
	if err != nil {
		return err
	}
	defer reply.Body.Close() //nolint:errcheck // it was read to its end, or the error is returned already
	return readReply(reply.Body)
}

// readReply reads a stream of messages to its end and returns the error that
// one of them carries.
func readReply(body io.Reader) error {
	in := json.NewDecoder(body)
	for {
		var message struct {
			Error       string `json:"error"`
			ErrorDetail struct {
				Message string `json:"message"`
			} `json:"errorDetail"`
		}
		err := in.Decode(&message)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reply to load: %w", err)
		case message.ErrorDetail.Message != "":
			return errors.New(message.ErrorDetail.Message)
		case message.Error != "":
			return errors.New(message.Error)
		}
	}
}

// Image asks GET /images/<name>/json.
func (e *engine) Image(ctx context.Context, name string) (Image, error) {
	i, err := e.client.ImageInspect(ctx, name)
	if err != nil {
		return Image{}, err
	}
	out := Image{
		ID: i.ID, Tags: i.RepoTags, Platform: Platform{OS: i.Os, Architecture: i.Architecture},
		Diffs: i.RootFS.Layers, Graph: i.GraphDriver.Data,
	}
	if i.Config != nil {
		out.Labels = i.Config.Labels
	}
	return out, nil
}

// Labelled asks GET /images/json, for intermediate images too: one that
// somebody built on is one of those.
func (e *engine) Labelled(ctx context.Context, label string) ([]string, error) {
	list, err := e.client.ImageList(ctx, image.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", label))})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	return ids, nil
}

// Remove asks DELETE /images/<id>?noprune=1.
func (e *engine) Remove(ctx context.Context, id string) ([]string, error) {
	reply, err := e.client.ImageRemove(ctx, id, image.RemoveOptions{})
	if err != nil {
		return nil, err
	}
	var deleted []string
	for _, r := range reply {
		if r.Deleted != "" {
			deleted = append(deleted, r.Deleted)
		}
	}
	return deleted, nil
}
