package bolt

import "os"

// unnamedFile makes a file and removes its name, so that it goes when it is
// closed. A system that cannot do that gets an error, not a file that stays.
func unnamedFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "docker-orphans-*.db") //nolint:forbidigo // a file of our own, not in the data root
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil { //nolint:forbidigo // the same file
		_ = f.Close() // the error that matters is err
		return nil, err
	}
	return f, nil
}
