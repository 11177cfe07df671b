package testkit

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
)

// lockTime is how long to wait for a data root's lock: whoever holds it will
// not let go.
const lockTime = time.Second

// OldEngines are engines that speak no newer API than each, from the oldest that
// our client speaks to.
var OldEngines = map[string]string{
	"1.24": "1.12.6", "1.25": "1.13.0", "1.26": "1.13.1", "1.27": "17.03.2-ce", "1.28": "17.04.0-ce", "1.29": "17.05.0-ce",
	"1.30": "17.06.2-ce", "1.31": "17.07.0-ce", "1.32": "17.09.1-ce", "1.33": "17.10.0-ce", "1.34": "17.11.0-ce",
	"1.35": "17.12.1-ce", "1.36": "18.02.0-ce", "1.37": "18.05.0-ce", "1.38": "18.06.3-ce", "1.39": "18.09.9", "1.40": "19.03.15",
}

// FakeDockerd is the main function of a process that owns a data root as
// dockerd does: it makes <root>/tmp anew, holds the lock on
// volumes/metadata.db, has the databases of BuildKit open, and answers on a
// socket. It prints "ready" once it
// does, then every request, and runs until it is killed.
//
//	fakedockerd -root DIR -socket PATH [-config FILE] [-api VERSION] [-bare]
//
// FILE is a [FakeDaemon] as JSON; the data root in it may be another one
// than that which is owned. VERSION is the newest API that it speaks, of
// [OldEngines]. With -bare it leaves out of its answers what it can.
func FakeDockerd() {
	root := flag.String("root", "", "data root to own; none if empty")
	socket := flag.String("socket", "", "socket to answer on")
	config := flag.String("config", "", "what to answer")
	api := flag.String("api", "", "newest API to speak; that of the config if empty")
	bare := flag.Bool("bare", false, "leave out of the answers what need not be there")
	flag.Parse()
	if err := fakeDockerd(*root, *socket, *config, *api, *bare); err != nil {
		fmt.Fprintln(os.Stderr, "fakedockerd:", err)
		os.Exit(1)
	}
}

func fakeDockerd(root, socket, config, api string, bare bool) error {
	daemon := &FakeDaemon{}
	if config != "" {
		text, err := os.ReadFile(config)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, daemon); err != nil {
			return fmt.Errorf("%s: %w", config, err)
		}
	}
	if daemon.DataRoot == "" {
		daemon.DataRoot = root
	}
	if api != "" {
		daemon.APIVersion, daemon.Version = api, OldEngines[api]
	}
	daemon.Bare = daemon.Bare || bare
	if root != "" {
		lock, err := own(root)
		if err != nil {
			return err
		}
		defer func() { _ = lock.Close() }() // the process ends anyway
		files, err := openAll(filepath.Join(root, "buildkit", "*.db"))
		if err != nil {
			return err
		}
		defer runtime.KeepAlive(files)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		daemon.ServeHTTP(w, r)
	}))
}

// openAll opens files to write.
func openAll(pattern string) ([]*os.File, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, name := range names {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// own does to a data root what dockerd does when it starts.
func own(root string) (*bbolt.DB, error) {
	tmp := filepath.Join(root, "tmp")
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o700), os.MkdirAll(filepath.Join(root, "volumes"), 0o711)); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(root, "volumes", "metadata.db"), 0o600, &bbolt.Options{Timeout: lockTime})
	if err != nil {
		return nil, err
	}
	return db, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte("volumes"))
		return err
	})
}
