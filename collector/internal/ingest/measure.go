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
	fieldLabels     = 1 // of TimeSeries
	fieldSamples    = 2
	fieldHistograms = 4
)

// measure walks message until it is larger than most. A few bytes can decode to many (an empty label is 2 bytes and takes 32), so the
// decoder must not see what has not been measured.
func measure(message []byte, most messageSize) (messageSize, error) {
	var size messageSize
	var field easyproto.FieldContext
	var err error
	for len(message) > 0 && size.series <= most.series && size.memoryBytes <= most.memoryBytes {
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
		case fieldMetadata:
			size.memoryBytes += metadataBytes
		}
	}
	return size, nil
}

func (s *messageSize) addSeries(data []byte) error {
	var field easyproto.FieldContext
	var err error
	labels, buckets := int64(0), int64(0)
	for len(data) > 0 {
		if data, err = field.NextField(data); err != nil {
			return err
		}
		switch field.FieldNum {
		case fieldLabels:
			labels++
		case fieldSamples:
			s.samples++
			s.memoryBytes += sampleBytes
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
	s.memoryBytes += seriesBytes + labels*labelBytes + buckets*(seriesBytes+sampleBytes+(labels+1)*labelBytes)
	return nil
}
