package main

import (
	"bufio"
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

//go:embed init.sh
var initScript []byte

// modules are what the tests need of the kernel.
var modules = []string{"virtio_pci", "virtio_blk", "9p", "9pnet_virtio", "dm-thin-pool", "zfs", "loop", "overlay", "ext4", "xfs"}

// done is what the machine's first process says of the tests, as they end.
const done = "exit status "

func run(ctx context.Context, out io.Writer, o options) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("needs root: the machine reads all files of this one (sudo make test-vm)")
	}
	if _, err := engine.Debian(ctx); err != nil {
		return err
	}
	if err := engine.InstallMachineTools(ctx); err != nil {
		return err
	}
	k, err := findKernel(ctx, out)
	if err != nil {
		return err
	}
	dir, err := engine.TempDir("")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, make := range []func() error{
		func() error { return makeTests(ctx, dir, o) },
		func() error { return k.makeInitrd(ctx, filepath.Join(dir, "initrd")) },
		func() error { return makeDisk(ctx, filepath.Join(dir, "disk")) },
	} {
		if err := make(); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "vm: %s boots, on an emulated processor\n", k.release)
	return k.boot(ctx, out, dir, o)
}

// makeTests builds the program and the scenarios, and writes the command that
// runs them.
func makeTests(ctx context.Context, dir string, o options) error {
	tests := filepath.Join(dir, "tests")
	if err := os.Mkdir(tests, 0o755); err != nil {
		return err
	}
	if _, err := engine.BuildPlugin(ctx, tests); err != nil {
		return err
	}
	if err := command(ctx, "", "go", "test", "-c", "-tags", "e2e vm", "-o", filepath.Join(tests, "e2e"), "github.com/docker-orphans/docker-orphans/tests/e2e"); err != nil {
		return err
	}
	script := fmt.Sprintf("export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DOCKER_ORPHANS_PROGRAM=/var/tmp/tests/docker-orphans\ncd /var/tmp\ntests/e2e -test.v -test.parallel 1 -test.timeout %s -test.run '%s'\necho \"exit status $?\"\nsync\nbusybox poweroff -f\n", o.timeout, strings.ReplaceAll(o.tests, "'", `'\''`))
	return os.WriteFile(filepath.Join(tests, "command"), []byte(script), 0o600)
}

// makeDisk makes the disk that the tests have: what is not written of it takes
// no space.
func makeDisk(ctx context.Context, file string) error {
	if err := command(ctx, "", "truncate", "-s", "16G", file); err != nil {
		return err
	}
	return command(ctx, "", "mkfs.ext4", "-q", file)
}

// boot runs the machine to its end, and says whether its tests passed.
func (k *kernel) boot(ctx context.Context, out io.Writer, dir string, o options) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	// Time in the machine goes by instructions: however busy the real one is,
	// what dockerd waits for comes in time.
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-machine", "pc", "-accel", "tcg,thread=single", "-icount", "shift=1", "-cpu", "max", "-m", "2048",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", k.image, "-initrd", filepath.Join(dir, "initrd"),
		"-append", "console=ttyS0 quiet panic=-1 mitigations=off",
		"-drive", "if=virtio,format=raw,cache=unsafe,file="+filepath.Join(dir, "disk"),
		"-virtfs", "local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap",
		"-virtfs", "local,path="+filepath.Join(k.dir, "usr")+",mount_tag=zfs,security_model=none,readonly=on",
		"-virtfs", "local,path="+filepath.Join(dir, "tests")+",mount_tag=tests,security_model=none,readonly=on")
	console, err := qemu.StdoutPipe()
	if err != nil {
		return err
	}
	qemu.Stderr = os.Stderr
	if err := qemu.Start(); err != nil {
		return err
	}
	status := ""
	lines := bufio.NewScanner(console)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		fmt.Fprintln(out, line)
		if is, ok := strings.CutPrefix(line, done); ok {
			status = is
		}
	}
	if err := errors.Join(lines.Err(), qemu.Wait(), ctx.Err()); err != nil {
		return fmt.Errorf("qemu: %w", err)
	}
	if status != "0" {
		return fmt.Errorf("the tests did not pass: exit status %q", status)
	}
	return nil
}

// command runs a program in a directory, "" for any. Its output is told only if
// it fails.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
