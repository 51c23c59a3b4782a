package table

import (
	"sync"

	parquetzstd "github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/klauspost/compress/zstd"
)

// codec is the library's zstd codec with one encoder for all tables. The library makes encoders anew after every garbage
// collection, each with a history of 8 MiB, though a page has 256 KiB.
type codec struct{ parquetzstd.Codec }

const windowBytes = 256 << 10

var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(windowBytes),
		zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
})

// Encode implements compress.Codec.
func (c *codec) Encode(dst, src []byte) ([]byte, error) {
	e, err := encoder()
	if err != nil {
		return nil, err
	}
	return e.EncodeAll(src, dst[:0]), nil
}
