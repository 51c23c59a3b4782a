package picture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Tags of TIFF 6.0 and those of their values that matter here.
const (
	tagPhotometric   = 262
	photometricRGB   = 2
	photometricCMYK  = 5
	tagSamples       = 277 // of a pixel
	tagPlanes        = 284
	planesSeparate   = 2
	tagExtra         = 338
	extraUnspecified = 0
	extraAlpha       = 2 // not multiplied into the colours
	tagTileWidth     = 322
	tagTileLength    = 323
)

// directory is the first image file directory of a TIFF file.
type directory struct {
	order   binary.ByteOrder
	entries []entry
}

// entry is a tag, a type, a count, and the values where they have room.
type entry [12]byte

const (
	shortType = 3
	longType  = 4
)

func openDirectory(data []byte) (directory, error) {
	const header = 8
	if len(data) < header {
		return directory{}, io.ErrUnexpectedEOF
	}
	d := directory{order: binary.BigEndian}
	if data[0] == 'I' {
		d.order = binary.LittleEndian
	}
	at := int64(d.order.Uint32(data[4:]))
	if at+2 > int64(len(data)) {
		return directory{}, io.ErrUnexpectedEOF
	}
	count, rest := int(d.order.Uint16(data[at:])), data[at+2:]
	if count*len(entry{}) > len(rest) {
		return directory{}, io.ErrUnexpectedEOF
	}
	for i := range count {
		d.entries = append(d.entries, entry(rest[i*len(entry{}):]))
	}
	if !slices.IsSortedFunc(d.entries, d.compare) {
		return directory{}, errors.New("the tags are not in order")
	}
	return d, d.check()
}

// check wants the values that are asked for in the entries themselves, where those of more values than have room point
// elsewhere.
func (d directory) check() error {
	for _, e := range d.entries {
		switch tag, values := d.tag(e), d.order.Uint32(e[4:]); tag {
		case tagPhotometric, tagSamples, tagPlanes, tagTileWidth, tagTileLength:
			if values != 1 {
				return fmt.Errorf("tag %d has %d values where 1 belongs", tag, values)
			}
		}
	}
	return nil
}

func (d directory) compare(a, b entry) int { return int(d.tag(a)) - int(d.tag(b)) }

func (d directory) tag(e entry) uint16 { return d.order.Uint16(e[:]) }

// value is the value of a tag with a short or long number; 0 without one.
func (d directory) value(tag uint16) uint32 {
	for _, e := range d.entries {
		switch kind := d.order.Uint16(e[2:]); {
		case d.tag(e) == tag && kind == shortType:
			return uint32(d.order.Uint16(e[8:]))
		case d.tag(e) == tag && kind == longType:
			return d.order.Uint32(e[8:])
		}
	}
	return 0
}

// set gives a tag one short value.
func (d *directory) set(tag, value uint16) {
	var e entry
	d.order.PutUint16(e[:], tag)
	d.order.PutUint16(e[2:], shortType)
	d.order.PutUint32(e[4:], 1)
	d.order.PutUint16(e[8:], value)
	at, found := slices.BinarySearchFunc(d.entries, e, d.compare)
	if found {
		d.entries[at] = e
	} else {
		d.entries = slices.Insert(d.entries, at, e)
	}
}

// appendedTo is a copy of a file whose directory is this one, at its end.
func (d directory) appendedTo(data []byte) []byte {
	out := slices.Clone(data)
	d.order.PutUint32(out[4:], uint32(len(out)))
	count, none := make([]byte, 2), make([]byte, 4)
	d.order.PutUint16(count, uint16(len(d.entries)))
	out = append(out, count...)
	for _, e := range d.entries {
		out = append(out, e[:]...)
	}
	return append(out, none...)
}
