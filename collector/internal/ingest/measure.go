package ingest

import (
	"errors"
	"fmt"

	"github.com/VictoriaMetrics/easyproto"
)

// messageSize is what a WriteRequest holds, found by walking its tags and without decoding it.
type messageSize struct {
	series, samples int
	memoryBytes     int64 // once decoded, the bytes of the message not counted
	plainBytes      int64 // of these what is no histogram, of which a byte may rightly become many
}

// within tells whether all of s is at most that of most.
func (s messageSize) within(most messageSize) bool {
	return s.series <= most.series && s.memoryBytes <= most.memoryBytes && s.plainBytes <= most.plainBytes
}

// Bytes of a decoded prompb.TimeSeries, Label, Sample and MetricMetadata.
const (
	seriesBytes   = 48
	labelBytes    = 32
	sampleBytes   = 16
	metadataBytes = 64
)

// Fields of the messages of remote write 1.0.
const (
	fieldTimeSeries = 1 // of WriteRequest
	fieldMetadata   = 3
	fieldSymbols    = 4 // of Request of remote write 2.0, of which WriteRequest knows nothing
	fieldSeries     = 5
	fieldLabels     = 1 // of TimeSeries
	fieldSamples    = 2
	fieldHistograms = 4
)

// errSecond is that a message is of remote write 2.0. To a reader of 1.0 it is empty, and so all that is in it would be lost without a word.
var errSecond = errors.New("this is remote write 2.0; send 1.0, prometheus.WriteRequest")

// measure walks message until it is larger than most. A few bytes can decode to many (an empty label is 2 bytes and takes 32), so the
// decoder must not see what has not been measured.
func measure(message []byte, most messageSize) (messageSize, error) {
	var size messageSize
	var field easyproto.FieldContext
	var err error
	for len(message) > 0 && size.within(most) {
		if message, err = field.NextField(message); err != nil {
			return size, fmt.Errorf("after %d series: %w", size.series, err)
		}
		switch field.FieldNum {
		case fieldTimeSeries:
			data, ok := field.MessageData()
			if !ok {
				return size, fmt.Errorf("series %d is not a message", size.series)
			}
			if err := size.addSeries(data); err != nil {
				return size, fmt.Errorf("series %d: %w", size.series, err)
			}
		case fieldSymbols, fieldSeries:
			return size, errSecond
		case fieldMetadata:
			size.memoryBytes += metadataBytes
			size.plainBytes += metadataBytes
		}
	}
	return size, nil
}

func (s *messageSize) addSeries(data []byte) error {
	var field easyproto.FieldContext
	var err error
	labels, samples, buckets := int64(0), int64(0), int64(0)
	for len(data) > 0 {
		if data, err = field.NextField(data); err != nil {
			return err
		}
		switch field.FieldNum {
		case fieldLabels:
			labels++
		case fieldSamples:
			samples++
		case fieldHistograms:
			histogram, ok := field.MessageData()
			if !ok {
				return errors.New("a histogram is not a message")
			}
			// Each bucket becomes a series with all labels; a bucket can be one byte.
			buckets += int64(len(histogram))
		}
	}
	s.series++
	s.samples += int(samples)
	plain := seriesBytes + labels*labelBytes + samples*sampleBytes
	s.plainBytes += plain
	s.memoryBytes += plain + buckets*(seriesBytes+sampleBytes+(labels+1)*labelBytes)
	return nil
}
