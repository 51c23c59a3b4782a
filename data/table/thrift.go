package table

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What Thrift's metadata of a Parquet file may ask for. Real files nest seven deep.
const (
	maxThriftDepth = 32
	maxThriftCost  = 1 << 30 // bytes in memory, about
	structCost     = 512     // of a struct in a list, whose members the library makes all at once
	elementCost    = 16      // of other elements
)

// thriftWalk steps over a struct of Thrift's compact protocol. The library, which decodes it after that, makes lists and
// texts as long as they say they are: a file of a hundred bytes could ask for all memory there is.
type thriftWalk struct {
	in   *bufio.Reader
	left int64 // bytes that there can be
	cost int64
}

// The types of the protocol.
const (
	thriftStop = iota
	thriftTrue
	thriftFalse
	thriftByte
	thriftInt16
	thriftInt32
	thriftInt64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

// ReadByte implements io.ByteReader.
func (w *thriftWalk) ReadByte() (byte, error) {
	if w.left < 1 {
		return 0, io.ErrUnexpectedEOF
	}
	w.left--
	return w.in.ReadByte()
}

// fields steps over a struct's fields and their end.
func (w *thriftWalk) fields(depth int) error {
	for {
		head, err := w.ReadByte()
		if err != nil || head&15 == thriftStop {
			return err
		}
		if head>>4 == 0 { // the field's number follows
			if _, err := binary.ReadUvarint(w); err != nil {
				return err
			}
		}
		if kind := head & 15; kind != thriftTrue && kind != thriftFalse { // which say it all
			if err := w.value(kind, depth); err != nil {
				return err
			}
		}
	}
}

func (w *thriftWalk) value(kind byte, depth int) error {
	if depth > maxThriftDepth {
		return fmt.Errorf("values in values more than %d deep", maxThriftDepth)
	}
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return w.skip(1)
	case thriftInt16, thriftInt32, thriftInt64:
		_, err := binary.ReadUvarint(w)
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftBinary:
		n, err := w.size(1)
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftMap:
		return w.mapping(depth)
	case thriftStruct:
		return w.fields(depth + 1)
	}
	return fmt.Errorf("a value of type %d, which Thrift does not have", kind)
}

func (w *thriftWalk) list(depth int) error {
	head, err := w.ReadByte()
	if err != nil {
		return err
	}
	kind, n := head&15, int64(head>>4)
	each := int64(elementCost)
	if kind == thriftStruct {
		each = structCost
	}
	if n == 15 {
		n, err = w.size(each)
	} else {
		err = w.charge(n * each)
	}
	for ; n > 0 && err == nil; n-- {
		err = w.value(kind, depth+1)
	}
	return err
}

func (w *thriftWalk) mapping(depth int) error {
	n, err := w.size(structCost)
	if n == 0 || err != nil {
		return err
	}
	kinds, err := w.ReadByte()
	for ; n > 0 && err == nil; n-- {
		if err = w.value(kinds>>4, depth+1); err == nil {
			err = w.value(kinds&15, depth+1)
		}
	}
	return err
}

// size reads a number of things that take a byte of the file at least, and so many in memory.
func (w *thriftWalk) size(each int64) (int64, error) {
	n, err := binary.ReadUvarint(w)
	if err != nil {
		return 0, err
	}
	if n > uint64(w.left) {
		return 0, fmt.Errorf("a length of %d where %d bytes are left", n, w.left)
	}
	return int64(n), w.charge(int64(n) * each)
}

// charge counts what things will take in memory.
func (w *thriftWalk) charge(bytes int64) error {
	if w.cost += bytes; w.cost > maxThriftCost {
		return errors.New("metadata that take more than a gigabyte of memory")
	}
	return nil
}

func (w *thriftWalk) skip(n int64) error {
	if n > w.left {
		return io.ErrUnexpectedEOF
	}
	w.left -= n
	_, err := w.in.Discard(int(n))
	return err
}
