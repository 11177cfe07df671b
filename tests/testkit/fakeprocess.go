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
	"time"

	"go.etcd.io/bbolt"
)

// lockTime is how long to wait for a data root's lock: whoever holds it will
// not let go.
const lockTime = time.Second

// FakeDockerd is the main function of a process that owns a data root as
// dockerd does: it makes <root>/tmp anew, holds the lock on
// volumes/metadata.db, and answers on a socket. It prints "ready" once it
// does, then every request, and runs until it is killed.
//
//	fakedockerd -root DIR -socket PATH [-config FILE]
//
// FILE is a [FakeDaemon] as JSON; the data root in it may be another one
// than that which is owned.
func FakeDockerd() {
	root := flag.String("root", "", "data root to own; none if empty")
	socket := flag.String("socket", "", "socket to answer on")
	config := flag.String("config", "", "what to answer")
	flag.Parse()
	if err := fakeDockerd(*root, *socket, *config); err != nil {
		fmt.Fprintln(os.Stderr, "fakedockerd:", err)
		os.Exit(1)
	}
}

func fakeDockerd(root, socket, config string) error {
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
	if root != "" {
		lock, err := own(root)
		if err != nil {
			return err
		}
		defer func() { _ = lock.Close() }() // the process ends anyway
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
