package table

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
)

// What a file from a stranger may ask for. Real writers make pages of about 1 MiB; these leave room for odd ones.
const (
	maxFooterBytes = 256 << 20
	maxPageBytes   = 256 << 20 // of one page, uncompressed
	maxPageValues  = 64 << 20  // of one page
)

// Guard runs read and turns a panic of the Parquet library, which damaged pages cause, into an error that names the file.
func Guard(name string, read func() error) error { return guard(name, read) }

func guard(name string, read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			text, _, _ := strings.Cut(fmt.Sprint(p), "\n")
			err = fmt.Errorf("%s: damaged Parquet file: %s", name, text)
		}
	}()
	return read()
}

// checkFooter checks the frame of a Parquet file: PAR1, pages, metadata, its length, PAR1.
func checkFooter(f *os.File) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("not a regular file")
	}
	size = info.Size()
	if size < 12 {
		return 0, fmt.Errorf("no Parquet file: only %d bytes", size)
	}
	var tail [8]byte
	if _, err := f.ReadAt(tail[:], size-8); err != nil {
		return 0, err
	}
	if string(tail[4:]) != "PAR1" {
		return 0, fmt.Errorf("no Parquet file, or one that was cut off: it does not end in PAR1")
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:4])); n > size-12 || n > maxFooterBytes {
		return 0, fmt.Errorf("damaged Parquet file: metadata of %d bytes in a file of %d", n, size)
	} else if err := walkThrift(io.NewSectionReader(f, size-8-n, n)); err != nil {
		return 0, fmt.Errorf("damaged Parquet file: metadata: %w", err)
	}
	return size, nil
}

// walkThrift checks a struct at the beginning of a file's section.
func walkThrift(r *io.SectionReader) error {
	w := thriftWalk{in: bufio.NewReader(r), left: r.Size()}
	return w.fields(0)
}
