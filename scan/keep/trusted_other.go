//go:build !unix

package keep

// trusted trusts every list: nothing is removed here.
func trusted(string) error { return nil }
