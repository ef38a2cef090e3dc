// Package wire writes Prometheus remote write 1.0 messages by appending to the caller's buffer.
//
// A series' labels are encoded once (AppendLabels) and kept; each round appends the labels' bytes and one sample
// (AppendSeries), so encoding a sample is a copy and 20 bytes of arithmetic. The message is prometheus.WriteRequest of
// https://prometheus.io/docs/specs/prw/remote_write_spec/, protobuf wire format; compression is the sender's business.
package wire

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Label is one label of a series. Labels of one series are encoded sorted by name with __name__ among them.
type Label struct{ Name, Value string }

// StaleNaN marks the end of a series (Prometheus' staleness marker, a NaN with this bit pattern).
const StaleNaN uint64 = 0x7ff0000000000002

// Stale returns the staleness marker as a sample value.
func Stale() float64 { return math.Float64frombits(StaleNaN) }

// IsStale tells the marker from every other value; ordinary comparison can not, as it is a NaN.
func IsStale(v float64) bool { return math.Float64bits(v) == StaleNaN }

const (
	tagTimeSeries = 1<<3 | 2 // WriteRequest.timeseries
	tagLabels     = 1<<3 | 2 // TimeSeries.labels
	tagSamples    = 2<<3 | 2 // TimeSeries.samples
	tagName       = 1<<3 | 2 // Label.name
	tagValueText  = 2<<3 | 2 // Label.value
	tagValue      = 1<<3 | 1 // Sample.value
	tagTimestamp  = 2 << 3   // Sample.timestamp, wire type 0
)

// AppendLabels appends the encoded labels of one series to dst. The caller sorts labels and leaves empty values out.
func AppendLabels(dst []byte, labels []Label) []byte {
	for _, l := range labels {
		size := fieldSize(len(l.Name)) + fieldSize(len(l.Value))
		dst = append(dst, tagLabels)
		dst = binary.AppendUvarint(dst, uint64(size))
		dst = append(dst, tagName)
		dst = binary.AppendUvarint(dst, uint64(len(l.Name)))
		dst = append(dst, l.Name...)
		dst = append(dst, tagValueText)
		dst = binary.AppendUvarint(dst, uint64(len(l.Value)))
		dst = append(dst, l.Value...)
	}
	return dst
}

// LabelBytes is how many bytes AppendLabels takes for a label.
func LabelBytes(l Label) int {
	return fieldSize(fieldSize(len(l.Name)) + fieldSize(len(l.Value)))
}

// ReadLabels appends the labels that AppendLabels wrote to dst; what else stands there ends the reading.
func ReadLabels(dst []Label, encoded []byte) []Label {
	field := func(b []byte, tag byte) (value, rest []byte, ok bool) {
		if len(b) == 0 || b[0] != tag {
			return nil, nil, false
		}
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) {
			return nil, nil, false
		}
		return b[1+n : 1+n+int(size)], b[1+n+int(size):], true
	}
	for {
		label, rest, ok := field(encoded, tagLabels)
		name, label, named := field(label, tagName)
		value, _, valued := field(label, tagValueText)
		if !ok || !named || !valued {
			return dst
		}
		dst, encoded = append(dst, Label{Name: string(name), Value: string(value)}), rest
	}
}

// AppendSeries appends one TimeSeries of already encoded labels and one sample to the WriteRequest in dst.
func AppendSeries(dst, labels []byte, value float64, timestampMillis int64) []byte {
	dst = BeginSeries(dst, len(labels), timestampMillis)
	dst = append(dst, labels...)
	return EndSeries(dst, value, timestampMillis)
}

// BeginSeries appends the head of a TimeSeries; the caller appends its encoded labels, that many bytes, and then calls EndSeries with the
// same timestamp.
func BeginSeries(dst []byte, labelBytes int, timestampMillis int64) []byte {
	dst = append(dst, tagTimeSeries)
	return binary.AppendUvarint(dst, uint64(labelBytes+2+sampleSize(timestampMillis)))
}

// EndSeries appends the one sample of the TimeSeries that BeginSeries began.
func EndSeries(dst []byte, value float64, timestampMillis int64) []byte {
	dst = append(dst, tagSamples, byte(sampleSize(timestampMillis)), tagValue)
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(value))
	dst = append(dst, tagTimestamp)
	return binary.AppendUvarint(dst, uint64(timestampMillis))
}

func sampleSize(timestampMillis int64) int { return 9 + 1 + uvarintSize(uint64(timestampMillis)) }

// fieldSize is the encoded size of a string field: tag, length, bytes.
func fieldSize(n int) int { return 1 + uvarintSize(uint64(n)) + n }

func uvarintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
