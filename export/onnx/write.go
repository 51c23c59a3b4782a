package onnx

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"mllm4rec/internal/atomicfile"
	"mllm4rec/internal/fail"
)

// Field numbers of onnx.proto that are written by hand, because what they hold is streamed.
const (
	modelGraphField       = 7
	graphInitializerField = 5
	tensorRawDataField    = 9
)

// ExternalAbove is the size of all weights, in bytes, above which they go into a file of their own: a protobuf message
// must stay below 2 GiB.
const ExternalAbove = 1 << 30

// Write stores the model at path, whole or not at all; memory stays small whatever the weights' size. Above
// ExternalAbove the weights go to path + ".data", and the two belong together. ctx ends the writing early.
func (m *Model) Write(ctx context.Context, path string) error {
	return m.write(ctx, path, ExternalAbove)
}

func (m *Model) write(ctx context.Context, path string, externalAbove int64) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fail.Usagef("%s is no file that can be written anew; name a file", path)
	}
	external := m.WeightBytes() > externalAbove
	tensors := make([]*tensorMessage, len(m.initializers))
	for i, w := range m.initializers {
		tensors[i] = &tensorMessage{initializer: w, inline: true}
	}
	if external {
		if err := writeExternal(ctx, path, tensors); err != nil {
			return err
		}
	}
	err := atomicfile.Write(path, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 1<<20)
		if err := m.encode(ctx, buffered, tensors); err != nil {
			return err
		}
		return buffered.Flush()
	})
	if err == nil && !external {
		// An earlier, larger model may have left its data.
		err = removeOld(path + dataSuffix)
	}
	return err
}

// tensorMessage is an initializer on its way into the file.
type tensorMessage struct {
	*initializer
	inline   bool  // raw_data follows; otherwise offset says where in the data file
	offset   int64 // bytes, in the data file named location
	location string
}

// encode writes a ModelProto: everything but the initializers as protobuf does, and each initializer's bytes straight
// from where they come.
func (m *Model) encode(ctx context.Context, w io.Writer, tensors []*tensorMessage) error {
	graph, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.proto.Graph)
	if err != nil {
		return err
	}
	heads := make([][]byte, len(tensors))
	size := int64(len(graph))
	for i, t := range tensors {
		var head []byte
		if head, err = t.head(); err != nil {
			return err
		}
		heads[i] = head
		size += int64(len(head))
		if t.inline {
			size += t.bytes
		}
	}
	rest := proto.CloneOf(m.proto)
	rest.Graph = nil
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(rest)
	if err != nil {
		return err
	}
	out = protowire.AppendTag(out, modelGraphField, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(size))
	if _, err := w.Write(append(out, graph...)); err != nil {
		return err
	}
	for i, t := range tensors {
		if _, err := w.Write(heads[i]); err != nil {
			return err
		}
		if t.inline {
			if err := t.copyTo(ctx, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// head is a GraphProto.initializer field up to its raw data.
func (t *tensorMessage) head() ([]byte, error) {
	header := t.header()
	if !t.inline {
		t.refer(header)
	}
	message, err := proto.MarshalOptions{Deterministic: true}.Marshal(header)
	if err != nil {
		return nil, err
	}
	size := uint64(len(message))
	if t.inline {
		message = protowire.AppendTag(message, tensorRawDataField, protowire.BytesType)
		message = protowire.AppendVarint(message, uint64(t.bytes))
		size = uint64(len(message)) + uint64(t.bytes)
	}
	head := protowire.AppendTag(nil, graphInitializerField, protowire.BytesType)
	return append(protowire.AppendVarint(head, size), message...), nil
}

// copyTo writes the initializer's bytes, exactly as many as its shape needs.
func (i *initializer) copyTo(ctx context.Context, w io.Writer) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("weight %s: %w", i.name, err)
		}
	}()
	r, err := i.open()
	if err != nil {
		return err
	}
	if c, ok := r.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	n, err := io.Copy(w, io.LimitReader(contextReader{ctx, r}, i.bytes))
	if err == nil && n < i.bytes {
		err = fmt.Errorf("%d bytes came where %v needs %d", n, i.dims, i.bytes)
	}
	if err != nil {
		return err
	}
	if n, _ := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return fmt.Errorf("more bytes came than the %d that %v needs", i.bytes, i.dims)
	}
	return nil
}

// contextReader stops reading when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
