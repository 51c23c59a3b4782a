package table

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
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
	}
	return size, nil
}

// checkPages walks the headers of all pages and refuses sizes that are out of the file or out of proportion, before the
// library allocates what they ask for.
func checkPages(f io.ReaderAt, size int64, meta *format.FileMetaData) error {
	for g := range meta.RowGroups {
		for c := range meta.RowGroups[g].Columns {
			chunk := &meta.RowGroups[g].Columns[c].MetaData
			if err := checkChunk(f, size, chunk); err != nil {
				return fmt.Errorf("damaged Parquet file: row group %d, column %s: %w", g+1, strings.Join(chunk.PathInSchema, "."), err)
			}
		}
	}
	return nil
}

func checkChunk(f io.ReaderAt, size int64, chunk *format.ColumnMetaData) error {
	start, length := chunk.DataPageOffset, chunk.TotalCompressedSize
	if d := chunk.DictionaryPageOffset; d > 0 && d < start {
		start = d
	}
	if start < 4 || length < 0 || start > size || length > size-start {
		return fmt.Errorf("%d bytes at offset %d of a file of %d", length, start, size)
	}
	end, values := start+length, int64(0)
	section := bufio.NewReaderSize(nil, 4096)
	protocol := new(thrift.CompactProtocol)
	for at := start; at < end && values < chunk.NumValues; {
		counted := &countingReader{r: io.NewSectionReader(f, at, end-at)}
		section.Reset(counted)
		header := new(format.PageHeader)
		if err := thrift.NewDecoder(protocol.NewReader(section)).Decode(header); err != nil {
			return fmt.Errorf("page header at offset %d: %w", at, err)
		}
		at += counted.n - int64(section.Buffered())
		n, err := checkPage(header, end-at)
		if err != nil {
			return fmt.Errorf("page at offset %d: %w", at, err)
		}
		values += n
		at += int64(header.CompressedPageSize)
	}
	return nil
}

// checkPage returns the number of values in a data page, 0 for other pages. left is what remains of the column chunk.
func checkPage(h *format.PageHeader, left int64) (values int64, err error) {
	packed, unpacked := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
	if packed < 0 || packed > left {
		return 0, fmt.Errorf("%d bytes where %d are left", packed, left)
	}
	if unpacked < 0 || unpacked > maxPageBytes {
		return 0, fmt.Errorf("%d bytes uncompressed, more than %d", unpacked, maxPageBytes)
	}
	switch h.Type {
	case format.DataPage:
		values = int64(h.DataPageHeader.V.NumValues)
	case format.DataPageV2:
		values = int64(h.DataPageHeaderV2.V.NumValues)
	case format.DictionaryPage:
		if n := h.DictionaryPageHeader.V.NumValues; n < 0 || n > maxPageValues {
			return 0, fmt.Errorf("a dictionary of %d values", n)
		}
		return 0, nil
	}
	if values < 0 || values > maxPageValues {
		return 0, fmt.Errorf("%d values, more than %d", values, maxPageValues)
	}
	return values, nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
