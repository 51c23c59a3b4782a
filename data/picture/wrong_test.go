package picture_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mllm4rec/data/picture"
)

// pngOf is a PNG file's first bytes.
func pngOf(width, height uint32) []byte {
	head := append([]byte("IHDR"), be32(width, height)...)
	head = append(head, 8, 2, 0, 0, 0)
	return slicesOf("\x89PNG\r\n\x1a\n", be32(13), head, be32(crc32.ChecksumIEEE(head)))
}

func jpegOf(width, height uint16) []byte {
	return slicesOf("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xc2\x00\x11\x08",
		be16(height, width), "\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01")
}

func gifOf(width, height uint16) []byte {
	return slicesOf("GIF89a", le16(width, height), "\x80\x00\x00\x00\x00\x00\xff\xff\xff,", le16(0, 0, width, height), "\x00\x02\x02\x44\x01\x00;")
}

func bmpOf(width, height uint32) []byte {
	return slicesOf("BM", le32(1000, 0, 54, 40, width, height), le16(1, 24), le32(0, 0, 0, 0, 0, 0))
}

func tiffOf(width, height uint32) []byte {
	return slicesOf("II\x2a\x00", le32(8), le16(4), le16(256, 4), le32(1, width), le16(257, 4), le32(1, height),
		le16(258, 3), le32(1, 8), le16(262, 3), le32(1, 1), le32(0))
}

// webpOf is an extended WebP with a lossy picture of another size in it.
func webpOf(width, height uint32, innerWidth, innerHeight uint16) []byte {
	inner := slicesOf("\x10\x00\x00\x9d\x01\x2a", le16(innerWidth, innerHeight), make([]byte, 20))
	return slicesOf("RIFF", le32(100), "WEBPVP8X", le32(10), le32(0), le32(width - 1)[:3], le32(height - 1)[:3],
		"VP8 ", le32(uint32(len(inner))), inner)
}

func slicesOf(parts ...any) (all []byte) {
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			all = append(all, part...)
		case []byte:
			all = append(all, part...)
		}
	}
	return all
}

func le16(values ...uint16) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

func le32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func be16(values ...uint16) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func be32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// TestBombsAreRefusedByTheirSizeWithoutMemory does not run beside other tests: it counts bytes.
func TestBombsAreRefusedByTheirSizeWithoutMemory(t *testing.T) {
	for name, data := range map[string][]byte{
		"JPEG": jpegOf(50000, 50000), "PNG": pngOf(50000, 50000), "GIF": gifOf(50000, 50000), "BMP": bmpOf(50000, 50000),
		"TIFF": tiffOf(50000, 50000), "WebP": webpOf(50000, 50000, 8, 8),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := picture.Decode(data)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), "50000 × 50000 pixels is too large") {
			t.Errorf("%s: %v", name, err)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 1<<20 {
			t.Errorf("%s: took %d bytes to refuse it", name, taken)
		}
	}
}

func TestWrongFilesAreRefusedInALine(t *testing.T) {
	t.Parallel()
	manyScans := slicesOf(jpegOf(16, 16), bytes.Repeat([]byte("\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"), 501))
	planes := slicesOf("MM\x00\x2a", be32(8), be16(2), be16(277, 3), be32(1), be16(3, 0), be16(284, 3), be32(1), be16(2, 0), be32(0))
	tiles := slicesOf("II\x2a\x00", le32(8), le16(6), le16(256, 4), le32(1, 1), le16(257, 4), le32(1, 50_000_000),
		le16(258, 3), le32(1, 8), le16(262, 3), le32(1, 1), le16(322, 4), le32(1, 1024), le16(323, 4), le32(1, 1024), le32(0))
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":                    {nil, "the file is empty"},
		"a page":                   {[]byte("<!DOCTYPE html><html>"), `no JPEG, PNG, GIF, WebP, BMP or TIFF file: it begins with "<!DOCTYPE html><"`},
		"AVIF":                     {[]byte("\x00\x00\x00\x1cftypavif"), "no JPEG"},
		"too many bytes":           {make([]byte, picture.MaxBytes+1), "the file has 64 MiB; at most 64 MiB are read"},
		"JPEG, mark only":          {[]byte("\xff\xd8\xff"), "JPEG: the file is cut short"},
		"JPEG, no pixels":          {jpegOf(16, 16), "JPEG: the file is cut short"},
		"JPEG of many scans":       {manyScans, "JPEG: it has 501 scans; at most 500 are decoded"},
		"JPEG of no height":        {slicesOf(jpegOf(16, 0), "\xff\xd9"), "JPEG: a picture of 16 × 0 pixels is empty"},
		"PNG, mark only":           {[]byte("\x89PNG\r\n\x1a\n"), "PNG: the file is cut short"},
		"PNG, no pixels":           {pngOf(4, 4), "PNG: the file is cut short"},
		"PNG, one row":             {pngOf(picture.MaxSide+1, 1), "PNG: a picture of 65536 × 1 pixels is too long; at most 65,535 pixels a side are decoded"},
		"TIFF, one column":         {tiffOf(1, picture.MaxSide+1), "TIFF: a picture of 1 × 65536 pixels is too long"},
		"PNG, damaged":             {slicesOf(pngOf(4, 4)[:29], "no checksum"), "PNG: invalid format: invalid checksum"},
		"GIF of no height":         {gifOf(4, 0), "GIF: a picture of 4 × 0 pixels is empty"},
		"GIF, few pixels":          {gifOf(40, 40), "GIF: not enough image data"},
		"BMP, no pixels":           {bmpOf(4, 4), "BMP: the file is cut short"},
		"TIFF, mark only":          {[]byte("II\x2a\x00"), "TIFF: the file is cut short"},
		"TIFF, no pixels":          {tiffOf(4, 4), "TIFF: "},
		"TIFF of large tiles":      {tiles, "TIFF: a picture of 1024 × 50000896 pixels is too large"},
		"TIFF of separate colours": {planes, "TIFF: colours in planes of their own are not read"},
		"WebP, mark only":          {[]byte("RIFF\x00\x00\x00\x00WEBP"), "WebP: the file is cut short"},
		"WebP, larger inside":      {webpOf(8, 8, 16000, 16000), "WebP: a frame of 16000 × 16000 pixels does not fit its place"},
		"WebP, no pixels":          {webpOf(8, 8, 8, 8), "WebP: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := picture.Decode(test.data)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

// TestHalfAFileIsAnError: where the second half is missing, pixels are. Not so in animations, whose first half is a picture.
func TestHalfAFileIsAnError(t *testing.T) {
	t.Parallel()
	for _, path := range pillowFiles(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		if strings.Contains(name, "animated") {
			continue
		}
		if _, err := picture.Decode(data[:len(data)/2]); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDamagedFilesDoNotPanic flips bytes of every kind of file; FuzzDecode goes on from here.
func TestDamagedFilesDoNotPanic(t *testing.T) {
	t.Parallel()
	for _, path := range pillowFiles(t) {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 3; at < min(len(whole), 400); at += 5 {
			data := bytes.Clone(whole)
			data[at] ^= byte(0x55 + at)
			p, err := picture.DecodeWithin(data, 1<<16)
			if err == nil && len(p.Pix) != 3*p.Width*p.Height {
				t.Errorf("%s: byte %d: %d bytes for %d × %d", path, at, len(p.Pix), p.Width, p.Height)
			}
			if err != nil && strings.Contains(err.Error(), "runtime error") {
				t.Errorf("%s: byte %d: %v", path, at, err)
			}
		}
	}
}
