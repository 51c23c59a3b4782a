package table

import (
	"bytes"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// inflater makes sure that compressed pages become no bigger than they say. The library believes the data instead: a
// page of 1 MB may become gigabytes, and a damaged LZ4 page makes it double its buffer until memory ends.
type inflater struct {
	zstd   *zstd.Decoder
	buffer []byte
}

// check inflates packed, without keeping what comes out, and fails when it is broken or becomes more than size bytes.
func (f *inflater) check(codec format.CompressionCodec, packed []byte, size int64) error {
	switch codec {
	case format.Uncompressed:
		return nil
	case format.Snappy:
		n, err := snappy.DecodedLen(packed)
		if err == nil && int64(n) > size {
			err = errBigger(size)
		}
		return err
	case format.Lz4Raw:
		if int64(len(f.buffer)) < size {
			f.buffer = make([]byte, size)
		}
		_, err := lz4.UncompressBlock(packed, f.buffer[:size])
		return err
	case format.Gzip:
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return err
		}
		return drain(r, size)
	case format.Brotli:
		return drain(brotli.NewReader(bytes.NewReader(packed)), size)
	case format.Zstd:
		return f.checkZstd(packed, size)
	}
	return fmt.Errorf("compression %s is not supported", codec)
}

func (f *inflater) checkZstd(packed []byte, size int64) (err error) {
	if f.zstd == nil {
		f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxPageBytes))
		if err != nil {
			return err
		}
	}
	if err := f.zstd.Reset(bytes.NewReader(packed)); err != nil {
		return err
	}
	return drain(f.zstd, size)
}

func (f *inflater) close() {
	if f.zstd != nil {
		f.zstd.Close()
	}
}

func drain(r io.Reader, size int64) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, size+1))
	if err == nil && n > size {
		err = errBigger(size)
	}
	return err
}

func errBigger(size int64) error {
	return fmt.Errorf("becomes more than the %d bytes that it says", size)
}
