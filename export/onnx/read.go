package onnx

import (
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"mllm4rec/internal/fail"
	"mllm4rec/internal/onnxpb"
)

// maxStructure bounds what is read of a file, in bytes: all but the weights. A node of ours takes about 150.
const maxStructure = 16 << 20

// fieldCost is added for each field, also one that is passed over: empty ones could be endless. In bytes.
const fieldCost = 16

// nestedCost is added for each field inside of nodes, values and the like: an empty subgraph or node of two bytes takes 200
// when it is read. In bytes.
const nestedCost = 8

// maxNesting is how deep messages may lie in messages; a subgraph is three levels down.
const maxNesting = 200

// isTensorData are the fields of TensorProto that hold elements: float_data, int32_data, string_data, int64_data,
// raw_data, double_data, uint64_data.
var isTensorData = map[protowire.Number]bool{4: true, 5: true, 6: true, 7: true, 9: true, 10: true, 11: true}

// ReadStructure reads an ONNX file without its weights, wherever these are: it passes over them and opens no data file.
// The file may be a stranger's. One that is no ONNX model is a usage error.
func ReadStructure(path string) (*onnxpb.ModelProto, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fail.Usagef("%s: no such file", path)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r := &structureReader{in: f}
	model, err := r.model(span{0, stat.Size()})
	if err == nil && model.GetGraph() == nil {
		err = errors.New("it holds no graph")
	}
	if err != nil {
		return nil, fail.Usagef("%s: not a sound ONNX file: %w", path, err)
	}
	return model, nil
}

// span is bytes of the file.
type span struct{ at, end int64 }

func (s span) size() int64 { return s.end - s.at }

// structureReader walks protobuf messages in a file and keeps what is not a weight.
type structureReader struct {
	in   io.ReaderAt
	read int64
}

func (r *structureReader) model(s span) (*onnxpb.ModelProto, error) {
	var graph *onnxpb.GraphProto
	rest, err := r.split(s, func(field protowire.Number, value span) (bool, error) {
		if field != modelGraphField {
			return false, nil
		}
		if graph != nil {
			return true, errors.New("it holds two graphs")
		}
		var err error
		graph, err = r.graph(value)
		return true, err
	})
	if err != nil {
		return nil, err
	}
	model := &onnxpb.ModelProto{}
	if err := r.unmarshal(rest, model); err != nil {
		return nil, err
	}
	model.Graph = graph
	return model, nil
}

// unmarshal counts a message before it reads it.
func (r *structureReader) unmarshal(message []byte, to proto.Message) error {
	if err := r.charge(message, to.ProtoReflect().Descriptor(), maxNesting); err != nil {
		return err
	}
	return proto.Unmarshal(message, to)
}

func (r *structureReader) graph(s span) (*onnxpb.GraphProto, error) {
	var initializers []*onnxpb.TensorProto
	rest, err := r.split(s, func(field protowire.Number, value span) (bool, error) {
		if field != graphInitializerField {
			return false, nil
		}
		tensor, err := r.tensor(value)
		initializers = append(initializers, tensor)
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	graph := &onnxpb.GraphProto{}
	if err := r.unmarshal(rest, graph); err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	graph.Initializer = initializers
	return graph, nil
}

func (r *structureReader) tensor(s span) (*onnxpb.TensorProto, error) {
	rest, err := r.split(s, func(field protowire.Number, _ span) (bool, error) { return isTensorData[field], nil })
	if err != nil {
		return nil, fmt.Errorf("initializer: %w", err)
	}
	tensor := &onnxpb.TensorProto{}
	return tensor, r.unmarshal(rest, tensor)
}

// split walks the fields of a message: those that take accepts are done with, the bytes of all others come back.
func (r *structureReader) split(s span, take func(protowire.Number, span) (bool, error)) ([]byte, error) {
	var rest []byte
	for s.at < s.end {
		field, value, next, err := r.field(s)
		if err != nil {
			return nil, err
		}
		taken := false
		if value.at >= 0 {
			if taken, err = take(field, value); err != nil {
				return nil, err
			}
		}
		if !taken {
			if rest, err = r.append(rest, span{s.at, next}); err != nil {
				return nil, err
			}
		}
		s.at = next
	}
	return rest, nil
}

// field reads the head of the field at the beginning of s: its number, its value where that is a run of bytes (else at
// −1), and where the next field begins.
func (r *structureReader) field(s span) (field protowire.Number, value span, next int64, err error) {
	head := make([]byte, min(s.size(), 2*10))
	if _, err := r.in.ReadAt(head, s.at); err != nil {
		return 0, span{}, 0, err
	}
	if r.read += fieldCost; r.read > maxStructure {
		return 0, span{}, 0, errStructure
	}
	field, kind, n := protowire.ConsumeTag(head)
	if n < 0 {
		return 0, span{}, 0, fmt.Errorf("at byte %d: %w", s.at, protowire.ParseError(n))
	}
	if kind != protowire.BytesType {
		m := protowire.ConsumeFieldValue(field, kind, head[n:])
		if m < 0 {
			return 0, span{}, 0, fmt.Errorf("at byte %d: %w", s.at, protowire.ParseError(m))
		}
		return field, span{-1, -1}, s.at + int64(n+m), nil
	}
	size, m := protowire.ConsumeVarint(head[n:])
	if m < 0 {
		return 0, span{}, 0, fmt.Errorf("at byte %d: %w", s.at, protowire.ParseError(m))
	}
	at := s.at + int64(n+m)
	if size > uint64(s.end-at) {
		return 0, span{}, 0, fmt.Errorf("at byte %d: a field of %d bytes where %d are left", s.at, size, s.end-at)
	}
	return field, span{at, at + int64(size)}, at + int64(size), nil
}

// charge counts the fields of a message and of those in it before they take memory.
func (r *structureReader) charge(message []byte, kind protoreflect.MessageDescriptor, levels int) error {
	if levels == 0 {
		return fmt.Errorf("it has messages in messages more than %d deep", maxNesting)
	}
	for len(message) > 0 {
		if r.read += nestedCost; r.read > maxStructure {
			return errStructure
		}
		number, wire, n := protowire.ConsumeTag(message)
		size := protowire.ConsumeFieldValue(number, wire, message[max(n, 0):])
		if n < 0 || size < 0 {
			return protowire.ParseError(min(n, size))
		}
		if field := kind.Fields().ByNumber(number); wire == protowire.BytesType && field != nil && field.Message() != nil {
			inner, _ := protowire.ConsumeBytes(message[n:])
			if err := r.charge(inner, field.Message(), levels-1); err != nil {
				return err
			}
		}
		message = message[n+size:]
	}
	return nil
}

var errStructure = fmt.Errorf("it has more than %d MiB beside its weights", maxStructure>>20)

func (r *structureReader) append(to []byte, s span) ([]byte, error) {
	if r.read += s.size(); r.read > maxStructure {
		return nil, errStructure
	}
	at := len(to)
	to = append(to, make([]byte, s.size())...)
	_, err := r.in.ReadAt(to[at:], s.at)
	return to, err
}
