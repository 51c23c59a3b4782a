package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// fileVersion is what the first event of every file says; TensorBoard reads nothing else.
const fileVersion = "brain.Event:2"

// Field numbers of tensorflow.Event, tensorflow.Summary, tensorflow.Summary.Value and tensorflow.SessionLog.
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventSummary     = 5
	eventSessionLog  = 7

	summaryValue       = 1
	valueTag           = 1
	valueSimpleValue   = 2
	sessionLogStatus   = 1
	sessionStatusStart = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is TFRecord's checksum: CRC32C, rotated and shifted so that a checksum of data that holds checksums stays
// a good one.
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// appendRecord frames data as a TFRecord: length uint64, its checksum, data, its checksum; all little endian.
func appendRecord(b, data []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b[start:]))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(data))
}

// eventHeader starts a tensorflow.Event with its wall time in seconds and its step.
func eventHeader(step int64, wall time.Time) []byte {
	seconds := float64(wall.UnixNano()) / 1e9
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(seconds))
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

func fileVersionEvent(wall time.Time) []byte {
	b := protowire.AppendTag(eventHeader(0, wall), eventFileVersion, protowire.BytesType)
	return protowire.AppendString(b, fileVersion)
}

func scalarEvent(tag string, step int64, value float64, wall time.Time) []byte {
	v := protowire.AppendTag(nil, valueTag, protowire.BytesType)
	v = protowire.AppendString(v, tag)
	v = protowire.AppendTag(v, valueSimpleValue, protowire.Fixed32Type)
	v = protowire.AppendFixed32(v, math.Float32bits(float32(value)))

	summary := protowire.AppendTag(nil, summaryValue, protowire.BytesType)
	summary = protowire.AppendBytes(summary, v)

	b := protowire.AppendTag(eventHeader(step, wall), eventSummary, protowire.BytesType)
	return protowire.AppendBytes(b, summary)
}

// restartEvent makes TensorBoard drop step and above.
func restartEvent(step int64, wall time.Time) []byte {
	start := protowire.AppendTag(nil, sessionLogStatus, protowire.VarintType)
	start = protowire.AppendVarint(start, sessionStatusStart)

	b := protowire.AppendTag(eventHeader(step, wall), eventSessionLog, protowire.BytesType)
	return protowire.AppendBytes(b, start)
}
