// Package glob finds files in a folder that may have any name.
package glob

import (
	"io/fs"
	"os"
	"path/filepath"
)

// In returns the paths of what is in dir and matches the pattern, in the order of their names; of a dir that is not there
// nothing. Unlike filepath.Glob it takes dir for a name and not for a pattern: a checkout in "/home/me/[work]" has files too.
func In(dir, pattern string) ([]string, error) {
	names, err := fs.Glob(os.DirFS(dir), pattern)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		names[i] = filepath.Join(dir, filepath.FromSlash(name))
	}
	return names, nil
}
