package unpack

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"strings"
)

// encrypted is bit 0 of a zip entry's flags (APPNOTE.TXT 4.4.4).
const encrypted = 1

// Zip unpacks the zip file archive into dir, which is made where it is missing. On an error dir is as it was before.
func Zip(ctx context.Context, archive, dir string, limits Limits) error {
	return run(ctx, archive, dir, limits, func(s *stage) (err error) {
		reader, err := zip.OpenReader(archive)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, reader.Close()) }()
		for _, file := range reader.File {
			if err := s.zipEntry(file); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *stage) zipEntry(file *zip.File) (err error) {
	if err := s.count(file.Name); err != nil {
		return err
	}
	switch mode := file.Mode(); {
	case mode.IsDir() || strings.HasSuffix(file.Name, "/"):
		return nil
	case !mode.IsRegular():
		return fmt.Errorf("%q is no regular file (%s)", file.Name, mode)
	case !s.wanted(file.Name):
		return nil
	case file.Flags&encrypted != 0:
		return fmt.Errorf("%q is encrypted", file.Name)
	}
	content, err := file.Open()
	if err != nil {
		return fmt.Errorf("%q: %w", file.Name, err)
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	return s.add(file.Name, content)
}
