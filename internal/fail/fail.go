// Package fail separates what the caller did wrong (exit code 2: flags, recipe, missing input named by the user) from
// what went wrong while running (exit code 1: everything else). Only cmd maps errors to exit codes.
package fail

import (
	"errors"
	"fmt"
)

type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// Usagef makes an error that the user can mend by calling differently or by editing the recipe. The text says what is
// wrong, where, and what to do. It takes %w like fmt.Errorf.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// IsUsage reports whether err, or an error that it wraps, came from Usagef.
func IsUsage(err error) bool {
	var u usageError
	return errors.As(err, &u)
}
