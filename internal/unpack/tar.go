package unpack

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// TarGz unpacks the gzipped tar file archive into dir, which is made where it is missing. On an error dir is as it was
// before.
func TarGz(ctx context.Context, archive, dir string, limits Limits) error {
	return run(ctx, archive, dir, limits, func(s *stage) (err error) {
		f, err := os.Open(archive)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		plain, err := gzip.NewReader(bufio.NewReaderSize(f, 256<<10))
		if err != nil {
			return err
		}
		if err := s.tarEntries(tar.NewReader(plain)); err != nil {
			return err
		}
		// Behind the last entry: read on, so that a cut or altered file fails gzip's own check.
		return s.copy(io.Discard, plain)
	})
}

func (s *stage) tarEntries(reader *tar.Reader) error {
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.tarEntry(header, reader); err != nil {
			return err
		}
	}
}

func (s *stage) tarEntry(header *tar.Header, content io.Reader) error {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if err := s.count(header.Name); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return nil
	case tar.TypeReg:
	default:
		return fmt.Errorf("%q is no regular file (%s)", header.Name, header.FileInfo().Mode())
	}
	if !s.wanted(header.Name) {
		return s.copy(io.Discard, content)
	}
	return s.add(header.Name, content)
}
