package worker

import "mllm4rec/internal/fail"

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// within says whose spec is wrong.
func within(what string, err error) error {
	if err == nil {
		return nil
	}
	return fail.Usagef("%s: %w", what, err)
}

func between(field string, value, low, high float64) error {
	if value >= low && value <= high { // false for NaN
		return nil
	}
	return fail.Usagef("%s is %v; it must be between %v and %v", field, value, low, high)
}

func oneOf(field, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fail.Usagef("%s is %q; it must be one of %q", field, value, allowed)
}
