package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune/outfile"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/archive"
	"github.com/docker-orphans/docker-orphans/scan/catalog"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/locate"
)

// exportOptions are what export can be told.
type exportOptions struct {
	output  string
	backend string
	tag     string
	what    []string
}

func newExportCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options exportOptions
	cmd := &cobra.Command{
		Use:   "export [OPTIONS] IMAGE|ID [IMAGE|ID...]",
		Short: "Write images and what containers wrote to a tar archive (streamed to STDOUT by default)",
		Long: "Write images to a tar archive that docker load takes, from the layers on disk: also those\n" +
			"of a storage driver that the daemon does not use any more, of a stopped daemon, or of a\n" +
			"disk of another machine (--data-root). Each layer is the one that was pulled or built,\n" +
			"byte by byte, or the export fails; of what a container wrote, what no image can hold,\n" +
			"such as sockets and trusted attributes, is left out and named. Nothing in the data root is changed.\n\n" +
			"An ID is that of an image, of an image-layer, or of a container, also of one that vanished\n" +
			"(rw-layer) or is in quarantine: of it and what it wrote an image is made. An ID may be cut,\n" +
			"and have its type before it: rw-layer:3f9c. A repository's name means all of its images." +
			exitHelp(exitDone, exitError, exitUsage, exitInterrupted),
		Args:              usage(cli.RequiresMinArgs(1)),
		ValidArgsFunction: completeImages(dockerCLI, global, &options),
		RunE: func(cmd *cobra.Command, args []string) error {
			options.what = args
			return runExport(cmd.Context(), dockerCLI, global, options)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&options.output, "output", "o", "", "Write to a file, instead of STDOUT")
	f.StringVar(&options.backend, "backend", "", "Only what this storage driver has")
	f.StringVarP(&options.tag, "tag", "t", "", `Name of the image (default its own, or "orphans/exported:ID")`)
	completeFlag(cmd, "backend", fixed(valuesOf("backend")...))
	return cmd
}

func runExport(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options exportOptions) (err error) {
	if options.output == "" && dockerCLI.Out().IsTerminal() {
		return errors.New("cowardly refusing to save to a terminal. Use the -o flag or redirect")
	}
	if options.tag != "" {
		if options.tag, err = archive.ReadTag(options.tag); err != nil {
			return usageError("invalid --tag: %w", err)
		}
	}
	if options.backend != "" && driver.Named(options.backend) == nil {
		return usageError("invalid --backend %s (valid: %s)", options.backend, strings.Join(valuesOf("backend"), ", "))
	}
	in, closeRoot, err := global.read(ctx, dockerCLI)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRoot()) }()
	aside, err := catalog.PutBack(in.Tree)
	if err != nil {
		_, _ = fmt.Fprintf(dockerCLI.Err(), "WARNING: %s\n", scan.Printable(err.Error()))
	}
	things, err := options.find(aside)
	if err != nil {
		return err
	}
	images, closeImages, err := options.open(ctx, archive.Root{Tree: aside, Dir: in.DataRoot, Place: aside.Place}, things)
	if err != nil {
		return err
	}
	defer closeImages()
	p := newProgress(dockerCLI.Err())
	defer p.clear()
	m := &meter{to: dockerCLI.Out(), progress: p, total: sizeOf(images)}
	if err := writeExport(ctx, m, in.DataRoot, options.output, images); err != nil {
		return err
	}
	p.clear()
	for _, i := range images {
		for _, left := range i.LeftOut {
			_, _ = fmt.Fprintf(dockerCLI.Err(), "Left out: %s\n", scan.Printable(left))
		}
	}
	return nil
}

// read opens the data root for what judges nothing: also that of a daemon that
// keeps its own images elsewhere.
func (o *globalOptions) read(ctx context.Context, dockerCLI command.Cli) (*scan.Input, func() error, error) {
	where := o.where(dockerCLI)
	where.Unjudged = true
	return locate.Find(ctx, where)
}

// find finds everything that is to be written, or nothing.
func (o *exportOptions) find(tree scan.Tree) ([]*catalog.Thing, error) {
	all, err := catalog.Read(tree, o.backend)
	if err != nil {
		return nil, err
	}
	var lists [][]*catalog.Thing
	var problems []error
	for _, text := range o.what {
		found, err := all.Find(text)
		problems = append(problems, err)
		lists = append(lists, found)
	}
	things := catalog.Join(lists...)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if o.tag != "" && len(things) > 1 {
		return nil, usageError("conflicting options: --tag is the name of one image, and %d were asked for", len(things))
	}
	return things, nil
}

// open opens what was found. The caller closes it.
func (o *exportOptions) open(ctx context.Context, root archive.Root, things []*catalog.Thing) (_ []*catalog.Opened, closeAll func(), err error) {
	opener := catalog.Opener{
		Root: root, Now: time.Now(),
		Platform: archive.Platform{OS: "linux", Architecture: runtime.GOARCH},
	}
	var images []*catalog.Opened
	closeAll = func() {
		for _, i := range images {
			i.Close()
		}
	}
	for _, t := range things {
		image, err := opener.Open(ctx, t)
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("%s: %w", t.Short(), err)
		}
		if o.tag != "" {
			image.Tags = []string{o.tag}
		}
		images = append(images, image)
	}
	return images, closeAll, nil
}

// writeBuffer is how much is written at a time.
const writeBuffer = 1 << 20

// writeExport writes the archive to a file, or to standard output. A file is
// there only if it is whole.
func writeExport(ctx context.Context, out *meter, root, name string, images []*catalog.Opened) (err error) {
	commit := func() error { return nil }
	if name != "" {
		var file *outfile.File
		if file, err = outfile.Create(name, root); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out.to, commit = file, file.Commit
	}
	buffered := bufio.NewWriterSize(out, writeBuffer)
	packed := make([]*archive.Image, len(images))
	for i, image := range images {
		packed[i] = &image.Image
	}
	if err := archive.Pack(ctx, buffered, packed); err != nil {
		if _, full := buffered.Write(nil); full != nil {
			return full // not what was being read is to blame
		}
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return commit()
}

// A meter shows how much of all that is to be written was written.
type meter struct {
	to          io.Writer
	progress    *progress
	done, total int64
}

// Write writes, and tells.
func (m *meter) Write(p []byte) (int, error) {
	m.progress.bytes("Exporting", m.done, m.total)
	n, err := m.to.Write(p)
	m.done += int64(n)
	return n, err
}

// sizeOf is what the layers of images take in an archive, each once.
func sizeOf(images []*catalog.Opened) (total int64) {
	counted := map[string]bool{}
	for _, i := range images {
		for _, l := range i.Layers {
			if !counted[l.Diff()] {
				total += l.Size()
			}
			counted[l.Diff()] = true
		}
	}
	return total
}

// completeImages completes the names of images of all storage drivers.
func completeImages(dockerCLI command.Cli, global *globalOptions, options *exportOptions) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		in, closeRoot, err := global.read(ctx, dockerCLI)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = closeRoot() }() // nothing was written
		all, err := catalog.Read(in.Tree, options.backend)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, name := range all.Names() {
			if !slices.Contains(args, name) {
				names = append(names, scan.Printable(name))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
