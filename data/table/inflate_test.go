package table

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

var codecs = map[string]compress.Codec{
	"snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "brotli": &parquet.Brotli, "zstd": &parquet.Zstd, "lz4": &parquet.Lz4Raw, "our zstd": &codec{},
}

func TestPagesThatBecomeBiggerThanTheySayAreRefused(t *testing.T) {
	t.Parallel()
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := bytes.Repeat([]byte("abcdefgh"), 1<<20)
			packed, err := codec.Encode(nil, text)
			if err != nil {
				t.Fatal(err)
			}
			var f inflater
			defer f.close()
			code := codec.CompressionCodec()
			if err := f.check(code, packed, int64(len(text))); err != nil {
				t.Errorf("right size: %v", err)
			}
			for _, size := range []int{len(text) - 1, 1000, 0} {
				if err := f.check(code, packed, int64(size)); err == nil {
					t.Errorf("%d bytes pass for %d", len(text), size)
				}
			}
			if name == "snappy" {
				return // only its stated size is looked at: the library allocates no more
			}
			noise := make([]byte, 1000)
			r := rand.New(rand.NewPCG(1, 1))
			for range 1000 {
				for i := range noise {
					noise[i] = byte(r.Uint32())
				}
				_ = f.check(code, noise, 1<<20) // ends, and does not panic
			}
		})
	}
}
