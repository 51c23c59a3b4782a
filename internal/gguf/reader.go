package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// reader walks the front of a file and knows how much of it is left. The first failure of a fixed-size read stays in
// err, and what is read after it is zero.
type reader struct {
	from *bufio.Reader
	size int64
	left int64
	err  error
}

func newReader(from io.Reader, size int64) *reader {
	return &reader{from: bufio.NewReaderSize(from, 1<<16), size: size, left: size}
}

// at is how many bytes were read.
func (r *reader) at() int64 { return r.size - r.left }

// fits checks a count from the file against what is left of it, for things of at least so many bytes.
func (r *reader) fits(count uint64, each int64) error {
	if count > uint64(r.left/each) {
		return fmt.Errorf("they would take %d bytes each and more, the file has %d left: cut off or damaged", each, r.left)
	}
	return nil
}

// read fills b.
func (r *reader) read(b []byte) error {
	if r.err == nil && int64(len(b)) > r.left {
		r.err = errShort
	}
	if r.err == nil {
		r.left -= int64(len(b))
		_, r.err = io.ReadFull(r.from, b)
		if errors.Is(r.err, io.EOF) || errors.Is(r.err, io.ErrUnexpectedEOF) {
			r.err = errShort
		}
	}
	return r.err
}

func (r *reader) uint32() uint32 {
	var b [4]byte
	if r.read(b[:]) != nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b[:])
}

func (r *reader) uint64() uint64 {
	var b [8]byte
	if r.read(b[:]) != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b[:])
}

// text reads a string: its length in bytes, and the bytes, which may be anything.
func (r *reader) text() (string, error) {
	length := r.uint64()
	if r.err != nil {
		return "", r.err
	}
	if length > uint64(r.left) {
		return "", fmt.Errorf("a text of %d bytes, the file has %d left: cut off or damaged", length, r.left)
	}
	b := make([]byte, length)
	if err := r.read(b); err != nil {
		return "", err
	}
	return string(b), nil
}

// header reads what stands before the metadata.
func (r *reader) header() (version uint32, tensors, keys uint64, err error) {
	var magic [4]byte
	if r.read(magic[:]) != nil || string(magic[:]) != Magic {
		return 0, 0, 0, fmt.Errorf("it does not begin with %q", Magic)
	}
	version = r.uint32()
	tensors, keys = r.uint64(), r.uint64()
	switch {
	case r.err != nil:
		return 0, 0, 0, r.err
	case version&0xffff == 0:
		return 0, 0, 0, errors.New("it is big-endian; only little-endian files are read")
	case version != 2 && version != 3:
		return 0, 0, 0, fmt.Errorf("its version is %d; 2 and 3 are read", version)
	case tensors > math.MaxInt32 || keys > math.MaxInt32:
		return 0, 0, 0, fmt.Errorf("it claims %d tensors and %d metadata keys: damaged", tensors, keys)
	}
	return version, tensors, keys, nil
}
