package tensorboard

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// event is what the test reader understands of a tensorflow.Event.
type event struct {
	wall    float64
	step    int64
	version string
	tag     string
	value   float32
	restart bool
}

// readEvents reads whole records from data, checking both checksums, and returns the bytes of a torn last one.
func readEvents(t *testing.T, data []byte) (events []event, torn int) {
	t.Helper()
	for len(data) > 0 {
		if len(data) < 12 {
			return events, len(data)
		}
		length := binary.LittleEndian.Uint64(data)
		if got := binary.LittleEndian.Uint32(data[8:]); got != maskedCRC(data[:8]) {
			t.Fatalf("checksum of length %d: %08x", length, got)
		}
		if uint64(len(data)) < 16+length {
			return events, len(data)
		}
		body := data[12 : 12+length]
		if got := binary.LittleEndian.Uint32(data[12+length:]); got != maskedCRC(body) {
			t.Fatalf("checksum of event %d: %08x", len(events), got)
		}
		events = append(events, parseEvent(t, body))
		data = data[16+length:]
	}
	return events, 0
}

func parseEvent(t *testing.T, body []byte) event {
	t.Helper()
	var e event
	eachField(t, body, func(num protowire.Number, bits uint64, data []byte) {
		switch num {
		case eventWallTime:
			e.wall = math.Float64frombits(bits)
		case eventStep:
			e.step = int64(bits)
		case eventFileVersion:
			e.version = string(data)
		case eventSessionLog:
			e.restart = true
		case eventSummary:
			eachField(t, data, func(_ protowire.Number, _ uint64, value []byte) {
				eachField(t, value, func(num protowire.Number, bits uint64, data []byte) {
					switch num {
					case valueTag:
						e.tag = string(data)
					case valueSimpleValue:
						e.value = math.Float32frombits(uint32(bits))
					}
				})
			})
		}
	})
	return e
}

func eachField(t *testing.T, b []byte, visit func(num protowire.Number, bits uint64, data []byte)) {
	t.Helper()
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		b = b[n:]
		var bits uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			bits, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			bits, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			bits = uint64(v)
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(b)
		}
		if n < 0 {
			t.Fatalf("field %d: %v", num, protowire.ParseError(n))
		}
		b = b[n:]
		visit(num, bits, data)
	}
}

func create(t *testing.T, dir string) *Writer {
	t.Helper()
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func scalar(t *testing.T, w *Writer, tag string, step int64, value float64) {
	t.Helper()
	if err := w.Scalar(tag, step, value, time.Unix(1_700_000_000, 500_000_000)); err != nil {
		t.Fatal(err)
	}
}

func eventFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestChecksumOfTheStandardVector(t *testing.T) {
	t.Parallel()
	// CRC32C("123456789") is e3069283 (RFC 3720); the mask rotates it right by 15 and adds a282ead8.
	want := uint32(0xc78ab0e5)
	if got := maskedCRC([]byte("123456789")); got != want {
		t.Errorf("masked checksum %08x, want %08x", got, want)
	}
}

func TestScalarsAreReadableBeforeClose(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run", "tensorboard")
	w := create(t, dir)
	scalar(t, w, "train/loss", 0, 5.25)
	scalar(t, w, "train/loss", 1<<40, math.Inf(1))
	scalar(t, w, "val/recall@10", 100, 0.1)

	files := eventFiles(t, dir)
	if len(files) != 1 {
		t.Fatalf("%d event files, want 1: %v", len(files), files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	events, torn := readEvents(t, data)
	if torn != 0 || len(events) != 4 {
		t.Fatalf("%d events and %d torn bytes, want 4 and 0", len(events), torn)
	}
	if events[0].version != "brain.Event:2" {
		t.Errorf("first event's version %q, want brain.Event:2", events[0].version)
	}
	want := []event{
		{wall: 1_700_000_000.5, tag: "train/loss", value: 5.25},
		{wall: 1_700_000_000.5, tag: "train/loss", step: 1 << 40, value: float32(math.Inf(1))},
		{wall: 1_700_000_000.5, tag: "val/recall@10", step: 100, value: 0.1},
	}
	for i, e := range events[1:] {
		if e != want[i] {
			t.Errorf("event %d: %+v, want %+v", i+1, e, want[i])
		}
	}
}

func TestResumedProcessStartsItsOwnFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	scalar(t, create(t, dir), "train/loss", 1, 3)
	second := create(t, dir)
	if err := second.Restart(0, time.Unix(1_700_000_001, 0)); err != nil {
		t.Fatal(err)
	}
	files := eventFiles(t, dir)
	if len(files) != 2 {
		t.Fatalf("%d event files, want 2: %v", len(files), files)
	}
	data, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	events, _ := readEvents(t, data)
	if len(events) != 2 || !events[1].restart || events[1].step != 1 {
		t.Errorf("second file holds %+v, want its version and a restart at step 1", events)
	}
}

func TestTornFileKeepsItsWholeRecords(t *testing.T) {
	t.Parallel()
	record := appendRecord(nil, scalarEvent("train/loss", 7, 1, time.Unix(0, 0)))
	for cut := 1; cut <= len(record); cut++ {
		data := append(append([]byte{}, record...), record[:len(record)-cut]...)
		events, torn := readEvents(t, data)
		if len(events) != 1 || torn != len(record)-cut {
			t.Fatalf("cut by %d: %d events, %d torn bytes", cut, len(events), torn)
		}
	}
}

func TestWritersInManyGoroutinesTearNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := create(t, dir)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for step := range 50 {
				_ = w.Scalar("train/loss", int64(g*50+step), 1, time.Now())
			}
		})
	}
	group.Wait()
	data, err := os.ReadFile(eventFiles(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	if events, torn := readEvents(t, data); torn != 0 || len(events) != 401 {
		t.Errorf("%d events, %d torn bytes; want 401 and 0", len(events), torn)
	}
}

func TestErrorsNameThePath(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(filepath.Join(file, "tensorboard")); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v, want one that names %s", err, file)
	}
	w := create(t, t.TempDir())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Scalar("train/loss", 1, 1, time.Now()); err == nil {
		t.Error("writing after Close gives no error")
	}
}
