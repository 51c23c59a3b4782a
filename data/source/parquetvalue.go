package source

import (
	"fmt"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// idOf writes an id as text into scratch. Whole floats, which pandas makes of integers beside nulls, count as integers.
// signless says that integers have no sign.
func idOf(scratch []byte, v parquet.Value, signless bool, missing Reason) ([]byte, error) {
	scratch = scratch[:0]
	if v.IsNull() {
		return scratch, missing
	}
	switch v.Kind() {
	case parquet.ByteArray, parquet.FixedLenByteArray:
		scratch = append(scratch, v.ByteArray()...)
	case parquet.Float, parquet.Double:
		f := floatOf(v)
		if f != float64(int64(f)) {
			return scratch, missing
		}
		scratch = fmt.Appendf(scratch, "%d", int64(f))
	case parquet.Int32:
		n := int64(v.Int32())
		if signless {
			n = int64(v.Uint32())
		}
		scratch = strconv.AppendInt(scratch, n, 10)
	case parquet.Int64:
		if signless {
			scratch = strconv.AppendUint(scratch, v.Uint64(), 10)
		} else {
			scratch = strconv.AppendInt(scratch, v.Int64(), 10)
		}
	default:
		scratch = append(scratch, v.String()...)
	}
	return scratch, checkID(scratch, missing)
}

func floatOf(v parquet.Value) float64 {
	if v.Kind() == parquet.Float {
		return float64(v.Float())
	}
	return v.Double()
}

func ratingOf(v parquet.Value) (float32, error) {
	if v.IsNull() {
		return 0, BadRating
	}
	switch v.Kind() {
	case parquet.Int32:
		return float32(v.Int32()), nil
	case parquet.Int64:
		return float32(v.Int64()), nil
	case parquet.ByteArray:
		return parseRating(v.ByteArray())
	case parquet.Float, parquet.Double:
		if f := float32(floatOf(v)); f-f == 0 { // finite
			return f, nil
		}
	}
	return 0, BadRating
}

func timestampOf(v parquet.Value, unit timeUnit) (int64, error) {
	if v.IsNull() {
		return 0, NoTimestamp
	}
	switch v.Kind() {
	case parquet.Int32:
		return unit.milliseconds(int64(v.Int32()))
	case parquet.Int64:
		return unit.milliseconds(v.Int64())
	case parquet.Float, parquet.Double:
		return unit.fraction(floatOf(v))
	case parquet.ByteArray:
		return parseTimestamp(v.ByteArray(), unit)
	}
	return 0, BadTimestamp
}
