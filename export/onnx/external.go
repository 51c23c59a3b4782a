package onnx

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/proto"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/onnxpb"
)

const (
	// dataSuffix makes the name of the data file from the model's.
	dataSuffix = ".data"
	// alignment of each weight in the data file, in bytes: a memory page, so that runtimes can map it.
	alignment = 4096
	// smallest weight that leaves the model, in bytes. Runtimes read shapes and other constants while they optimise.
	smallestExternal = 4096
)

// writeExternal stores the large weights in the data file of the model at path and notes where.
func writeExternal(ctx context.Context, path string, tensors []*tensorMessage) error {
	return atomicfile.Write(path+dataSuffix, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 1<<20)
		location := filepath.Base(path) + dataSuffix
		var at int64
		for _, t := range tensors {
			if t.bytes < smallestExternal {
				continue
			}
			padding := -at & (alignment - 1)
			if _, err := buffered.Write(make([]byte, padding)); err != nil {
				return err
			}
			at += padding
			t.inline, t.offset, t.location = false, at, location
			if err := t.copyTo(ctx, buffered); err != nil {
				return err
			}
			at += t.bytes
		}
		if err := buffered.Flush(); err != nil {
			return err
		}
		return removeOld(path) // it must not meet the new data
	})
}

// removeOld removes a file that may be there.
func removeOld(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// refer makes a tensor's header point into the data file.
func (t *tensorMessage) refer(header *onnxpb.TensorProto) {
	header.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
	for _, entry := range [][2]string{
		{"location", t.location},
		{"offset", strconv.FormatInt(t.offset, 10)},
		{"length", strconv.FormatInt(t.bytes, 10)},
	} {
		header.ExternalData = append(header.ExternalData, &onnxpb.StringStringEntryProto{
			Key: proto.String(entry[0]), Value: proto.String(entry[1]),
		})
	}
}
