package process

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Suspended returns how long the machine slept since it booted: one of the
// kernel's clocks counts that time, the other does not.
func Suspended() (time.Duration, error) {
	var awake, all unix.Timespec
	// The one that runs ahead is read second, so that the difference is
	// never negative.
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake); err != nil {
		return 0, fmt.Errorf("monotonic clock: %w", err)
	}
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &all); err != nil {
		return 0, fmt.Errorf("boot time clock: %w", err)
	}
	return time.Duration(all.Nano() - awake.Nano()), nil
}
