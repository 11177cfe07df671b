package main

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

const megabyte = 1 << 20

// proof is the part of inspect's JSON that says why.
const proof = "{{.Path}}{{println}}{{.Verdict}}: {{.Reason}}{{println}}{{.Age}}{{println}}" +
	"{{range .Proof}}read {{.Source}}: {{.Note}}{{println}}{{end}}"

// tell is the story.
func (s *stage) tell(e engine.Engine, dir, program string) {
	d := engine.Start(s, e, engine.Options{Driver: "overlay2", Dir: dir})
	d.InstallPlugin(s, program)

	s.chapter("A daemon of its own, with one image and one container that runs")
	d.Import(s, "base:1", d.Base(s)...)
	d.Build(s, "shop:1", "FROM base:1\nCOPY app /app\n", engine.File{Name: "app", Data: "an application"})
	d.Docker(s, "rmi", "base:1") // its layer stays, shop:1 has it too
	web := d.Up(s, "--name=shop", "shop:1", "sleep", "100000")
	s.docker(d, "version", "--format", "dockerd {{.Server.Version}}")
	s.docker(d, "ps", "--format", "table {{.Names}}\t{{.Image}}\t{{.Status}}")

	s.chapter("It leaks, three times, the way it happens")
	s.Logf("kill -9 dockerd, in the middle of: docker import")
	cut := d.KillInImport(s, 60*megabyte)
	d.Start(s)
	s.Logf("kill -9 dockerd, in the middle of: docker load")
	d.KillInLoad(s, 20*megabyte)
	d.Start(s)
	s.Logf("containers/<id> of a container lost (a repaired disk, a person with rm), with 8 MB of data in it")
	lost := d.Down(s, "shop:1", "sh", "-c", "head -c 8388608 /dev/urandom >/data")
	writable, _ := d.ContainerLayers(s, lost)
	d.Stop(s)
	d.Lose(s, "containers/"+lost)
	s.Logf("start dockerd again, and the container that ran")
	d.Start(s)
	d.Docker(s, "start", web)

	s.chapter("The disk fills, and Docker sees nothing to free")
	s.du(d)
	s.docker(d, "system", "df")
	s.docker(d, "system", "prune", "-af", "--volumes")
	s.du(d)

	s.chapter("docker orphans: what nothing owns")
	s.docker(d, "orphans", "ls")
	s.chapter("Where all the space is, next to what Docker says")
	s.docker(d, "orphans", "df")
	s.chapter("Everything, and why: what is used stays, what may be in flight waits")
	s.docker(d, "orphans", "ls", "-a")
	s.chapter("The proof for one of them")
	s.docker(d, "orphans", "inspect", "--format", proof, path.Base(cut.Layer)[:12])

	s.chapter("Prune, while the container runs: a second look, and then it goes")
	s.docker(d, "orphans", "prune", "--force")
	s.du(d)

	s.chapter("Two containers are removed, and what they had in volumes stays: a cache, a database")
	for _, write := range []string{"head -c 3000000 /dev/urandom >/v/cache", "echo 15 >/v/PG_VERSION"} {
		d.Docker(s, "rm", d.Down(s, "--volume=/v", "shop:1", "sh", "-c", write))
	}
	s.chapter("Data rests for a day before it goes; here it may be a second")
	time.Sleep(2 * time.Second)
	s.docker(d, "orphans", "--allow-short-grace", "--grace=1s", "ls")
	s.docker(d, "orphans", "--allow-short-grace", "--grace=1s", "prune", "--force")
	s.ls(d, writable+"/diff")
	s.docker(d, "volume", "ls")
	s.chapter("It cannot be made again, so it waits in quarantine, and comes back")
	s.docker(d, "orphans", "runs")
	s.docker(d, "orphans", "restore", "--last")
	s.ls(d, writable+"/diff")
	s.docker(d, "volume", "ls")

	s.chapter("The container runs on, and so does its image")
	s.docker(d, "ps", "--format", "table {{.Names}}\t{{.Image}}\t{{.Status}}")
	s.docker(d, "run", "--rm", "--network=none", "shop:1", "cat", "/app")
}

// ls prints what a directory of the data root holds.
func (s *stage) ls(d *engine.Daemon, dir string) {
	s.Logf("$ ls -l %s", d.Path(dir))
	out, _ := exec.Command("ls", "-l", d.Path(dir)).CombinedOutput() // that it is gone is a result
	s.Logf("%s", out)
}

// chapter prints a heading.
func (s *stage) chapter(title string) { s.Logf("\n── %s\n", title) }

// docker prints a docker command as a person types it, and what it says.
func (s *stage) docker(d *engine.Daemon, args ...string) {
	s.Logf("$ docker %s", quoted(args))
	out := d.Run(s, d.Engine.Docker, args...)
	s.Logf("%s\n", strings.TrimRight(out.Stdout+out.Stderr, "\n"))
	if out.Code != 0 {
		s.Fatalf("docker %s: exit status %d", quoted(args), out.Code)
	}
}

// du prints what the data root takes on disk.
func (s *stage) du(d *engine.Daemon) {
	// -x: the container's root is a mount of what is counted already.
	s.Logf("$ du -shx %s", d.Root)
	out, err := exec.Command("du", "-shx", d.Root).CombinedOutput()
	if err != nil {
		s.Fatalf("du: %v: %s", err, out)
	}
	s.Logf("%s", out)
}

// quoted puts arguments into quotes that a shell would take apart.
func quoted(args []string) string {
	args = slices.Clone(args)
	for i, a := range args {
		if strings.ContainsAny(a, " {}\t") {
			args[i] = "'" + strings.ReplaceAll(a, "\t", `\t`) + "'"
		}
	}
	return strings.Join(args, " ")
}
