// Command docker-orphans is the docker CLI plugin "docker orphans". It also
// runs by itself, as docker-orphans.
package main

import (
	"os"

	"github.com/docker-orphans/docker-orphans/plugin"
)

func main() { os.Exit(plugin.Main()) }
