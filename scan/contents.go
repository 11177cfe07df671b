package scan

import "time"

// Contents are what a storage driver has left that the daemon does not use, for
// a person.
type Contents struct {
	Images     []Content `json:"images,omitempty"`
	Containers []Content `json:"containers,omitempty"`
	// Lost says why going back to the driver would not find all of it; "" if
	// it would, as far as records and directories tell.
	Lost string `json:"lost,omitempty"`
}

// A Content is an image or a container of a storage driver that the daemon does
// not use.
type Content struct {
	ID   string    `json:"id"`             // an image's with its "sha256:"
	Name string    `json:"name"`           // the first tag, or the short id
	Date time.Time `json:"date,omitzero"`  // when the image was made, or the container was last used
	Lost string    `json:"lost,omitempty"` // what of it is gone, or cannot be read; "" if nothing is
}

// Back says in words whether going back to the driver would find all of it.
func (c *Contents) Back() string {
	if c.Lost == "" {
		return "going back to it would find all of it"
	}
	return "going back to it would not find all of it: " + c.Lost
}
