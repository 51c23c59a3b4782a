package table

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// checkGroup walks over all pages of a row group, from where the library does to the end of each column chunk, and refuses
// sizes that are out of the file or out of proportion, and pages that become bigger than they say, before the library
// allocates what they ask for.
func checkGroup(f io.ReaderAt, size int64, group *format.RowGroup) error {
	w := pageWalk{file: f, size: size}
	defer w.inflater.close()
	for c := range group.Columns {
		chunk := &group.Columns[c].MetaData
		if err := w.chunk(chunk); err != nil {
			return fmt.Errorf("damaged Parquet file: column %s: %w", strings.Join(chunk.PathInSchema, "."), err)
		}
	}
	return nil
}

// pageWalk holds the buffers of the walk.
type pageWalk struct {
	file     io.ReaderAt
	size     int64
	inflater inflater
	section  bufio.Reader
	packed   []byte
}

func (w *pageWalk) chunk(chunk *format.ColumnMetaData) error {
	start, length := chunk.DataPageOffset, chunk.TotalCompressedSize
	if d := chunk.DictionaryPageOffset; d != 0 {
		start = d
	}
	if start < 4 || length < 0 || start > w.size || length > w.size-start {
		return fmt.Errorf("%d bytes at offset %d of a file of %d", length, start, w.size)
	}
	end := start + length
	for at := start; at < end; {
		header, body, err := w.header(at, end)
		if err != nil {
			return fmt.Errorf("page header at offset %d: %w", at, err)
		}
		if err = checkSizes(header, end-body); err == nil {
			err = w.inflate(chunk.Codec, header, body)
		}
		if err != nil {
			return fmt.Errorf("page at offset %d: %w", at, err)
		}
		at = body + int64(header.CompressedPageSize)
	}
	return nil
}

// header reads a page header and returns where the page's body begins.
func (w *pageWalk) header(at, end int64) (*format.PageHeader, int64, error) {
	w.section.Reset(io.NewSectionReader(w.file, at, end-at))
	walk := thriftWalk{in: &w.section, left: end - at}
	if err := walk.fields(0); err != nil {
		return nil, 0, err
	}
	size := end - at - walk.left
	w.section.Reset(io.NewSectionReader(w.file, at, size))
	header, protocol := new(format.PageHeader), new(thrift.CompactProtocol)
	if err := thrift.NewDecoder(protocol.NewReader(&w.section)).Decode(header); err != nil {
		return nil, 0, err
	}
	return header, at + size, nil
}

// checkSizes checks what a page says of itself. left is what remains of the column chunk.
func checkSizes(h *format.PageHeader, left int64) error {
	packed, unpacked := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
	if packed < 0 || packed > left {
		return fmt.Errorf("%d bytes where %d are left", packed, left)
	}
	if unpacked < 0 || unpacked > maxPageBytes {
		return fmt.Errorf("%d bytes uncompressed, more than %d", unpacked, maxPageBytes)
	}
	values := int64(0)
	switch h.Type {
	case format.DataPage:
		values = int64(h.DataPageHeader.V.NumValues)
	case format.DataPageV2:
		values = int64(h.DataPageHeaderV2.V.NumValues)
	case format.DictionaryPage:
		if n := h.DictionaryPageHeader.V.NumValues; n < 0 || n > maxPageValues {
			return fmt.Errorf("a dictionary of %d values", n)
		}
	}
	if values < 0 || values > maxPageValues {
		return fmt.Errorf("%d values, more than %d", values, maxPageValues)
	}
	return nil
}

// inflate checks what the compressed part of a page becomes. The levels of a page of version 2 are not compressed.
func (w *pageWalk) inflate(codec format.CompressionCodec, h *format.PageHeader, body int64) error {
	packed, unpacked := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
	if h.Type == format.DataPageV2 {
		v2 := h.DataPageHeaderV2.V
		levels := int64(v2.RepetitionLevelsByteLength) + int64(v2.DefinitionLevelsByteLength)
		if v2.RepetitionLevelsByteLength < 0 || v2.DefinitionLevelsByteLength < 0 || levels > packed || levels > unpacked {
			return fmt.Errorf("levels of %d bytes in %d", levels, packed)
		}
		if v2.IsCompressed.Valid && !v2.IsCompressed.V {
			return nil
		}
		body, packed, unpacked = body+levels, packed-levels, unpacked-levels
	}
	if codec == format.Uncompressed || packed == 0 {
		return nil
	}
	if int64(cap(w.packed)) < packed {
		w.packed = make([]byte, packed)
	}
	w.packed = w.packed[:packed]
	if _, err := w.file.ReadAt(w.packed, body); err != nil {
		return err
	}
	return w.inflater.check(codec, w.packed, unpacked)
}
